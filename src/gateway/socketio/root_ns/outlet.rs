//! A `/` socket's way out: what the core says in the words of the dialects that it may speak.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{PATH, Spoken, joined::Joined, lobby, rooms};
use crate::{
    backlog::Backlog,
    chat::{
        connection::{Connection, Lagging, Outlet},
        event::Envelope,
    },
    gateway::socketio::{encoded::Encoded, way::Way},
};

/// An event of this namespace.
pub fn said(name: &'static str, payload: &(impl Serialize + ?Sized)) -> Option<Encoded> {
    to_raw_value(payload)
        .inspect_err(|err| tracing::error!(error = %err, event = name, "could not render an event"))
        .ok()
        .map(|payload| Encoded::event(PATH, name, &payload))
}

/// See the module.
pub struct RootOutlet {
    way: Way,
    spoken: Arc<Spoken>,
    joined: Arc<Joined>,
}

impl RootOutlet {
    pub fn new(way: Way, spoken: Arc<Spoken>, joined: Arc<Joined>) -> Self {
        Self { way, spoken, joined }
    }
}

impl Outlet for RootOutlet {
    fn gateway(&self) -> &'static str {
        "root"
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.way.backlog()
    }

    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let is_own = envelope.is_from(connection.id);
        if self.spoken.hears_rooms()
            && let Some(said) = rooms::render(envelope, is_own, &self.joined)
        {
            self.way.emit(said)?;
        }
        if self.spoken.hears_lobby()
            && let Some(said) = lobby::render(envelope, is_own)
        {
            self.way.emit(said)?;
        }
        Ok(())
    }

    fn end(&self) {
        self.way.end();
    }

    /// Not by leaving the namespace: these apps show that a login is over when they come back and are
    /// refused.
    fn log_out(&self) {
        self.way.cut();
    }

    fn cut(&self) {
        self.way.cut();
    }
}
