//! When a client is behind with its acknowledgements ([`crate::chat::connection::Outlet::is_pressed`]).

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A client that has acknowledged nothing for so long is not waited for: it may never do so.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far a client may be behind, and when it last caught up a little.
#[derive(Debug)]
pub struct Pressure {
    most: usize,
    kept_at: Mutex<Instant>,
}

impl Pressure {
    /// `unacknowledged` events are all that it may leave so.
    pub fn new(unacknowledged: usize) -> Self {
        // Up to here messages go out as they are published; then they come from the database, page by
        // page and as the client keeps up, so that each is acknowledged. The other half is for those pages.
        Self { most: unacknowledged - unacknowledged / 2, kept_at: Mutex::new(Instant::now()) }
    }

    /// It has acknowledged something, or is asked to for the first time.
    pub fn moved(&self) {
        *self.kept_at.lock() = Instant::now();
    }

    /// Whether so many being waited for is too many for more to go out at once.
    pub fn is_felt(&self, waiting: usize) -> bool {
        waiting >= self.most && self.kept_at.lock().elapsed() < PATIENCE
    }
}
