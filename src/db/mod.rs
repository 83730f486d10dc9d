//! The connection to the database, and the differences between SQLite and PostgreSQL. It knows no table.
//! `sqlite` and `postgres` open one, `migrate` brings its tables up to date.
//!
//! The rule for all queries:
//!
//! - Ordinary reads and writes use the SeaORM entities and their scopes (the functions in `entity` that
//!   return a query). They stand where their result is used.
//! - SQL text stands only in folders named `sql`. It is for the hot paths that docs/performance.md measures.
//!   Exceptions are the statements here that concern the connection itself: settings, a lock, a ping.
//! - Writes on the hot path go through [`HotPath`].

pub mod coalesce;
mod connections;
mod hot_path;
mod migrate;
mod postgres;
mod postgres_listener;
mod postgres_pool;
mod postgres_tools;
mod private_files;
mod sqlite;
mod sqlite_file;
mod sqlite_writer;
pub mod values_list;

#[cfg(test)]
use std::path::Path;
use std::{sync::Arc, time::Duration};

use sea_orm::{
    ConnectionTrait, DbErr, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, Value, sqlx, sqlx::postgres::PgConnectOptions,
};
use uuid::Uuid;

pub use self::{
    connections::Connections,
    hot_path::{HotPath, Transaction, WriteConnection},
    migrate::{Migrations, migrations},
    postgres_listener::NotificationListener,
    postgres_pool::PostgresPool,
    postgres_tools::{PG_DUMP_MAGIC, PostgresTools},
    sqlite::{missing_file, sqlite_path},
    sqlite_file::{SQLITE_MAGIC, check_sqlite, copy_sqlite, look_into_sqlite, open_sqlite_alone},
    sqlite_writer::SqliteWriter,
};
use self::{sqlite_writer::SqliteTurn, values_list::Pad};
use crate::{
    config::{DatabaseConfig, DatabaseUrl},
    error::cause,
};

/// The most rows that one statement names or writes, so that its parameters stay within the limits of the databases (32,766
/// and 65,535): a row has up to 17 values.
pub const ROWS: usize = 1_000;

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    reader: Connections,
    writer: Connections,
    kind: Backend,
    patience: Duration,
    descriptors: usize,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(Arc<SqliteWriter>),
    Postgres {
        auto_migrate: bool,
        hot_path: PostgresPool,
        /// How connections are opened.
        named: Box<PgConnectOptions>,
        /// Whether each of them is shared with other clients by a pooler, which delivers no notifications.
        pooled: bool,
    },
}

impl Db {
    /// Opens the database without migrating it. Creates the SQLite file and its folder if they do not exist.
    pub async fn connect(settings: &DatabaseConfig) -> Result<Self, DbErr> {
        match settings.url.expose().split(':').next() {
            Some("sqlite") => sqlite::connect(settings).await,
            Some("postgres" | "postgresql") => postgres::connect(settings).await,
            // The message does not show the URL, because it may contain a password.
            _ => Err(refused("the database's URL must begin with sqlite:// or postgres://")),
        }
    }

    /// Maximum time to wait for a statement. It is longer than the database lets a statement run, for the
    /// case that the database or the network fails without closing the connection.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The most file descriptors that the connections take together.
    pub fn descriptors(&self) -> usize {
        self.descriptors
    }

    /// For reading. On SQLite these connections cannot write.
    pub fn reader(&self) -> &Connections {
        &self.reader
    }

    /// # Errors
    /// On SQLite, `DbErr::ConnectionAcquire` if other writers hold the write lock for longer than
    /// `acquire_timeout`.
    pub async fn writer(&self) -> Result<WriteConnection<'_>, DbErr> {
        Ok(WriteConnection { connection: &self.writer, turn: self.turn().await? })
    }

    pub fn hot_path(&self) -> HotPath<'_> {
        match &self.kind {
            Backend::Sqlite(writer_turns) => HotPath::Sqlite(writer_turns),
            Backend::Postgres { hot_path, .. } => HotPath::Postgres(hot_path),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.kind, Backend::Sqlite(_))
    }

    /// Begins a transaction. On SQLite it takes the write lock at the start, so that it cannot fail in the
    /// middle because another process took the lock.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        match &self.writer {
            Connections::Sqlite(writer) => {
                let immediate = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..TransactionOptions::default()
                };
                let turn = self.turn().await?;
                let transaction = writer.begin_with_options(immediate).await?;
                Ok(Transaction { transaction, turn, place: None })
            }
            Connections::Postgres(pool) => {
                let (transaction, place) = pool.begin().await?;
                Ok(Transaction { transaction, turn: None, place: Some(place) })
            }
        }
    }

    /// A connection that listens to a channel of PostgreSQL, at this address if one is given.
    ///
    /// # Errors
    /// Also where nothing can listen: on SQLite, and without an address behind a pooler that shares connections.
    pub async fn listen(
        &self,
        channel: &str,
        address: Option<&DatabaseUrl>,
    ) -> Result<NotificationListener, DbErr> {
        let (named, pooled) = match &self.kind {
            Backend::Postgres { named, pooled, .. } => (named, *pooled),
            Backend::Sqlite(_) => return Err(refused("SQLite has no notifications")),
        };
        let options = match address {
            Some(address) => postgres_listener::elsewhere(named, address)?,
            None if pooled => {
                return Err(refused("a pooler that shares connections delivers no notifications"));
            }
            None => PgConnectOptions::clone(named),
        };
        NotificationListener::connect(options, channel).await
    }

    async fn turn(&self) -> Result<Option<SqliteTurn>, DbErr> {
        match &self.kind {
            Backend::Sqlite(writer_turns) => writer_turns.take().await.map(Some),
            Backend::Postgres { .. } => Ok(None),
        }
    }

    /// The statement `text` with these ids, at least one, in the place of `(rows)`; see [`values_list`].
    pub fn values_list(&self, text: &str, ids: impl ExactSizeIterator<Item = Uuid>) -> Statement {
        let rows = ids.map(|id| [Value::from(id)]);
        values_list::statement(self.reader.get_database_backend(), text, rows, Pad::Last)
    }

    /// Begins a transaction that may take as long as it needs.
    pub async fn begin_long(&self) -> Result<Transaction, DbErr> {
        let transaction = self.begin().await?;
        if !self.is_sqlite() {
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        }
        Ok(transaction)
    }

    /// PostgreSQL: the schema in which new tables are made, if there is one.
    pub async fn current_schema(&self) -> Result<Option<String>, DbErr> {
        let asked =
            Statement::from_string(self.reader.get_database_backend(), "SELECT current_schema()::text");
        let row = self.reader.query_one_raw(asked).await?;
        row.map_or(Ok(None), |row| row.try_get_by_index(0))
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        // On SQLite, a query that has to read the file.
        let question = if self.is_sqlite() { "SELECT count(*) FROM sqlite_schema" } else { "SELECT 1" };
        self.reader.execute_unprepared(question).await.map(drop)
    }

    /// Waits until all connections are returned, and closes them. Copies SQLite's log into the database file,
    /// so that only this file is left.
    pub async fn close(&self) {
        self.reader.close().await;
        match &self.kind {
            Backend::Sqlite(writer_turns) => {
                writer_turns.close().await;
                // All read connections are closed by now. A read in progress would prevent the log from being
                // emptied.
                if let Err(err) = self.writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await {
                    tracing::warn!(error = %err, "the database's log was not folded into its file; the next start does it");
                }
            }
            Backend::Postgres { hot_path, .. } => hot_path.close().await,
        }
        self.writer.close().await;
    }
}

/// Logs a failure to close a connection. There is nothing else to do about it.
fn note<E: std::fmt::Display>(closed: Result<(), E>) {
    if let Err(err) = closed {
        tracing::warn!(error = %err, "a database connection did not close well");
    }
}

fn patience(settings: &DatabaseConfig) -> Duration {
    settings.acquire_timeout.saturating_add(settings.statement_timeout).saturating_add(Duration::from_secs(5))
}

fn refused(reason: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(reason.to_owned()))
}

fn failed(err: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(err)))
}

/// Helpers for tests.
#[cfg(test)]
impl Db {
    /// A migrated SQLite database in this folder.
    pub async fn migrated_in(folder: &Path) -> Self {
        let settings = DatabaseConfig {
            url: format!("sqlite://{}/parlor.db", folder.display()).into(),
            url_file: None,
            auto_migrate: true,
            readers: 2,
            max_connections: 1,
            pooler: crate::config::Switch::Auto,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        };
        let db = Self::connect(&settings).await.expect("a folder of one's own can be written to");
        db.migrate_up().await.expect("an empty database can be migrated");
        db
    }
}

#[cfg(test)]
mod tests;
