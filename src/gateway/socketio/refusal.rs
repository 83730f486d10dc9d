//! The two shapes in which Socket.IO clients meet an error: a failed acknowledgement, and the one
//! sentence of a refused connection.

use std::fmt;

use serde::Serialize;

use crate::{error::Error, gateway::wire::Refusal};

/// A failed acknowledgement: `{ success: false, error }`.
#[derive(Serialize)]
pub struct Failure {
    success: bool,
    error: Refusal,
}

impl Failure {
    pub fn of(error: &Error) -> Self {
        Self { success: false, error: Refusal::of(error) }
    }
}

/// A refused connection: the code, a colon and a sentence, because a message is all that the
/// library sends.
#[derive(Debug)]
pub struct Refused(String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let refusal = Refusal::of(&error);
        Self(format!("{}: {}", refusal.code, refusal.message))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
