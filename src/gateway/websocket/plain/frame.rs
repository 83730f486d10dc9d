//! The JSON frames of `/ws`: `{ event, data, id? }` and `{ reply, data }`, in both directions.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{
    Value as Json,
    value::{RawValue, to_raw_value},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    error::{Error, Result},
    gateway::{
        events::{Packet, Request},
        native::Rendered,
    },
};

/// Most bytes of an id. The answer repeats it.
const ID_MOST: usize = 256;

/// A decoded frame of a client.
#[derive(Debug)]
pub enum IncomingFrame {
    /// A request. If it has an id, the answer carries the id exactly as the client wrote it.
    Event { event: ReceivedEvent, id: Option<Box<RawValue>> },
    /// Whether the `response` with this id has arrived. `None` if the id is not one that this server assigns.
    Reply { id: Option<u64>, data: Json },
}

#[derive(Debug)]
pub struct ReceivedEvent {
    name: Box<str>,
    data: Option<Box<RawValue>>,
}

/// An event, or the reason why there is none.
pub type Read = Result<ReceivedEvent>;

impl Packet for Read {
    fn request(&self) -> Result<Request<'_>> {
        match self {
            Ok(event) => Ok(Request::new(&event.name, event.data.as_deref())),
            Err(Error::Invalid { field, reason }) => Err(Error::invalid(field, reason.clone())),
            Err(_) => Err(Error::invalid("frame", "cannot be read")),
        }
    }

    fn bytes(&self) -> usize {
        self.as_ref()
            .map_or(0, |event| event.name.len() + event.data.as_ref().map_or(0, |data| data.get().len()))
    }
}

#[derive(Deserialize)]
struct PlainFrameFields<'a> {
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reply: Option<&'a RawValue>,
}

/// Decodes a frame. Unknown fields are ignored.
///
/// # Errors
/// `bad_request` for a frame that is neither an event nor a reply.
pub fn read(text: &str) -> Result<IncomingFrame> {
    if !text.trim_start().starts_with('{') {
        return Err(Error::invalid("frame", "must be a JSON object"));
    }
    let frame: PlainFrameFields<'_> =
        serde_json::from_str(text).map_err(|err| Error::invalid("frame", err.to_string()))?;
    match (frame.event, frame.reply) {
        (Some(name), None) => {
            if let Some(id) = frame.id {
                check_id("id", id)?;
            }
            let event = ReceivedEvent { name: name.into(), data: frame.data.map(ToOwned::to_owned) };
            Ok(IncomingFrame::Event { event, id: frame.id.map(ToOwned::to_owned) })
        }
        (None, Some(id)) => {
            check_id("reply", id)?;
            let data = frame.data.map(|data| serde_json::from_str(data.get())).transpose();
            Ok(IncomingFrame::Reply {
                id: id.get().parse().ok(),
                data: data.map_err(|err| Error::invalid("data", err.to_string()))?.unwrap_or(Json::Null),
            })
        }
        _ => Err(Error::invalid("frame", "must have either an `event` or a `reply`")),
    }
}

fn check_id(field: &'static str, id: &RawValue) -> Result<()> {
    let begins = id.get().as_bytes().first();
    if !begins.is_some_and(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9')) {
        return Err(Error::invalid(field, "must be a number or a string"));
    }
    if id.get().len() > ID_MOST {
        return Err(Error::invalid(field, format!("may have at most {ID_MOST} bytes")));
    }
    Ok(())
}

/// The answer to an event.
pub fn reply(id: &RawValue, data: &RawValue) -> Utf8Bytes {
    format!(r#"{{"reply":{id},"data":{data}}}"#).into()
}

/// An event that needs no answer.
pub fn event(rendered: &Rendered) -> Utf8Bytes {
    format!(r#"{{"event":"{}","data":{}}}"#, rendered.name, rendered.payload).into()
}

/// An event that the client is to answer under this id.
pub fn event_with_id(rendered: &Rendered, id: u64) -> Utf8Bytes {
    format!(r#"{{"event":"{}","data":{},"id":{id}}}"#, rendered.name, rendered.payload).into()
}

/// The event `error`, from the native answer to an unreadable frame.
pub fn error(refused: &RawValue) -> Utf8Bytes {
    #[derive(Deserialize)]
    struct RefusedFrame<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    #[derive(Serialize)]
    struct ErrorEvent<'a> {
        event: &'static str,
        data: &'a RawValue,
    }
    let refused =
        serde_json::from_str(refused.get()).map_or(refused, |refused: RefusedFrame<'_>| refused.error);
    let written = to_raw_value(&ErrorEvent { event: "error", data: refused });
    // Raw JSON in a frame of two fields: this cannot fail.
    written.map_or_else(|_| Utf8Bytes::default(), |json| json.get().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(text: &str) -> (String, Option<String>, Option<String>) {
        match read(text) {
            Ok(IncomingFrame::Event { event, id }) => (
                event.name.into(),
                event.data.map(|data| data.get().to_owned()),
                id.map(|id| id.get().to_owned()),
            ),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_event_is_taken_as_it_was_written() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(event_of(r#"{"event":"a"}"#), ("a".into(), None, None));
        assert_eq!(
            event_of(" {\"id\": 1.50, \"more\": {}, \"data\": {\"a\" : 1e2}, \"event\":\"a\\u0062\"}\n"),
            ("ab".into(), some("{\"a\" : 1e2}"), some("1.50"))
        );
        assert_eq!(event_of(r#"{"event":"a","data":null,"id":null}"#), ("a".into(), None, None));
        assert_eq!(event_of(r#"{"event":"a","id":"\u00e9"}"#).2, some(r#""\u00e9""#));
    }

    #[test]
    fn a_reply_names_a_response_by_its_number() {
        for (text, expected) in [
            (r#"{"reply":7,"data":{"success":true}}"#, Some(7)),
            (r#"{"reply":7}"#, Some(7)),
            (r#"{"reply":"7"}"#, None),
            (r#"{"reply":-7}"#, None),
            (r#"{"reply":7.5}"#, None),
        ] {
            assert!(matches!(read(text), Ok(IncomingFrame::Reply { id, .. }) if id == expected), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        let long = format!(r#"{{"event":"a","id":"{}"}}"#, "x".repeat(ID_MOST));
        for text in [
            "",
            "nonsense",
            "5",
            "null",
            "[]",
            r#"["event",1]"#,
            "{}",
            r#"{"data":{}}"#,
            r#"{"event":5}"#,
            r#"{"event":null}"#,
            r#"{"event":"a","reply":1}"#,
            r#"{"event":"a","event":"b"}"#,
            r#"{"event":"a","id":{}}"#,
            r#"{"event":"a","id":true}"#,
            r#"{"reply":[1]}"#,
            r#"{"event":"a"} x"#,
            &long,
        ] {
            let err = read(text).unwrap_err();
            assert_eq!(err.code(), "bad_request", "{text}");
        }
    }

    #[test]
    fn frames_are_written_as_the_protocol_has_them() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(reply(&raw("\"a\""), &raw("{\"b\": 1}")), r#"{"reply":"a","data":{"b": 1}}"#);
        let rendered = Rendered { name: "typing", payload: raw("{}"), is_response: false, is_lossy: true };
        assert_eq!(event(&rendered), r#"{"event":"typing","data":{}}"#);
        assert_eq!(event_with_id(&rendered, 3), r#"{"event":"typing","data":{},"id":3}"#);
        assert_eq!(
            error(&raw(r#"{"success":false,"error":{"code":"x"}}"#)),
            r#"{"event":"error","data":{"code":"x"}}"#
        );
    }

    proptest::proptest! {
        #[test]
        fn any_frame_is_taken_or_refused(text in ".{0,60}", name in ".{0,8}", id: i64) {
            let _ = read(&text);
            let written = serde_json::json!({ "event": name, "data": text, "id": id }).to_string();
            let (event, data, taken) = event_of(&written);
            assert_eq!((event, taken), (name, Some(id.to_string())));
            assert_eq!(serde_json::from_str::<String>(&data.unwrap()).unwrap(), text);
        }
    }
}
