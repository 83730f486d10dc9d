//! `[presence]`: who hears of whom coming and going, and how soon. Keeping count is left to `chat::presence`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mistake::Findings;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceConfig {
    /// Up to how many users online everyone hears of everyone; beyond it, only people who share a room. Zero: never.
    pub everyone_up_to: usize,
    /// How long a user may be without a connection before the others are told; zero tells at once.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl PresenceConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        found.duration_or_zero("grace", self.grace);
    }
}
