//! Encodes an event once for all sockets that receive it. The library would encode an event again for each
//! socket. Only an adapter, the library's own registry of sockets, may give a socket a packet that is already
//! encoded. So this is an adapter. In everything else it does what the library's local adapter does.

use std::{convert::Infallible, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::value::RawValue;
use socketioxide::adapter::Emitter;
use socketioxide_core::{
    Sid, Value,
    adapter::{BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter, SocketEmitter},
    packet::Packet,
};

use crate::chat::connections::connection::Lagging;

/// An event as a packet of one namespace. Cheap to clone.
#[derive(Clone)]
pub struct Encoded {
    packet: Packet,
    bytes: usize,
}

impl Encoded {
    /// `name` is one of this server's names, so nothing in it needs an escape.
    pub fn event(namespace: &'static str, name: &'static str, payload: &RawValue) -> Self {
        let arguments = format!("[\"{name}\",{}]", payload.get());
        let bytes = packet_bytes(namespace, None, arguments.len());
        Self { packet: Packet::event(namespace, Value::Str(arguments.into(), None)), bytes }
    }

    /// The size of the packet as the engine writes it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The size of an event or an acknowledgement as the engine writes it: `42/chat,17["name",{}]`.
pub fn packet_bytes(namespace: &str, ack_id: Option<i64>, arguments: usize) -> usize {
    let namespace = if namespace == "/" { 0 } else { namespace.len() + ",".len() };
    let ack_id = ack_id.map_or(0, |id| id.to_string().len());
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
        self.0.broadcast(event.packet.clone(), BroadcastOptions::new(sid)).map_err(|_| Lagging)
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
