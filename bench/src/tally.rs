//! What all clients of a workload have been sent so far, and what was wrong with it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long a workload may make no progress.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Default)]
pub struct Tally {
    pub deliveries: Count,
    /// Messages that their senders were told to have reached everyone.
    pub statuses: Count,
    wrong: Mutex<Option<String>>,
}

/// Counts up to what was announced.
#[derive(Default)]
pub struct Count {
    so_far: AtomicU64,
    expected: AtomicU64,
    reached: Notify,
}

impl Count {
    /// So many more are to come. Say it before they can.
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
    /// Waits until everything that is to come has come, and nothing more.
    pub async fn complete(&self) -> Result<()> {
        self.reach(&self.deliveries).await.context("deliveries")?;
        self.reach(&self.statuses).await.context("delivery statuses")
    }

    /// Waits until all deliveries that are to come have come.
    pub async fn delivered(&self) -> Result<()> {
        self.reach(&self.deliveries).await.context("deliveries")
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
            // Who waits for an answer of that client ends with a less telling error.
            eprintln!("{why}");
            why
        });
        self.deliveries.reached.notify_one();
        self.statuses.reached.notify_one();
    }

    /// What went wrong first, if anything did.
    pub fn check(&self) -> Result<()> {
        self.wrong.lock().as_ref().map_or(Ok(()), |why| Err(anyhow!("{why}")))
    }
}
