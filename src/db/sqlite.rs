//! Opens a SQLite database: one connection that writes, and several that read.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use sea_orm::{
    DbErr, SqlxSqliteConnector,
    sqlx::{
        ConnectOptions, Connection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use super::{Backend, Connections, Db, SqliteWriter, failed, patience, private_files, refused};
use crate::config::DatabaseConfig;

/// The page cache of each SQLite read connection; a negative value is in KiB. It is a quarter of the default:
/// all connections end up with the same pages, and the operating system caches these anyway.
const READER_CACHE: &str = "-512";

/// SQLite: the size of the write-ahead log, in pages (16 MB), at which SQLite copies it into the database
/// file. Fewer checkpoints copy fewer pages that soon change again, and delay fewer commits.
const CHECKPOINT: &str = "4000";

/// SQLite: the connections that write: one for the hot path, one for everything else.
const WRITERS: usize = 2;
/// SQLite: the most files that a connection opens: the database, its log, and what they share.
const FILES: usize = 3;

pub(super) async fn connect(settings: &DatabaseConfig) -> Result<Db, DbErr> {
    let named = SqliteConnectOptions::from_str(settings.url.expose()).map_err(failed)?;
    let path = named.get_filename().to_owned();
    if settings.url.expose().contains(":memory:") || settings.url.expose().contains("mode=memory") {
        return Err(refused(
            "SQLite in memory is not supported, its connections would not share it: name a file",
        ));
    }
    if path.as_os_str().is_empty() {
        return Err(refused("the database's URL names no file: sqlite://path/to/file.db"));
    }
    private_files::make_private(&path)
        .map_err(|err| refused(&format!("the database cannot be made: {err}")))?;

    let both = named
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.busy_timeout)
        // Statements contain messages and password hashes, which must not reach the log.
        .disable_statement_logging();
    let writing = both
        .clone()
        .create_if_missing(true)
        .read_only(false)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("wal_autocheckpoint", CHECKPOINT)
        // SQLite's statement journal, for rolling back a statement of several rows that fails. It is in
        // memory instead of a temporary file: nothing in it has to survive, and commits use another log.
        .pragma("temp_store", "MEMORY");
    let writer = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        // Opened at the start and kept, so that it needs no file descriptor later.
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(settings.acquire_timeout)
        // The pool checks a connection when it is returned; that is often enough.
        .test_before_acquire(false)
        // When an error makes SQLite end a transaction by itself (a full disk), the connection still
        // believes that it is in a transaction, and its later "commits" would be lost. The pool opens
        // another connection instead.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(writing.clone())
        .await
        .map_err(failed)?;
    let reader = SqlitePoolOptions::new()
        .max_connections(settings.readers.max(1))
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .connect_with(both.create_if_missing(false).read_only(true).pragma("cache_size", READER_CACHE))
        .await
        .map_err(failed)?;
    let sqlite_writer = SqliteWriter::open(writing, settings.acquire_timeout).await?;
    Ok(Db {
        reader: Connections::Sqlite(SqlxSqliteConnector::from_sqlx_sqlite_pool(reader)),
        writer: Connections::Sqlite(SqlxSqliteConnector::from_sqlx_sqlite_pool(writer)),
        kind: Backend::Sqlite(Arc::new(sqlite_writer)),
        patience: patience(settings),
        descriptors: (settings.readers as usize + WRITERS) * FILES,
    })
}

/// The SQLite file that these settings name.
pub fn sqlite_path(settings: &DatabaseConfig) -> Option<PathBuf> {
    if !settings.url.is_sqlite() {
        return None;
    }
    let named = SqliteConnectOptions::from_str(settings.url.expose()).ok()?;
    std::path::absolute(named.get_filename()).ok()
}

/// The SQLite file that these settings name, if it does not exist or is empty.
pub fn missing_file(settings: &DatabaseConfig) -> Option<PathBuf> {
    let file = sqlite_path(settings)?;
    let is_there = file.metadata().is_ok_and(|found| found.len() > 0);
    (!is_there).then_some(file)
}
