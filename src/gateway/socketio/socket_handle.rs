//! A handle to one socket, for every namespace and dialect: sends packets to it and disconnects it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use socketioxide::{TransportType, socket::Sid};

use super::{
    Gateway, RawSocket, SocketIo,
    adapter::{Encoded, Sockets},
    handshake::Handshake,
    sessions::Sessions,
};
use crate::{
    backlog::Backlog,
    chat::connections::connection::Lagging,
    error::{Error, Result},
    gateway::tcp::TcpHandle,
    shutdown::Shutdown,
};

/// How long a client may take to close its connection after the server has ended it.
const GOODBYE: Duration = Duration::from_secs(5);

/// See the module.
pub struct SocketHandle {
    /// Weak: the socket holds the connection, which holds this handle.
    socket: Weak<RawSocket>,
    sid: Sid,
    sockets: Sockets,
    /// The session's websocket, if the session began with one.
    websocket: Option<TcpHandle>,
    backlog: Arc<Backlog>,
    namespace: &'static str,
    ping_interval: Duration,
    sessions: Sessions,
    io: SocketIo,
    shutdown: Shutdown,
}

impl SocketHandle {
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
            websocket: handshake.websocket.clone(),
            backlog: handshake.backlog.clone(),
            namespace,
            ping_interval: gateway.settings.server.ping_interval,
            sessions: gateway.sessions.clone(),
            io: gateway.io.clone(),
            shutdown: gateway.shutdown.clone(),
        })
    }

    pub fn socket(&self) -> Result<Arc<RawSocket>, Lagging> {
        self.socket.upgrade().ok_or(Lagging)
    }

    pub fn emit(&self, event: &Encoded) -> Result<(), Lagging> {
        if !self.socket()?.connected() {
            // The library would write nothing, so nothing may be counted.
            return Ok(());
        }
        self.counted(event.bytes(), || self.sockets.emit(self.sid, event))
    }

    /// Writes a packet of this many bytes. They count in the backlog until the connection has taken them.
    pub fn counted<T>(&self, bytes: usize, write: impl FnOnce() -> Result<T, Lagging>) -> Result<T, Lagging> {
        self.backlog.add(bytes).map_err(|_| Lagging)?;
        write().inspect_err(|_| self.backlog.taken(bytes))
    }

    /// See [`crate::chat::connections::connection::Outlet::silence`].
    pub fn silence(&self) -> Option<Duration> {
        let read_at = self.sessions.read_at(&self.sid.to_string(), self.websocket.as_ref());
        let silence = read_at.map_or(Duration::MAX, |at| at.elapsed());
        (silence > self.ping_interval).then_some(silence)
    }

    /// The bytes of events and acknowledgements that wait for the session.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Leaves the namespace; see [`crate::chat::connections::connection::Outlet::end`].
    pub fn end(&self) {
        let Ok(socket) = self.socket() else { return };
        let is_websocket = socket.transport_type() == TransportType::Websocket;
        if socket.disconnect().is_err() {
            self.disconnect();
            return;
        }
        // The socket has left the namespace, and the client has to close the connection below. A connection
        // that it does not close would stay for as long as the client answers pings.
        let (sessions, sid, tcp) = (self.sessions.clone(), self.sid, self.websocket.clone());
        let (shutdown, io) = (self.shutdown.clone(), self.io.clone());
        let namespace = self.namespace;
        self.shutdown.spawn(async move {
            if shutdown.begins_within(GOODBYE).await {
                return;
            }
            // A client that has joined again on the same connection, with a newer token, stays connected.
            if io.of(namespace).is_none_or(|namespace| namespace.get_socket(sid).is_none()) {
                sessions.disconnect(&sid.to_string(), is_websocket, tcp.as_ref());
            }
        });
    }

    /// Disconnects the session; see [`crate::chat::connections::connection::Outlet::disconnect`].
    pub fn disconnect(&self) {
        let is_websocket =
            self.socket().is_ok_and(|socket| socket.transport_type() == TransportType::Websocket);
        self.sessions.disconnect(&self.sid.to_string(), is_websocket, self.websocket.as_ref());
    }
}
