//! Encodes an event once for all sockets that receive it. The library would encode an event again for each
//! socket. Only an adapter, the library's own registry of sockets, may give a socket a packet that is already
//! encoded. So this is an adapter. In everything else it does what the library's local adapter does.
//! Packets that go past the library ([`super::route`]) are encoded here, too.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use socketioxide::adapter::Emitter;
use socketioxide_core::{
    Sid, Value,
    adapter::{BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter, SocketEmitter},
    packet::{Packet, Str},
};

use crate::{chat::connections::connection::Lagging, gateway::tcp};

/// An event as a packet of one namespace, for all sockets that receive it.
pub struct Encoded {
    namespace: &'static str,
    /// Under which id it is to be acknowledged.
    ack_id: Option<u32>,
    /// `["name",{}]`
    arguments: Str,
    frame: OnceLock<Bytes>,
}

impl Encoded {
    /// `name` is one of this server's names, so nothing in it needs an escape.
    pub fn event(namespace: &'static str, name: &'static str, payload: &RawValue) -> Self {
        let arguments = format!("[\"{name}\",{}]", payload.get()).into();
        Self { namespace, ack_id: None, arguments, frame: OnceLock::new() }
    }

    /// The same, to be acknowledged under this id.
    pub fn acknowledged(self, ack_id: u32) -> Self {
        Self { ack_id: Some(ack_id), ..self }
    }

    /// The size of the packet as the engine writes it.
    pub fn bytes(&self) -> usize {
        packet_bytes(self.namespace, self.ack_id.map(i64::from), self.arguments.len())
    }

    /// The packet as the library writes it.
    fn packet(&self) -> Packet {
        let mut packet = Packet::event(self.namespace, Value::Str(self.arguments.clone(), None));
        if let Some(id) = self.ack_id {
            packet.inner.set_ack_id(id.into());
        }
        packet
    }

    /// The packet as a whole frame of a websocket.
    pub fn frame(&self) -> Bytes {
        let make = || packet_frame("42", self.namespace, self.ack_id.map(i64::from), &self.arguments);
        self.frame.get_or_init(make).clone()
    }
}

/// A packet as a whole frame of a websocket.
pub fn packet_frame(kind: &str, namespace: &str, ack_id: Option<i64>, arguments: &str) -> Bytes {
    let (namespace, comma) = if namespace == "/" { ("", "") } else { (namespace, ",") };
    let id = ack_id.map(|id| id.to_string()).unwrap_or_default();
    tcp::text_frame(&[kind, namespace, comma, &id, arguments].map(str::as_bytes))
}

/// The size of an event or an acknowledgement as the engine writes it: `42/chat,17["name",{}]`.
pub fn packet_bytes(namespace: &str, ack_id: Option<i64>, arguments: usize) -> usize {
    let namespace = if namespace == "/" { 0 } else { namespace.len() + ",".len() };
    let ack_id = ack_id.map_or(0, |id| id.checked_ilog10().unwrap_or(0) as usize + 1);
    "42".len() + namespace + ack_id + arguments
}

/// The size of an event's arguments, `["name",{}]`.
pub fn arguments_bytes(name: &str, payload: &RawValue) -> usize {
    "[\"\",]".len() + name.len() + payload.get().len()
}

/// The sockets of one namespace, as the library keeps them.
#[derive(Clone)]
pub struct Sockets(Arc<CoreLocalAdapter<Emitter>>);

impl Sockets {
    /// Writes a packet to one socket. Does nothing if the socket has left the namespace.
    pub fn emit(&self, sid: Sid, event: &Encoded) -> Result<(), Lagging> {
        self.0.broadcast(event.packet(), BroadcastOptions::new(sid)).map_err(|_| Lagging)
    }
}

/// The sockets of each mounted namespace. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Namespaces(Arc<Mutex<Vec<Sockets>>>);

impl Namespaces {
    pub fn sockets(&self, namespace: &str) -> Option<Sockets> {
        self.0.lock().iter().find(|sockets| &**sockets.0.path() == namespace).cloned()
    }
}

impl CoreAdapter<Emitter> for Sockets {
    type Error = Infallible;
    type State = Namespaces;
    type AckStream = <Emitter as SocketEmitter>::AckStream;
    type InitRes = ();

    fn new(namespaces: &Namespaces, local: CoreLocalAdapter<Emitter>) -> Self {
        let sockets = Self(Arc::new(local));
        namespaces.0.lock().push(sockets.clone());
        sockets
    }

    fn init(self: Arc<Self>, on_success: impl FnOnce() + Send + 'static) {
        on_success();
    }

    async fn broadcast_with_ack(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
        timeout: Option<Duration>,
    ) -> Result<Self::AckStream, Infallible> {
        Ok(self.0.broadcast_with_ack(packet, opts, timeout).0)
    }

    fn get_local(&self) -> &CoreLocalAdapter<Emitter> {
        &self.0
    }
}

impl DefinedAdapter for Sockets {}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn a_frame_has_the_text_that_the_library_would_write() {
        let payload = to_raw_value(&serde_json::json!({ "content": "x".repeat(90) })).unwrap();
        for (namespace, ack_id, begin) in [
            ("/", None, r#"42["event",{"#),
            ("/chat", None, r#"42/chat,["event",{"#),
            ("/chat", Some(1_000_000_000), r#"42/chat,1000000000["event",{"#),
        ] {
            let event = Encoded::event(namespace, "event", &payload);
            let event = match ack_id {
                Some(id) => event.acknowledged(id),
                None => event,
            };
            let frame = event.frame();
            // A frame of 126 bytes or more has a longer header.
            let header = if event.bytes() < 126 { 2 } else { 4 };
            assert_eq!(frame.len(), header + event.bytes());
            assert!(frame[header..].starts_with(begin.as_bytes()), "{begin}");
        }
    }

    #[test]
    fn the_size_of_an_id_is_that_of_its_digits() {
        for id in [0, 1, 9, 10, 99, 100, 999_999_999, 1_000_000_000, i64::MAX] {
            assert_eq!(packet_bytes("/", Some(id), 0), 2 + id.to_string().len(), "{id}");
        }
    }
}
