//! A `/` socket's way out: what the core says in the words of the dialects that it may speak.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Spoken, joined::Joined, lobby, rooms};
use crate::{
    chat::{
        connection::{Connection, Lagging, Outlet},
        event::Envelope,
    },
    gateway::socketio::way::Way,
};

/// An event's name and payload.
pub struct Said {
    pub name: &'static str,
    pub payload: Box<RawValue>,
}

impl Said {
    pub fn new(name: &'static str, payload: &(impl Serialize + ?Sized)) -> Option<Self> {
        to_raw_value(payload)
            .inspect_err(|err| tracing::error!(error = %err, event = name, "could not render an event"))
            .ok()
            .map(|payload| Self { name, payload })
    }
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

    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let is_own = envelope.is_from(connection.id);
        if self.spoken.hears_rooms()
            && let Some(said) = rooms::render(envelope, is_own, &self.joined)
        {
            self.way.emit(said.name, &*said.payload)?;
        }
        if self.spoken.hears_lobby()
            && let Some(said) = lobby::render(envelope, is_own)
        {
            self.way.emit(said.name, &*said.payload)?;
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
