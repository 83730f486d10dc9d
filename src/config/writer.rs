//! `[writer]`: how messages gather into commits. Committing them is left to `chat::writer` and `chat::receipts`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mistake::Findings;

/// The most messages in one commit: a commit on SQLite has 15 values for each message, and SQLite takes 32,766 in one
/// statement.
const BATCH_MOST: usize = 2_048;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WriterConfig {
    /// Messages that may wait to be committed; one more is `unavailable`.
    pub queue: usize,
    /// Bytes of messages that may wait to be committed; one more message is `unavailable`.
    pub queue_bytes: usize,
    /// The most messages in one commit.
    pub batch: usize,
    /// How often changed receipts are written.
    #[serde(with = "humantime_serde")]
    pub receipts_tick: Duration,
}

impl WriterConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        found.count("queue", self.queue);
        found.count("queue_bytes", self.queue_bytes);
        if !(1..=BATCH_MOST).contains(&self.batch) {
            found.refuse(
                "batch",
                format!("is {}", self.batch),
                format!("use a number from 1 to {BATCH_MOST}"),
            );
        }
        found.duration("receipts_tick", self.receipts_tick);
    }
}
