//! A socket's way out, whatever its namespace and dialect: packets to it, and its end.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use serde::Serialize;
use socketioxide::{
    SocketIo, TransportType,
    socket::{Sid, Socket},
};

use super::{Gateway, request::Handshake, sessions::Sessions};
use crate::{chat::connection::Lagging, gateway::line::Line, shutdown::Shutdown};

/// How long a client that was told goodbye may take to close its connection.
const GOODBYE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Way {
    /// Weak: the socket holds the connection, which holds this.
    socket: Weak<Socket>,
    sid: Sid,
    /// Its websocket, where the session began with one.
    websocket: Option<Line>,
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
    ) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            sid: socket.id,
            websocket: handshake.websocket.clone(),
            namespace,
            sessions: gateway.sessions.clone(),
            io: gateway.io.clone(),
            shutdown: gateway.shutdown.clone(),
        }
    }

    pub fn socket(&self) -> Result<Arc<Socket>, Lagging> {
        self.socket.upgrade().ok_or(Lagging)
    }

    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, payload: &T) -> Result<(), Lagging> {
        self.socket()?.emit(name, payload).map_err(|_| Lagging)
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
