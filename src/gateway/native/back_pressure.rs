//! Whether a client is behind with its acknowledgements
//! ([`crate::chat::connections::connection::Outlet::is_pressed`]).

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// If a client has acknowledged nothing for this long, the server does not wait for it: it may never
/// acknowledge.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// How far a client may be behind, and when it last acknowledged something.
#[derive(Debug)]
pub struct Pressure {
    most: usize,
    kept_at: Mutex<Instant>,
}

impl Pressure {
    /// At most `unacknowledged` events may wait for their acknowledgement.
    pub fn new(unacknowledged: usize) -> Self {
        // Below this number, messages are sent as they are published. Above it, they come from the database
        // in pages, as fast as the client acknowledges them. The other half of the limit is for these pages.
        Self { most: unacknowledged - unacknowledged / 2, kept_at: Mutex::new(Instant::now()) }
    }

    /// The client has acknowledged something, or the first acknowledgement was requested.
    pub fn moved(&self) {
        *self.kept_at.lock() = Instant::now();
    }

    /// Whether so many acknowledgements are pending that no more messages should be sent at once.
    pub fn is_felt(&self, waiting: usize) -> bool {
        waiting >= self.most && self.kept_at.lock().elapsed() < SILENT_AFTER
    }
}
