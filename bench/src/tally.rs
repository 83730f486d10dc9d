//! Counts what all clients of a workload have received, and records the first failure.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Maximum time for a workload without progress.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Default)]
pub struct Tally {
    pub deliveries: Count,
    /// Messages whose senders were notified of the delivery to everyone.
    pub statuses: Count,
    /// Changes of messages.
    pub changes: Count,
    wrong: Mutex<Option<String>>,
}

/// Counts up to an announced number.
#[derive(Default)]
pub struct Count {
    so_far: AtomicU64,
    expected: AtomicU64,
    reached: Notify,
}

impl Count {
    /// Announces `more` events. Call it before they can arrive.
    pub fn expect(&self, more: u64) {
        self.expected.fetch_add(more, Ordering::SeqCst);
    }

    pub fn one_more(&self) {
        let so_far = self.so_far.fetch_add(1, Ordering::SeqCst) + 1;
        if so_far >= self.expected.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }

    pub fn so_far(&self) -> u64 {
        self.so_far.load(Ordering::SeqCst)
    }

    fn is_reached(&self) -> bool {
        self.so_far() >= self.expected.load(Ordering::SeqCst)
    }
}

impl Tally {
    /// Waits until exactly the announced events have arrived.
    pub async fn complete(&self) -> Result<()> {
        self.reach(&self.deliveries).await.context("deliveries")?;
        self.reach(&self.statuses).await.context("delivery statuses")
    }

    /// Waits until all announced deliveries have arrived.
    pub async fn delivered(&self) -> Result<()> {
        self.reach(&self.deliveries).await.context("deliveries")
    }

    /// Waits until exactly the announced changes have arrived.
    pub async fn changed(&self) -> Result<()> {
        self.reach(&self.changes).await.context("changes")
    }

    async fn reach(&self, count: &Count) -> Result<()> {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !count.is_reached() && self.wrong.lock().is_none() {
                count.reached.notified().await;
            }
        });
        let in_time = waited.await.is_ok();
        self.check()?;
        let (so_far, expected) = (count.so_far(), count.expected.load(Ordering::SeqCst));
        ensure!(in_time, "{} of {expected} are missing after {PATIENCE:?}", expected.saturating_sub(so_far));
        ensure!(so_far == expected, "{so_far} came instead of {expected}");
        Ok(())
    }

    /// Fails the workload.
    pub fn fail(&self, why: String) {
        self.wrong.lock().get_or_insert_with(|| {
            // Printed here, because a task that waits for an answer of that client fails with a less useful
            // error.
            eprintln!("{why}");
            why
        });
        self.deliveries.reached.notify_one();
        self.statuses.reached.notify_one();
        self.changes.reached.notify_one();
    }

    /// Returns the first failure, if there is one.
    pub fn check(&self) -> Result<()> {
        self.wrong.lock().as_ref().map_or(Ok(()), |why| Err(anyhow!("{why}")))
    }
}
