//! The app's frames: `{ chatId?, senderid, receiverid, message, ... }`. Unknown fields and every byte of
//! `message` are passed on unchanged.

use std::{borrow::Cow, fmt};

use entity::message;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    chat::model::Message,
    error::{Error, Result},
};

const CHAT: &str = "chatId";
const MESSAGE_ID: &str = "messageId";
const SENDER: &str = "senderid";
const RECEIVER: &str = "receiverid";
const MESSAGE: &str = "message";
/// The fields that this server uses. Each may occur once.
const KNOWN: [&str; 5] = [CHAT, MESSAGE_ID, SENDER, RECEIVER, MESSAGE];

/// Most bytes of a field that is repeated in an error, to identify the frame.
const SHOWN_MOST: usize = 256;

/// A frame's undecoded fields, in the order of the frame.
#[derive(Debug)]
pub struct AppFrame<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> AppFrame<'a> {
    /// # Errors
    /// `bad_request` if the text is not a JSON object, or contains a known field twice.
    pub fn read(text: &'a str) -> Result<Self> {
        if !text.trim_start().starts_with('{') {
            return Err(Error::invalid("frame", "must be a JSON object"));
        }
        let frame: Self =
            serde_json::from_str(text).map_err(|err| Error::invalid("frame", err.to_string()))?;
        let twice = |name: &&str| frame.fields.iter().filter(|(field, _)| field == name).count() > 1;
        match KNOWN.iter().find(|name| twice(name)) {
            Some(name) => Err(Error::invalid("frame", format!("has `{name}` twice"))),
            None => Ok(frame),
        }
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// The receiver: a user's id or name.
    pub fn receiver(&self) -> Result<String> {
        let id = self.get(RECEIVER).ok_or(Error::invalid(RECEIVER, "is missing"))?;
        serde_json::from_str(id.get()).map_err(|_| Error::invalid(RECEIVER, "must be a string"))
    }

    /// The content to store. A string is stored as text; everything else as encrypted content.
    pub fn message(&self) -> Result<(message::Kind, &'a str)> {
        let json = self.get(MESSAGE).map(RawValue::get).ok_or(Error::invalid(MESSAGE, "is missing"))?;
        let kind = if json.starts_with('"') { message::Kind::Text } else { message::Kind::Encrypted };
        Ok((kind, json))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AppFrame<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        struct Object;
        impl<'de> de::Visitor<'de> for Object {
            type Value = AppFrame<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<AppFrame<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(AppFrame { fields })
            }
        }
        input.deserialize_map(Object)
    }
}

/// A stored message, as all app sockets of both users receive it. `written` is the frame in which the message
/// was sent, if any. Its unknown fields are kept. The sender and the receiver come from the stored message.
pub fn render(message: &Message, written: Option<&str>) -> Utf8Bytes {
    let row = &message.row;
    let mut chat = quoted(&row.room_id);
    let ours = [
        (SENDER, quoted(&row.sender_id)),
        // A direct room always has a receiver.
        (RECEIVER, message.receiver_id.map_or_else(|| "null".to_owned(), |id| quoted(&id))),
        (MESSAGE_ID, quoted(&row.id)),
        (MESSAGE, row.content.clone()),
    ];
    let frame =
        written.and_then(|written| AppFrame::read(written).ok()).unwrap_or(AppFrame { fields: Vec::new() });
    if let Some(sent) = frame.get(CHAT).map(RawValue::get).filter(|sent| !matches!(*sent, "null" | "\"\"")) {
        // The app's own name for the chat. This server does not use it.
        sent.clone_into(&mut chat);
    }
    let mut text = String::with_capacity(written.map_or(row.content.len(), str::len) + 256);
    let mut put = |name: &str, value: &str| {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&quoted(&name));
        text.push(':');
        text.push_str(value);
    };
    put(CHAT, &chat);
    for (name, value) in &ours {
        put(name, value);
    }
    for (name, value) in frame.fields.iter().filter(|(name, _)| !KNOWN.contains(&&**name)) {
        put(name, value.get());
    }
    text.push('}');
    text.into()
}

/// The answer to a frame that failed: the error, and the fields that identify the frame.
pub fn failed(error: &RawValue, frame: &str) -> Utf8Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Failed<'a> {
        error: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        chat_id: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        receiverid: Option<&'a RawValue>,
    }
    let frame = AppFrame::read(frame).ok();
    let shown = |name| {
        let value = frame.as_ref().and_then(|frame| frame.get(name));
        value.filter(|value| value.get().len() <= SHOWN_MOST)
    };
    let failed = Failed { error, chat_id: shown(CHAT), receiverid: shown(RECEIVER) };
    // Raw JSON in a frame of three fields: this cannot fail.
    serde_json::to_string(&failed).unwrap_or_default().into()
}

fn quoted(text: &impl ToString) -> String {
    serde_json::Value::String(text.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_an_object_whose_known_fields_stand_once() {
        for bad in ["", "x", "5", "[]", "null", "{", r#"{"message":1,"message":2}"#, r#"{"a":1} x"#] {
            assert_eq!(AppFrame::read(bad).unwrap_err().code(), "bad_request", "{bad}");
        }
        assert!(AppFrame::read(r#" {"own":1,"own":2}"#).is_ok());
    }

    #[test]
    fn a_string_is_a_text_and_everything_else_is_encrypted() {
        let message = |text: &'static str| AppFrame::read(text).unwrap().message();
        assert_eq!(message(r#"{"message":"a\u0000"}"#).unwrap(), (message::Kind::Text, r#""a\u0000""#));
        for json in ["{ \"b\" : [1e2] }", "null", "5"] {
            let frame = format!("{{\"message\":{json}}}");
            assert_eq!(AppFrame::read(&frame).unwrap().message().unwrap(), (message::Kind::Encrypted, json));
        }
        assert!(message("{}").is_err());
    }

    #[test]
    fn a_receiver_is_a_string() {
        assert_eq!(AppFrame::read(r#"{"receiverid":"\u0061da"}"#).unwrap().receiver().unwrap(), "ada");
        for bad in ["{}", r#"{"receiverid":5}"#, r#"{"receiverid":null}"#] {
            assert!(AppFrame::read(bad).unwrap().receiver().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_failure_says_which_frame_it_is_about_as_far_as_that_can_be_read() {
        let error = RawValue::from_string(r#"{"code":"x"}"#.to_owned()).unwrap();
        assert_eq!(
            failed(&error, r#"{"chatId":"c","receiverid":"r","message":1}"#),
            r#"{"error":{"code":"x"},"chatId":"c","receiverid":"r"}"#
        );
        assert_eq!(failed(&error, "nonsense"), r#"{"error":{"code":"x"}}"#);
        let long = format!(r#"{{"chatId":"{}"}}"#, "x".repeat(1000));
        assert_eq!(failed(&error, &long), r#"{"error":{"code":"x"}}"#);
    }

    proptest::proptest! {
        #[test]
        fn any_frame_is_read_or_refused_and_nothing_of_it_is_changed(
            text in ".{0,60}",
            name in ".{0,8}",
            own in ".{0,8}",
        ) {
            if let Ok(frame) = AppFrame::read(&text) {
                let _ = (frame.receiver(), frame.message());
            }
            let frame = serde_json::json!({ "receiverid": name, "message": { "own": own } }).to_string();
            let frame = AppFrame::read(&frame).unwrap();
            assert_eq!(frame.receiver().unwrap(), name);
            let (kind, message) = frame.message().unwrap();
            assert_eq!(kind, message::Kind::Encrypted);
            assert_eq!(serde_json::from_str::<serde_json::Value>(message).unwrap()["own"], own);
        }
    }
}
