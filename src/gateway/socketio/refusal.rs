//! How a socket is refused: the one sentence of a `connect_error`.

use std::fmt;

use crate::{error::Error, gateway::wire::Refusal};

/// The code, a colon and a sentence, because a message is all that the
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
