//! The way of one socket's events and answers to its client.
//!
//! ```text
//!   +------------+  the session has a websocket, the socket has written     +--------+
//!   | by library | --------------------------------------------------->     | direct |
//!   +------------+  something, and nothing of the session waits any more    +--------+
//!         |                                                                      |
//!         | the client or the server leaves the namespace                        |
//!         v                                                                      |
//!     +------+                                                                   |
//!     | left | <-----------------------------------------------------------------+
//!     +------+
//! ```
//!
//! - *by library*: packets go into the session's queue in the library, in whose order they are written, over any
//!   transport. Everything begins so: the answer to CONNECT is in that queue before the socket's first event.
//! - *direct*: whoever publishes hands finished frames to the TCP connection
//!   ([`crate::gateway::tcp::TcpHandle::push`]), without a task of the library for each socket. When the socket has
//!   written something by the library, and no byte of the session's events and answers waits there, everything that came
//!   before has left in that order; so has the answer to CONNECT. From then on, the library writes only its own packets for
//!   this socket: its heartbeat, and that the namespace is left. The TCP connection keeps these in their order.
//! - *left*: nothing is written. What the client gets after it has joined again belongs to another socket, whose
//!   events must not mix with those of this one.
//!
//! Everything is decided under one lock, so that no packet overtakes another at a change of the way.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use socketioxide::{TransportType, extract::AckSender, socket::Sid};

use super::{
    Gateway, RawSocket,
    adapter::{Encoded, Sockets, packet_bytes, packet_frame},
    handshake::Handshake,
    sessions::Sessions,
};
use crate::{
    backlog::Backlog,
    chat::connections::connection::Lagging,
    error::{Error, Result},
    gateway::tcp::{AckFilter, TcpHandle},
};

/// See the module.
pub struct Route {
    /// Weak: the socket holds the connection, which holds this.
    socket: Weak<RawSocket>,
    sid: Sid,
    sockets: Sockets,
    namespace: &'static str,
    backlog: Arc<Backlog>,
    sessions: Sessions,
    /// The most frames that may wait.
    most: usize,
    way: Mutex<Way>,
}

enum Way {
    Library {
        /// The session's websocket, once it is known.
        websocket: Option<TcpHandle>,
        has_written: bool,
    },
    Direct(TcpHandle),
    Left,
}

impl Route {
    pub fn new(
        gateway: &Gateway,
        socket: &Arc<RawSocket>,
        handshake: &Handshake,
        namespace: &'static str,
    ) -> Result<Self> {
        let sockets = gateway.namespaces.sockets(namespace);
        Ok(Self {
            socket: Arc::downgrade(socket),
            sid: socket.id,
            sockets: sockets.ok_or_else(|| Error::internal("a namespace that is not mounted"))?,
            namespace,
            backlog: handshake.backlog.clone(),
            sessions: gateway.sessions.clone(),
            most: gateway.settings.limits.outgoing_packets,
            way: Mutex::new(Way::Library { websocket: handshake.websocket.clone(), has_written: false }),
        })
    }

    pub fn socket(&self) -> Result<Arc<RawSocket>, Lagging> {
        self.socket.upgrade().ok_or(Lagging)
    }

    /// The bytes of events and answers that wait for the session.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Writes an event. [`Route::flush`] sends it.
    pub fn emit(&self, event: &Encoded) -> Result<(), Lagging> {
        let by_library = || match self.socket()?.connected() {
            true => self.counted(event.bytes(), || self.sockets.emit(self.sid, event)),
            // The library would write nothing, so nothing may be counted.
            false => Ok(()),
        };
        self.write(|| event.frame(), by_library)
    }

    /// Writes the answer to an event that was sent with this id. [`Route::flush`] sends it.
    pub fn answer(&self, ack_id: i64, answer: &RawValue, sender: AckSender<Sockets>) -> Result<(), Lagging> {
        // The library puts it into an array.
        let arguments = || ["[", answer.get(), "]"].concat();
        let by_library = || {
            let bytes = packet_bytes(self.namespace, Some(ack_id), "[]".len() + answer.get().len());
            self.counted(bytes, || sender.send(answer).map_err(|_| Lagging))
        };
        self.write(|| packet_frame("43", self.namespace, Some(ack_id), &arguments()), by_library)
    }

    /// Writes something that only the library can write. `None`, and nothing is written, if it goes by the library no
    /// more.
    pub fn by_library<T>(
        &self,
        bytes: usize,
        write: impl FnOnce(&Arc<RawSocket>) -> Result<T, Lagging>,
    ) -> Result<Option<T>, Lagging> {
        let socket = self.socket()?;
        let mut way = self.way.lock();
        let Way::Library { has_written, .. } = &mut *way else { return Ok(None) };
        *has_written = true;
        self.counted(bytes, || write(&socket)).map(Some)
    }

    /// Sends what was written. Whoever writes calls this, without a lock of the core.
    pub fn flush(&self) {
        if let Way::Direct(tcp) = &*self.way.lock() {
            tcp.flush();
        }
    }

    /// Writes nothing more.
    pub fn leave(&self) {
        *self.way.lock() = Way::Left;
    }

    /// Takes acknowledgements out of what the client sends over its websocket. Returns whether it has one.
    pub fn take_acks(&self, filter: AckFilter) -> bool {
        let mut way = self.way.lock();
        let tcp = match &mut *way {
            Way::Library { websocket, .. } => self.open_websocket(websocket),
            Way::Direct(tcp) => Some(&*tcp),
            Way::Left => None,
        };
        tcp.inspect(|tcp| tcp.take_acks(filter)).is_some()
    }

    fn write(
        &self,
        frame: impl FnOnce() -> Bytes,
        by_library: impl FnOnce() -> Result<(), Lagging>,
    ) -> Result<(), Lagging> {
        let mut way = self.way.lock();
        if let Way::Library { websocket, has_written: true } = &mut *way
            && self.backlog.waiting() == 0
            && let Some(tcp) = self.open_websocket(websocket)
        {
            *way = Way::Direct(tcp.clone());
        }
        match &mut *way {
            Way::Library { has_written, .. } => {
                *has_written = true;
                by_library()
            }
            Way::Direct(tcp) => tcp.push(frame(), self.most).map_err(|_| Lagging),
            Way::Left => Ok(()),
        }
    }

    /// The session's websocket, if the client can be written to over it.
    fn open_websocket<'a>(&self, websocket: &'a mut Option<TcpHandle>) -> Option<&'a TcpHandle> {
        if websocket.is_none() && self.socket().ok()?.transport_type() == TransportType::Websocket {
            *websocket = self.sessions.upgraded_to(&self.sid.to_string());
        }
        websocket.as_ref().filter(|tcp| tcp.is_websocket())
    }

    /// Writes a packet of this many bytes by the library. They count in the backlog until the connection has taken
    /// them.
    fn counted<T>(&self, bytes: usize, write: impl FnOnce() -> Result<T, Lagging>) -> Result<T, Lagging> {
        self.backlog.add(bytes).map_err(|_| Lagging)?;
        write().inspect_err(|_| self.backlog.taken(bytes))
    }
}
