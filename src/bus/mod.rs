//! The bus: what carries a frame from each node to all nodes. PostgreSQL's notifications, NATS or Redis; each is a
//! [`Driver`] in a file of its own. [`frame`] has the form of what the nodes tell each other.
//!
//! A bus decides nothing. It may lose frames, repeat or delay them, and swap them; it may be gone, or deliver nothing
//! although its connection is healthy. Whoever listens has to find that out (`chat::cluster`), and asks the driver to
//! connect again. So a driver is short: it never repeats, and keeps nothing for later.

pub mod frame;
mod nats;
mod postgres;
mod redis;
mod sql;

pub use self::{nats::Nats, postgres::Postgres, redis::Redis};

use thiserror::Error;

/// A way from each node to all nodes, also to the one that sends.
pub trait Driver: Send + Sync + 'static {
    type Listener: Listener;

    /// The most bytes of one frame.
    const LONGEST: usize;

    /// Sends frames in this order.
    ///
    /// # Errors
    /// None or only some of them have been sent. The driver does not try again.
    fn send(&self, frames: Vec<String>) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Connects, and listens from now on. The listener before is given up; what is sent uses the new connection, too, if
    /// one serves both.
    fn listen(&self) -> impl Future<Output = Result<Self::Listener, Broken>> + Send;
}

/// Hears what is sent.
pub trait Listener: Send {
    /// The next frame. May be cancelled.
    ///
    /// # Errors
    /// The connection is lost. What was sent meanwhile is lost, too: use a new listener.
    fn next(&mut self) -> impl Future<Output = Result<String, Broken>> + Send;
}

/// The bus does not work at this moment. The text names no address and no password.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Broken(String);

impl Broken {
    pub fn new(cause: impl ToString) -> Self {
        Self(cause.to_string())
    }
}
