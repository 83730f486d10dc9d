//! `[database]`: which database, and how many connections to it. Connecting and migrating is left to `db`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use serde::{Deserialize, Serialize};

use super::mistake::Findings;
use super::secret::DatabaseUrl;
use super::switch::Switch;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:`, `postgres:` or `postgresql:`; prints without its password.
    pub url: DatabaseUrl,
    /// The file that `url` was read from.
    #[serde(with = "super::path")]
    pub url_file: Option<PathBuf>,
    /// PostgreSQL: migrate at start. SQLite is always migrated at start.
    pub auto_migrate: bool,
    /// SQLite: reading connections, besides the one that writes.
    pub readers: u32,
    /// PostgreSQL: the most connections in the pool.
    pub max_connections: u32,
    /// PostgreSQL: whether a connection pooler in front, such as PgBouncer, gives each transaction another
    /// connection of its own. `Auto` finds out at the start.
    pub pooler: Switch,
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
        } else if let Some((wrong, right)) = unusable(&self.url) {
            found.refuse("url", format!("\"{}\" {wrong}", self.url), right);
        }
        found.count("readers", self.readers as usize);
        found.count("max_connections", self.max_connections as usize);
        found.duration("acquire_timeout", self.acquire_timeout);
        found.duration("busy_timeout", self.busy_timeout);
        found.duration("statement_timeout", self.statement_timeout);
    }
}

/// What the driver cannot use, and what would be right. The driver's reasons quote no part of the address.
fn unusable(url: &DatabaseUrl) -> Option<(String, &'static str)> {
    if url.is_postgres() {
        let err = PgConnectOptions::from_str(url.expose()).err()?;
        let right = "correct it; special characters of the password are written as %23 for # and so on";
        return Some((format!("cannot be read ({err})"), right));
    }
    if url.expose().contains(":memory:") || url.expose().contains("mode=memory") {
        return Some(("is in memory, which Parlor's connections would not share".to_owned(), "name a file"));
    }
    match SqliteConnectOptions::from_str(url.expose()) {
        Err(err) => Some((format!("cannot be read ({err})"), "use \"sqlite://path/to/file.db\"")),
        Ok(named) if named.get_filename().is_dir() => {
            Some(("is a folder".to_owned(), "name the file in it, such as \"sqlite://data/parlor.db\""))
        }
        Ok(_) => None,
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
            ("sqlite::memory:", false),
            ("sqlite://parlor.db?mode=memory", false),
            ("sqlite://parlor.db?mode=never", false),
            ("sqlite://src", false),
            ("postgres://ada:secret@db:port/parlor", false),
            ("postgres://ada:sec#ret@db/parlor", false),
            ("postgres://ada:secret@db/parlor?sslmode=never", false),
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
        let text = format!("{:?}", config.check());
        assert!(text.contains("mysql://ada:") && !text.contains("hunter2"), "{text}");
    }
}
