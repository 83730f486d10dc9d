//! The acknowledgements that one connection still has to send: how many may be pending, and whether the client
//! is behind with them ([`crate::chat::connections::connection::Outlet::is_pressed`]). How an acknowledgement
//! travels is the transport's business.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::counts::Count;

/// If a client has acknowledged nothing for this long, the server does not wait for it: it may never
/// acknowledge.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// See the module. While it is full, messages are sent without a request for an acknowledgement. The client
/// receives them all the same. Its receipt moves over them with the acknowledgement of a later message.
#[derive(Debug)]
pub struct PendingAcks {
    most: usize,
    pending: AtomicUsize,
    /// Those of all connections.
    all: Count,
    /// When the client last acknowledged something.
    moved_at: Mutex<Instant>,
}

/// One pending acknowledgement, until it is dropped.
#[derive(Debug)]
pub struct PendingAck(Arc<PendingAcks>);

impl PendingAcks {
    /// At most `most` acknowledgements are pending. `all` counts those of all connections.
    pub fn new(most: usize, all: Count) -> Arc<Self> {
        let moved_at = Mutex::new(Instant::now());
        Arc::new(Self { most, pending: AtomicUsize::new(0), all, moved_at })
    }

    /// One more; `None` if as many as may be are pending.
    pub fn ask(self: &Arc<Self>) -> Option<PendingAck> {
        let more = |pending| (pending < self.most).then_some(pending + 1);
        let before = self.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        if before == 0 {
            self.moved();
        }
        self.all.add(1);
        Some(PendingAck(self.clone()))
    }

    /// The client has acknowledged something.
    pub fn moved(&self) {
        *self.moved_at.lock() = Instant::now();
    }

    /// Whether any are pending.
    pub fn are_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0
    }

    /// Whether so many are pending that no more messages should be sent as they are published. They then come
    /// from the database in pages, as fast as the client acknowledges them. The other half of the limit is for
    /// these pages.
    pub fn are_pressing(&self) -> bool {
        self.pending.load(Ordering::Relaxed) >= self.most - self.most / 2
            && self.moved_at.lock().elapsed() < SILENT_AFTER
    }
}

impl Drop for PendingAck {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
        self.0.all.remove(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_pending_than_allowed_and_those_that_are_over_count_no_more() {
        let all = Count::default();
        let acks = PendingAcks::new(2, all.clone());
        let (first, second) = (acks.ask(), acks.ask());
        assert!(first.is_some() && second.is_some() && acks.ask().is_none());
        assert_eq!(all.now(), 2);
        drop(first);
        assert!(acks.ask().is_some());
        drop(second);
        assert_eq!(all.now(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_limit_presses_while_the_client_acknowledges() {
        let acks = PendingAcks::new(3, Count::default());
        let _first = acks.ask();
        assert!(!acks.are_pressing());
        let _second = acks.ask();
        assert!(acks.are_pressing());
        tokio::time::advance(SILENT_AFTER).await;
        assert!(!acks.are_pressing(), "the client may never acknowledge");
        acks.moved();
        assert!(acks.are_pressing());
    }
}
