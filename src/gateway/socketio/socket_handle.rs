//! A handle to one socket, for every namespace and dialect: sends packets to it and disconnects it.

use std::{sync::Arc, time::Duration};

use socketioxide::{TransportType, socket::Sid};

use super::{
    Gateway, RawSocket, SocketIo, adapter::Encoded, handshake::Handshake, route::Route, sessions::Sessions,
};
use crate::{
    backlog::Backlog, chat::connections::connection::Lagging, error::Result, gateway::tcp::TcpHandle,
    shutdown::Shutdown,
};

/// How long a client may take to close its connection after the server has ended it.
const GOODBYE: Duration = Duration::from_secs(5);

/// See the module.
pub struct SocketHandle {
    route: Arc<Route>,
    sid: Sid,
    /// The session's websocket, if the session began with one.
    websocket: Option<TcpHandle>,
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
        Ok(Self {
            route: Arc::new(Route::new(gateway, socket, handshake, namespace)?),
            sid: socket.id,
            websocket: handshake.websocket.clone(),
            namespace,
            ping_interval: gateway.settings.server.ping_interval,
            sessions: gateway.sessions.clone(),
            io: gateway.io.clone(),
            shutdown: gateway.shutdown.clone(),
        })
    }

    /// The way of what is written to the socket.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Writes an event. [`SocketHandle::flush`] sends it.
    pub fn emit(&self, event: &Encoded) -> Result<(), Lagging> {
        self.route.emit(event)
    }

    /// See [`crate::chat::connections::connection::Outlet::flush`].
    pub fn flush(&self) {
        self.route.flush();
    }

    /// See [`crate::chat::connections::connection::Outlet::silence`].
    pub fn silence(&self) -> Option<Duration> {
        let read_at = self.sessions.read_at(&self.sid.to_string(), self.websocket.as_ref());
        let silence = read_at.map_or(Duration::MAX, |at| at.elapsed());
        (silence > self.ping_interval).then_some(silence)
    }

    /// The bytes of events and acknowledgements that wait for the session.
    pub fn backlog(&self) -> &Arc<Backlog> {
        self.route.backlog()
    }

    /// Leaves the namespace; see [`crate::chat::connections::connection::Outlet::end`].
    pub fn end(&self) {
        let Ok(socket) = self.route.socket() else { return };
        self.route.leave();
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
            self.route.socket().is_ok_and(|socket| socket.transport_type() == TransportType::Websocket);
        self.sessions.disconnect(&self.sid.to_string(), is_websocket, self.websocket.as_ref());
    }
}
