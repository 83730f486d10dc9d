//! `[database]`: which database, and how many connections to it. Connecting and migrating is left to `db`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mistake::Findings;
use super::secret::DatabaseUrl;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:`, `postgres:` or `postgresql:`; prints without its password.
    pub url: DatabaseUrl,
    /// PostgreSQL: migrate at start. SQLite is always migrated at start.
    pub auto_migrate: bool,
    /// SQLite: reading connections, besides the one that writes.
    pub readers: u32,
    /// PostgreSQL: the most connections in the pool.
    pub max_connections: u32,
    /// How long a query may wait for a free connection.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// SQLite: how long to wait for another process's write lock.
    #[serde(with = "humantime_serde")]
    pub busy_timeout: Duration,
    /// How long one statement may take.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
}

impl DatabaseConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        let rest = self.url.expose().split_once(':').map_or("", |(_, rest)| rest);
        let is_complete = match (self.url.is_sqlite(), self.url.is_postgres()) {
            (true, _) => !rest.trim_start_matches('/').is_empty(),
            (_, true) => rest.starts_with("//"),
            _ => false,
        };
        if !is_complete {
            found.refuse(
                "url",
                format!("\"{}\" is not the address of a database that Parlor can use", self.url),
                "use \"sqlite://path/to/file.db\" or \"postgres://user:password@host/database\"",
            );
        }
        found.count("readers", self.readers as usize);
        found.count("max_connections", self.max_connections as usize);
        found.duration("acquire_timeout", self.acquire_timeout);
        found.duration("busy_timeout", self.busy_timeout);
        found.duration("statement_timeout", self.statement_timeout);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn only_sqlite_and_postgres_addresses_are_accepted() {
        for (url, accepted) in [
            ("sqlite://data/parlor.db", true),
            ("sqlite:///var/lib/parlor.db", true),
            ("sqlite:parlor.db", true),
            ("postgres://ada:secret@db/parlor", true),
            ("postgresql:///parlor?host=/run/postgresql", true),
            ("", false),
            ("parlor.db", false),
            ("sqlite://", false),
            ("sqlite", false),
            ("postgres:db", false),
            ("mysql://db/parlor", false),
        ] {
            let mut config = Config::development();
            config.database.url = url.into();
            assert_eq!(config.check().is_empty(), accepted, "{url}");
        }
    }

    #[test]
    fn a_mistake_about_the_address_does_not_tell_its_password() {
        let mut config = Config::development();
        config.database.url = "mysql://ada:hunter2@db/parlor".into();
        let told = format!("{:?}", config.check());
        assert!(told.contains("mysql://ada:") && !told.contains("hunter2"), "{told}");
    }
}
