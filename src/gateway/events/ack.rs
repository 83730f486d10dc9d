//! The answer to one event.

use std::{fmt, sync::Arc};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    chat::connections::connection::{Connection, Lagging},
    error::{Error, Unavailable},
};

/// Writes an answer's JSON after everything that was written before.
pub type Write = Box<dyn FnOnce(&RawValue) -> Result<(), Lagging> + Send + Sync>;

/// See the module. If the queue is full, the connection is disconnected: its client must not wait for an
/// answer that never comes. The client asks again after it reconnects.
pub struct Ack {
    /// `None` if the client asked for no answer.
    write: Option<Write>,
    connection: Arc<Connection>,
}

impl Ack {
    pub fn new(write: Option<Write>, connection: Arc<Connection>) -> Self {
        Self { write, connection }
    }

    /// Sends the answer, in the shape of the wire form.
    pub fn answer(self, answer: &impl Serialize) {
        let Some(write) = self.write else { return };
        let written = to_raw_value(answer).map(|json| write(&json));
        match written {
            Ok(Ok(())) => {}
            Ok(Err(Lagging)) => self.connection.disconnect("its queue is full"),
            // Views contain strings, numbers, and JSON that was checked when it was received.
            Err(err) => {
                tracing::error!(error = %err, "could not render an answer");
                self.connection.disconnect("an answer could not be rendered");
            }
        }
    }

    /// Answers with a refusal, except on a connection that is about to be disconnected. A client that retries
    /// treats a refusal as final. Without an answer, it sends again after it reconnects.
    pub fn refuse<R: Serialize>(self, error: &Error, render: impl FnOnce(&Error) -> R) {
        if !matches!(error, Error::Unavailable(Unavailable::Draining | Unavailable::Reconnecting)) {
            self.answer(&render(error));
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("connection", &self.connection.id).finish_non_exhaustive()
    }
}
