//! The message of a `connect_error`, which refuses a socket.

use std::fmt;

use crate::{error::Error, gateway::wire::Refusal};

/// The code, a colon and a sentence. The library sends nothing but a message.
#[derive(Debug)]
pub struct ConnectError(String);

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        let refusal = Refusal::of(&error);
        Self(format!("{}: {}", refusal.code, refusal.message))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
