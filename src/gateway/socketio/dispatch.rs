//! Passes events from the library to the inbox.
//!
//! The library would run every handler in its own task, so quick messages of one client would overtake each
//! other. It would also drop an event whose payload it cannot decode. So this module takes events as they are
//! read.

use std::sync::Arc;

use serde_json::value::RawValue;
use socketioxide::{
    extract::AckSender,
    handler::{FromMessageParts, MessageHandler, Value},
};

use super::{RawSocket, adapter::Sockets, route::Route};
use crate::{
    error::{Error, Result},
    gateway::events::{Ack, EventHandler, Inbox, Incoming, Packet, Request, Write},
};

/// An event's name and arguments, as the client sent them.
pub struct EventPacket(Value);

impl Packet for EventPacket {
    fn request(&self) -> Result<Request<'_>> {
        let Value::Str(text, attachments) = &self.0 else {
            return Err(Error::invalid("payload", "must be JSON"));
        };
        if attachments.as_ref().is_some_and(|attachments| !attachments.is_empty()) {
            return Err(Error::invalid("payload", "must be JSON without binary attachments"));
        }
        let parts: Vec<&RawValue> = serde_json::from_str(text.as_str())
            .map_err(|err| Error::invalid("payload", format!("is not JSON: {err}")))?;
        let name = parts.first().map(|name| name.get()).unwrap_or_default();
        // No event of this server has a name with escapes.
        let event = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or_default();
        Ok(Request::new(event, parts.get(1).copied()))
    }

    fn bytes(&self) -> usize {
        match &self.0 {
            Value::Str(text, attachments) => {
                let attachments = attachments.iter().flatten().map(|bytes| bytes.len());
                text.len() + attachments.sum::<usize>()
            }
            Value::Bytes(bytes) => bytes.len(),
        }
    }
}

/// The fallback handler of a socket. It receives every event, in the order of the wire. The answers take the
/// socket's route.
pub struct Dispatcher<D> {
    pub inbox: Arc<Inbox<EventPacket, D>>,
    pub route: Arc<Route>,
}

impl<D: EventHandler> MessageHandler<Sockets, ()> for Dispatcher<D> {
    fn call(&self, socket: Arc<RawSocket>, mut packet: Value, ack_id: Option<i64>) {
        let Ok(sender) = AckSender::from_message_parts(&socket, &mut packet, &ack_id);
        let write = ack_id.map(|ack_id| {
            let route = self.route.clone();
            let write: Write = Box::new(move |json| {
                route.answer(ack_id, json, sender)?;
                route.flush();
                Ok(())
            });
            write
        });
        let ack = Ack::new(write, self.inbox.socket.connection.clone());
        self.inbox.receive(Incoming { packet: EventPacket(packet), ack });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    fn packet(text: String) -> EventPacket {
        EventPacket(Value::Str(text.into(), None))
    }

    proptest::proptest! {
        #[test]
        fn any_arguments_are_a_request_or_refused(
            text in ".{0,60}",
            name in "[a-zA-Z: ]{0,20}",
            payload in ".{0,20}",
        ) {
            if let Ok(request) = packet(text).request() {
                let _ = request.decode::<serde_json::Value>();
            }
            let arguments = serde_json::json!([name, { "payload": payload }, "more"]).to_string();
            let packet = packet(arguments);
            let request = packet.request().unwrap();
            assert_eq!(request.event, name);
            assert_eq!(request.decode::<serde_json::Value>().unwrap()["payload"], payload);
            // A payload that is not an object is refused. A missing payload counts as an empty object.
            let string = to_raw_value(&payload).unwrap();
            assert!(Request::new("x", Some(&string)).decode::<serde_json::Value>().is_err());
            assert_eq!(Request::new("x", None).decode::<serde_json::Value>().unwrap(), serde_json::json!({}));
        }
    }
}
