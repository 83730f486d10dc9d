//! `[cluster]`: several nodes on one PostgreSQL. Following the other nodes is left to `chat::cluster`.

use std::time::Duration;

use humantime_serde::re::humantime::format_duration;
use serde::{Deserialize, Serialize};

use super::mistake::Findings;

/// See [`ClusterConfig::bus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// By nothing: each node looks at intervals.
    Off,
    /// By notifications of PostgreSQL.
    Postgres,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// By what the nodes tell each other at once that there is something to look at.
    pub bus: Bus,
    /// How often this node beats, and looks at what other nodes have stored.
    #[serde(with = "humantime_serde")]
    pub look_every: Duration,
    /// How long after its last beat a node counts as alive.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl ClusterConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        found.duration("look_every", self.look_every);
        if self.lease < self.look_every.saturating_mul(4) {
            found.refuse(
                "lease",
                format!("is {}", format_duration(self.lease)),
                "use at least four times `look_every`: a single late beat must not end it",
            );
        } else {
            found.duration("lease", self.lease);
        }
    }
}
