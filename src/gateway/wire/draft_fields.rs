//! A message as a client has written it.

use entity::{MessageId, message};
use serde_json::value::RawValue;

use super::{ENCRYPTED, TEXT};
use crate::{
    chat::{Draft, EditMessage, Extras},
    error::{Error, Result},
    values::{Body, ClientMessageId, Data, Lifetime},
};

/// What every way to send a message has in common. Gateways say where the message goes.
pub struct DraftFields {
    pub content: Box<RawValue>,
    pub kind: Option<String>,
    pub client_message_id: Option<String>,
    pub reply_to: Option<String>,
    pub thread: Option<String>,
    pub also_in_room: Option<bool>,
    pub mentions: Option<Vec<String>>,
    pub mentions_all: Option<bool>,
    pub data: Option<Box<RawValue>>,
    pub expires_in: Option<u32>,
}

/// Declares a payload that sends a message: its own fields, and then those that all of them have. `parts` returns the
/// former and the latter.
macro_rules! draft {
    (
        $(#[$about:meta])*
        pub struct $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$meta])* $field: $type,)*
            /// A string; for `encrypted` any JSON, which the server does not read.
            #[schema(value_type = Value)]
            content: Box<serde_json::value::RawValue>,
            /// `text` by default, or `encrypted`.
            #[schema(nullable = false)]
            kind: Option<String>,
            /// An id of the client's choice, unique per sender and room. The same one again stores nothing and answers
            /// with the stored message.
            #[schema(nullable = false)]
            client_message_id: Option<String>,
            /// The messageId of the message that this one answers.
            #[schema(nullable = false, format = Uuid)]
            reply_to: Option<String>,
            /// The messageId of the root of a thread, or of a message in it.
            #[schema(nullable = false, format = Uuid)]
            thread: Option<String>,
            /// Whether a message of a thread is for the room, too.
            #[schema(nullable = false)]
            also_in_room: Option<bool>,
            /// The usernames of at most 50 members. Without them, `@username` in a text mentions.
            #[schema(nullable = false)]
            mentions: Option<Vec<String>>,
            /// Mentions everyone; in a group of more than 100 members only moderators may.
            #[schema(nullable = false)]
            mentions_all: Option<bool>,
            /// A JSON object of at most 4 KiB, which the server does not read.
            #[schema(nullable = false, value_type = Option<Object>)]
            data: Option<Box<serde_json::value::RawValue>>,
            /// After how many seconds the message disappears: 5 to 7,776,000 (90 days).
            #[schema(nullable = false, minimum = 5, maximum = 7_776_000)]
            expires_in: Option<u32>,
        }

        impl $name {
            fn parts(self) -> (($($type,)*), $crate::gateway::wire::DraftFields) {
                let fields = $crate::gateway::wire::DraftFields {
                    content: self.content,
                    kind: self.kind,
                    client_message_id: self.client_message_id,
                    reply_to: self.reply_to,
                    thread: self.thread,
                    also_in_room: self.also_in_room,
                    mentions: self.mentions,
                    mentions_all: self.mentions_all,
                    data: self.data,
                    expires_in: self.expires_in,
                };
                (($(self.$field,)*), fields)
            }
        }
    };
}
pub(in crate::gateway) use draft;

/// The fields that every draft may have beside its content.
pub(in crate::gateway) const OPTIONAL_WITH_KIND: &[&str] = &[
    "kind",
    "clientMessageId",
    "replyTo",
    "thread",
    "alsoInRoom",
    "mentions",
    "mentionsAll",
    "data",
    "expiresIn",
];

/// The same without the kind.
pub(in crate::gateway) const OPTIONAL: &[&str] =
    &["clientMessageId", "replyTo", "thread", "alsoInRoom", "mentions", "mentionsAll", "data", "expiresIn"];

impl DraftFields {
    /// The draft of it, with at most so many bytes of content.
    ///
    /// # Errors
    /// `bad_request`, `too_large`.
    pub fn draft(self, limit: usize) -> Result<Draft> {
        let extras = self.extras()?;
        let kind = match self.kind.as_deref() {
            None | Some(TEXT) => message::Kind::Text,
            Some(ENCRYPTED) => message::Kind::Encrypted,
            Some(_) => return Err(Error::invalid("kind", "can be \"text\" or \"encrypted\"")),
        };
        let body = Body::parse(kind, self.content.get(), limit)?;
        Ok(Draft {
            client_message_id: self.client_message_id.as_deref().map(ClientMessageId::parse).transpose()?,
            reply_to: id("replyTo", self.reply_to.as_deref())?,
            extras,
            ..Draft::of(body)
        })
    }

    /// `None` if the message is sent with nothing else.
    fn extras(&self) -> Result<Option<Box<Extras>>> {
        let Self { thread, also_in_room, mentions, mentions_all, data, expires_in, .. } = self;
        let is_plain = thread.is_none()
            && also_in_room.is_none()
            && mentions.is_none()
            && mentions_all.is_none()
            && data.is_none()
            && expires_in.is_none();
        if is_plain {
            return Ok(None);
        }
        Ok(Some(Box::new(Extras {
            thread: id("thread", thread.as_deref())?,
            also_in_room: also_in_room.unwrap_or(false),
            mentions: mentions.clone(),
            mentions_all: mentions_all.unwrap_or(false),
            data: data.clone().map(Data::parse).transpose()?,
            lifetime: expires_in.map(|seconds| Lifetime::parse("expiresIn", seconds)).transpose()?,
            forwarded_from: None,
        })))
    }
}

/// What to replace in a message.
///
/// # Errors
/// `bad_request`, `too_large`.
pub fn edit_of(
    content: Option<Box<RawValue>>,
    mentions: Option<Vec<String>>,
    data: Option<Box<RawValue>>,
) -> Result<EditMessage> {
    if content.is_none() && mentions.is_none() && data.is_none() {
        return Err(Error::invalid("content", "is needed, or mentions, or data"));
    }
    let content = content.map(|content| content.get().to_owned());
    Ok(EditMessage { content, mentions, data: data.map(Data::parse).transpose()? })
}

fn id(field: &'static str, text: Option<&str>) -> Result<Option<MessageId>> {
    let id = text.map(str::parse::<MessageId>).transpose();
    id.map_err(|_| Error::invalid(field, "must be a messageId"))
}
