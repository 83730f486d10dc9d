//! A socket's way out, whatever its namespace and dialect: packets to it, and its end.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use socketioxide::{TransportType, socket::Sid};

use super::{
    Gateway, Socket, SocketIo,
    encoded::{Encoded, Sockets},
    request::Handshake,
    sessions::Sessions,
};
use crate::{
    backlog::Backlog,
    chat::connection::Lagging,
    error::{Error, Result},
    gateway::line::Line,
    shutdown::Shutdown,
};

/// How long a client that was told goodbye may take to close its connection.
const GOODBYE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Way {
    /// Weak: the socket holds the connection, which holds this.
    socket: Weak<Socket>,
    sid: Sid,
    sockets: Sockets,
    /// Its websocket, where the session began with one.
    websocket: Option<Line>,
    backlog: Arc<Backlog>,
    namespace: &'static str,
    sessions: Sessions,
    io: SocketIo,
    shutdown: Shutdown,
}

impl Way {
    pub fn new(
        gateway: &Gateway,
        socket: &Arc<Socket>,
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
            sessions: gateway.sessions.clone(),
            io: gateway.io.clone(),
            shutdown: gateway.shutdown.clone(),
        })
    }

    pub fn socket(&self) -> Result<Arc<Socket>, Lagging> {
        self.socket.upgrade().ok_or(Lagging)
    }

    pub fn emit(&self, event: &Encoded) -> Result<(), Lagging> {
        if !self.socket()?.connected() {
            // The library would write nothing, and so nothing may be counted.
            return Ok(());
        }
        self.counted(event.bytes(), || self.sockets.emit(self.sid, event))
    }

    /// Writes a packet of so many bytes; they are counted in the backlog until the connection has taken them.
    pub fn counted<T>(&self, bytes: usize, write: impl FnOnce() -> Result<T, Lagging>) -> Result<T, Lagging> {
        self.backlog.add(bytes).map_err(|_| Lagging)?;
        write().inspect_err(|_| self.backlog.taken(bytes))
    }

    /// The bytes of events and acknowledgements that wait for the session.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Leaves the namespace; see [`crate::chat::connection::Outlet::end`].
    pub fn end(&self) {
        let Ok(socket) = self.socket() else { return };
        let is_websocket = socket.transport_type() == TransportType::Websocket;
        if socket.disconnect().is_err() {
            self.cut();
            return;
        }
        // The namespace is left, the connection below is the client's to close; one that does not
        // would stay for as long as it answers pings.
        let (sessions, sid, line) = (self.sessions.clone(), self.sid, self.websocket.clone());
        let (shutdown, io) = (self.shutdown.clone(), self.io.clone());
        let namespace = self.namespace;
        self.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(GOODBYE) => {}
                () = shutdown.begun() => return,
            }
            // One that has come back on the same connection, with a newer token, stays.
            if io.of(namespace).is_none_or(|namespace| namespace.get_socket(sid).is_none()) {
                sessions.cut(&sid.to_string(), is_websocket, line.as_ref());
            }
        });
    }

    /// Cuts the session; see [`crate::chat::connection::Outlet::cut`].
    pub fn cut(&self) {
        let is_websocket =
            self.socket().is_ok_and(|socket| socket.transport_type() == TransportType::Websocket);
        self.sessions.cut(&self.sid.to_string(), is_websocket, self.websocket.as_ref());
    }
}
