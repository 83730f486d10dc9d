//! `[cluster]`: several nodes on one PostgreSQL. Following the other nodes is left to `chat::cluster`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use humantime_serde::re::humantime::format_duration;
use sea_orm::sqlx::postgres::PgConnectOptions;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{DatabaseUrl, mistake::Findings, secret};

/// See [`ClusterConfig::bus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// By nothing: each node looks at intervals.
    Off,
    /// By notifications of PostgreSQL.
    Postgres,
    Nats,
    Redis,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// By what the nodes tell each other at once that there is something to look at.
    pub bus: Bus,
    /// The address of NATS or of Redis; empty for the other buses.
    #[serde(with = "secret")]
    pub url: SecretString,
    /// The file that `url` was read from.
    #[serde(with = "super::path")]
    pub url_file: Option<PathBuf>,
    /// What the nodes call their channel on the bus. Installations that share a bus need different ones, unless their
    /// schemas of PostgreSQL have different names.
    pub name: String,
    /// The address of PostgreSQL for the connection that listens, where `database.url` is a pooler that shares
    /// connections; empty for `database.url`. The login and the database of `database.url` are taken if it names none.
    pub listen_url: DatabaseUrl,
    /// How often this node beats, and looks at what other nodes have stored.
    #[serde(with = "humantime_serde")]
    pub look_every: Duration,
    /// How long after its last beat a node counts as alive.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long a node that is stopped still takes clients, after it has said that it is not ready.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// Over which time it then disconnects its clients, which come back at the other nodes.
    #[serde(with = "humantime_serde")]
    pub drain_spread: Duration,
}

/// The longest [`ClusterConfig::name`], in bytes.
const LONGEST_NAME: usize = 50;

impl ClusterConfig {
    /// Where to listen, if not at `database.url`.
    pub fn listens_at(&self) -> Option<&DatabaseUrl> {
        Some(&self.listen_url).filter(|url| !url.expose().is_empty())
    }

    pub(super) fn check(&self, found: &mut Findings<'_>) {
        self.check_url(found);
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.chars().all(is_plain) {
            found.refuse(
                "name",
                format!("is {:?}", self.name),
                "use 1 to 50 letters, digits, hyphens and underscores",
            );
        }
        let is_usable =
            |url: &DatabaseUrl| url.is_postgres() && PgConnectOptions::from_str(url.expose()).is_ok();
        if self.listens_at().is_some_and(|url| !is_usable(url)) {
            found.refuse(
                "listen_url",
                format!("\"{}\" is not an address of PostgreSQL", self.listen_url),
                "such as \"postgres://db:5432\"",
            );
        }
        found.duration_or_zero("drain_delay", self.drain_delay);
        found.duration_or_zero("drain_spread", self.drain_spread);
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

    /// Only the scheme is shown: the rest may hold a password.
    fn check_url(&self, found: &mut Findings<'_>) {
        let url = self.url.expose_secret();
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        let (schemes, right): (&[&str], _) = match self.bus {
            Bus::Off | Bus::Postgres if url.is_empty() => return,
            Bus::Off | Bus::Postgres => {
                let wrong = "is set, and cluster.bus has no address of its own";
                return found.refuse("url", wrong, "remove it, or set cluster.bus to \"nats\" or \"redis\"");
            }
            Bus::Nats => (&["nats", "tls"], "such as \"nats://bus:4222\", or \"tls://bus:4222\""),
            Bus::Redis => (&["redis", "rediss"], "such as \"redis://bus:6379\", or \"rediss://bus:6379\""),
        };
        if !scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
            let wrong = if url.is_empty() { "is empty" } else { "has another scheme than cluster.bus" };
            found.refuse("url", wrong, right);
        }
    }
}
