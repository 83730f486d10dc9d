//! How long the message of a commit took that had waited longest. The clock is read once for each commit: for its first
//! message, and at its end. For every other message it costs one look at a number.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::metrics;

/// When the first message was queued that no commit has taken.
pub(super) struct LongestWait {
    /// Nanoseconds since `origin`; 0 for none.
    since: AtomicU64,
    origin: Instant,
}

/// The same, of the messages of one commit.
pub(super) struct WaitedSince(Option<Instant>);

impl LongestWait {
    pub fn new() -> Self {
        Self { since: AtomicU64::new(0), origin: Instant::now() }
    }

    /// A message is queued.
    pub fn note(&self) {
        if self.since.load(Ordering::Relaxed) == 0 {
            // Never 0. Of two messages at the same moment, either may be the first.
            let nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.since.store(nanos.max(1), Ordering::Relaxed);
        }
    }

    /// A commit takes the messages that wait. If some are left, their time begins anew.
    pub fn take(&self, some_are_left: bool) -> WaitedSince {
        let nanos = self.since.swap(0, Ordering::Relaxed);
        if some_are_left {
            self.note();
        }
        WaitedSince((nanos > 0).then(|| self.origin + Duration::from_nanos(nanos)))
    }
}

impl WaitedSince {
    /// The messages are acknowledged now.
    pub fn record(self) {
        if let Self(Some(since)) = self {
            metrics::ACKNOWLEDGEMENT_TIME.record_time(since.elapsed());
        }
    }
}
