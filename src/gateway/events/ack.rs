//! The answer to one event.

use std::{fmt, sync::Arc};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    chat::connection::{Connection, Lagging},
    error::{Busy, Error},
};

/// Writes an answer's JSON behind everything that was written before.
pub type Write = Box<dyn FnOnce(&RawValue) -> Result<(), Lagging> + Send + Sync>;

/// See the module. A queue too full for it cuts the connection: its client must not wait for an
/// answer that never comes, and asks again when it is back.
pub struct Ack {
    /// None where the client asked for no answer.
    write: Option<Write>,
    connection: Arc<Connection>,
}

impl Ack {
    pub fn new(write: Option<Write>, connection: Arc<Connection>) -> Self {
        Self { write, connection }
    }

    /// Answers, in whatever shape the wire form has for it.
    pub fn answer(self, answer: &impl Serialize) {
        let Some(write) = self.write else { return };
        let written = to_raw_value(answer).map(|json| write(&json));
        match written {
            Ok(Ok(())) => {}
            Ok(Err(Lagging)) => self.connection.cut("its queue is full"),
            // Views are strings, numbers and JSON that was checked when it came in.
            Err(err) => {
                tracing::error!(error = %err, "could not render an answer");
                self.connection.cut("an answer could not be rendered");
            }
        }
    }

    /// Answers with a refusal, except on a connection that is about to go: a client that retries takes
    /// a refusal as final, and silence as a reason to send again when it is back.
    pub fn refuse<R: Serialize>(self, error: &Error, render: impl FnOnce(&Error) -> R) {
        if !matches!(error, Error::Unavailable(Busy::Draining | Busy::Reconnecting)) {
            self.answer(&render(error));
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("connection", &self.connection.id).finish_non_exhaustive()
    }
}
