//! `[cluster]`: several nodes on one PostgreSQL. Following the other nodes is left to `chat::cluster`.

use std::{str::FromStr, time::Duration};

use humantime_serde::re::humantime::format_duration;
use sea_orm::sqlx::postgres::PgConnectOptions;
use serde::{Deserialize, Serialize};

use super::{DatabaseUrl, mistake::Findings};

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
    /// The address of PostgreSQL for the connection that listens, where `database.url` is a pooler that shares
    /// connections; empty for `database.url`. The login and the database of `database.url` are taken if it names none.
    pub listen_url: DatabaseUrl,
    /// How often this node beats, and looks at what other nodes have stored.
    #[serde(with = "humantime_serde")]
    pub look_every: Duration,
    /// How long after its last beat a node counts as alive.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl ClusterConfig {
    /// Where to listen, if not at `database.url`.
    pub fn listens_at(&self) -> Option<&DatabaseUrl> {
        Some(&self.listen_url).filter(|url| !url.expose().is_empty())
    }

    pub(super) fn check(&self, found: &mut Findings<'_>) {
        let is_usable =
            |url: &DatabaseUrl| url.is_postgres() && PgConnectOptions::from_str(url.expose()).is_ok();
        if self.listens_at().is_some_and(|url| !is_usable(url)) {
            found.refuse(
                "listen_url",
                format!("\"{}\" is not an address of PostgreSQL", self.listen_url),
                "such as \"postgres://db:5432\"",
            );
        }
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
