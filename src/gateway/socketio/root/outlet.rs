//! The outlet of a `/` socket: sends the core's events in the form of each front end that the socket may
//! belong to.

use std::{sync::Arc, time::Duration};

use super::FrontEnds;
use crate::{
    backlog::Backlog,
    chat::{
        connections::connection::{Connection, Emitted, Lagging, Outlet},
        event::Envelope,
    },
    gateway::socketio::socket_handle::SocketHandle,
};

/// See the module.
pub struct RootOutlet {
    handle: SocketHandle,
    front_ends: Arc<FrontEnds>,
}

impl RootOutlet {
    pub fn new(handle: SocketHandle, front_ends: Arc<FrontEnds>) -> Self {
        Self { handle, front_ends }
    }
}

impl Outlet for RootOutlet {
    fn gateway(&self) -> &'static str {
        "root"
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.handle.backlog()
    }

    fn silence(&self) -> Option<Duration> {
        self.handle.silence()
    }

    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<Emitted, Lagging> {
        let is_own = envelope.is_from(connection.id);
        for front_end in self.front_ends.possible() {
            if let Some(event) = front_end.render(envelope, is_own) {
                self.handle.emit(event)?;
            }
        }
        Ok(Emitted::AsUsual)
    }

    fn flush(&self) {
        self.handle.flush();
    }

    fn end(&self) {
        self.handle.end();
    }

    /// Does not leave the namespace: these apps show that a login is over when they reconnect and are
    /// refused.
    fn log_out(&self) {
        self.handle.disconnect();
    }

    fn disconnect(&self) {
        self.handle.disconnect();
    }
}
