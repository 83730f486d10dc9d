//! A message as a client has written it.

use entity::{MessageId, message};
use serde_json::value::RawValue;

use super::{ENCRYPTED, TEXT};
use crate::{
    chat::Draft,
    error::{Error, Result},
    values::{Body, ClientMessageId},
};

/// What every way to send a message has in common. Gateways say where the message goes.
pub struct DraftFields {
    pub content: Box<RawValue>,
    pub kind: Option<String>,
    pub client_message_id: Option<String>,
    pub reply_to: Option<String>,
}

impl DraftFields {
    /// The draft of it, with at most so many bytes of content.
    ///
    /// # Errors
    /// `bad_request`, `too_large`.
    pub fn draft(self, limit: usize) -> Result<Draft> {
        let kind = match self.kind.as_deref() {
            None | Some(TEXT) => message::Kind::Text,
            Some(ENCRYPTED) => message::Kind::Encrypted,
            Some(_) => return Err(Error::invalid("kind", "can be \"text\" or \"encrypted\"")),
        };
        let reply_to = self.reply_to.map(|id| id.parse::<MessageId>());
        Ok(Draft {
            body: Body::parse(kind, self.content.get(), limit)?,
            client_message_id: self.client_message_id.as_deref().map(ClientMessageId::parse).transpose()?,
            reply_to: reply_to.transpose().map_err(|_| Error::invalid("replyTo", "must be a messageId"))?,
            written: None,
            seen: None,
        })
    }
}
