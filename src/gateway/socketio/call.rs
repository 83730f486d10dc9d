//! One event's surroundings: the socket it came from, its payload, and the way to answer it.

use std::{net::IpAddr, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use socketioxide::{extract::AckSender, handler::Value};

use super::refusal::Failure;
use crate::{
    auth::Auth,
    chat::{Chat, caller::Caller, connection::Connection},
    error::{Busy, Error, Result},
};

/// One socket in `/chat`, as the functions behind its events see it.
pub struct ChatSocket {
    pub connection: Arc<Connection>,
    pub address: IpAddr,
    pub chat: Chat,
    pub auth: Auth,
}

impl ChatSocket {
    /// Who is on it, by the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.connection.caller()
    }
}

/// An event's name and its payload, undecoded.
pub struct Request<'a> {
    pub event: &'a str,
    payload: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    pub fn read(packet: &'a Value) -> Result<Self> {
        let Value::Str(text, attachments) = packet else {
            return Err(Error::invalid("payload", "must be JSON"));
        };
        if attachments.as_ref().is_some_and(|attachments| !attachments.is_empty()) {
            return Err(Error::invalid("payload", "must be JSON without binary attachments"));
        }
        let parts: Vec<&RawValue> = serde_json::from_str(text.as_str())
            .map_err(|err| Error::invalid("payload", format!("is not JSON: {err}")))?;
        let name = parts.first().map(|name| name.get()).unwrap_or_default();
        // A name with escapes in it is none of ours.
        let event = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or_default();
        Ok(Self { event, payload: parts.get(1).copied() })
    }

    /// The payload; a missing one and `null` count as `{}`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let json = self.payload.map(RawValue::get).filter(|json| *json != "null").unwrap_or("{}");
        if !json.starts_with('{') {
            return Err(Error::invalid("payload", "must be an object"));
        }
        serde_json::from_str(json).map_err(|err| {
            // Where in the text it was helps nobody: clients send objects, not text.
            let reason = err.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            Error::invalid("payload", reason)
        })
    }
}

/// The answer to one event. A queue too full for it cuts the connection: its client must not wait
/// for an answer that never comes, and asks again when it is back.
pub struct Ack {
    sender: AckSender,
    connection: Arc<Connection>,
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    response: T,
}

impl Ack {
    pub fn new(sender: AckSender, connection: Arc<Connection>) -> Self {
        Self { sender, connection }
    }

    pub fn succeed<T: Serialize>(self, response: T) {
        self.send(&Success { success: true, response });
    }

    /// A connection that is about to go is not answered: a client that retries takes a refusal as
    /// final, and silence as a reason to send again when it is back.
    pub fn refuse(self, error: &Error) {
        if !matches!(error, Error::Unavailable(Busy::Draining | Busy::Reconnecting)) {
            self.send(&Failure::of(error));
        }
    }

    fn send<T: Serialize>(self, answer: &T) {
        if self.sender.send(answer).is_err() {
            self.connection.cut("its queue is full");
        }
    }
}
