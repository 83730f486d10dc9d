//! The connection to the database: opening, migrating, closing, and the differences between SQLite and
//! PostgreSQL. It knows no table.
//!
//! The rule for all queries:
//!
//! - Ordinary reads and writes use the SeaORM entities and their scopes (the functions in `entity` that
//!   return a query). They stand where their result is used.
//! - SQL text stands only in folders named `sql`. It is for the hot paths that docs/performance.md measures.
//!   Exceptions are the statements here that concern the connection itself: settings, a lock, a ping.
//! - Writes on the hot path go through [`HotPath`].

pub mod coalesce;
mod hot_path;
mod sqlite_writer;
pub mod values_list;

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use migration::Migrator;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqliteTransactionMode, SqlxPostgresConnector,
    SqlxSqliteConnector, Statement, TransactionOptions, TransactionTrait, Value,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, Connection, Executor,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use sea_orm_migration::{MigrationStatus, MigratorTrait};
use uuid::Uuid;

use self::sqlite_writer::SqliteTurn;
use self::values_list::Pad;
pub use self::{
    hot_path::{HotPath, Transaction, WriteConnection},
    sqlite_writer::SqliteWriter,
};
use crate::config::DatabaseConfig;

/// The advisory lock that a process takes to migrate a PostgreSQL database, so that two nodes that start
/// together do not both migrate.
const MIGRATING: i64 = 0x0050_6172_6c6f_7201;
/// The number of PostgreSQL connections for [`Db::hot_path`]: one for each concurrent commit, and one for
/// receipts.
const STEADY: u32 = 5;

/// How long an idle connection to PostgreSQL may take to answer before another one is used.
const PING: Duration = Duration::from_secs(2);

/// The page cache of each SQLite read connection; a negative value is in KiB. It is a quarter of the default:
/// all connections end up with the same pages, and the operating system caches these anyway.
const READER_CACHE: &str = "-512";

/// SQLite: the size of the write-ahead log, in pages (16 MB), at which SQLite copies it into the database
/// file. Fewer checkpoints copy fewer pages that soon change again, and delay fewer commits.
const CHECKPOINT: &str = "4000";

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    kind: Backend,
    patience: Duration,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(Arc<SqliteWriter>),
    Postgres { auto_migrate: bool, hot_path: DatabaseConnection },
}

impl Db {
    /// Opens the database without migrating it. Creates the SQLite file and its folder if they do not exist.
    pub async fn connect(settings: &DatabaseConfig) -> Result<Self, DbErr> {
        match settings.url.expose().split(':').next() {
            Some("sqlite") => Self::connect_sqlite(settings).await,
            Some("postgres" | "postgresql") => Self::connect_postgres(settings).await,
            // The message does not show the URL, because it may contain a password.
            _ => Err(refused("the database's URL must begin with sqlite:// or postgres://")),
        }
    }

    async fn connect_sqlite(settings: &DatabaseConfig) -> Result<Self, DbErr> {
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
        create_folder_of(&path).await?;

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
            .idle_timeout(None)
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
        Ok(Self {
            reader: SqlxSqliteConnector::from_sqlx_sqlite_pool(reader),
            writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
            kind: Backend::Sqlite(Arc::new(SqliteWriter::new(writing, settings.acquire_timeout))),
            patience: patience(settings),
        })
    }

    async fn connect_postgres(settings: &DatabaseConfig) -> Result<Self, DbErr> {
        let mut named = PgConnectOptions::from_str(settings.url.expose()).map_err(failed)?;
        if named.get_application_name().is_none() {
            named = named.application_name("parlor");
        }
        let named = named.disable_statement_logging();
        let session: Arc<str> = session_settings(settings, &named).into();
        let few = STEADY.min(settings.max_connections / 2).max(1);
        let most = settings.max_connections.saturating_sub(few).max(1);
        let hot_path = postgres_pool(settings, few, &session).connect_lazy_with(named.clone());
        let pool = postgres_pool(settings, most, &session).connect_with(named).await.map_err(failed)?;
        let pool = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let hot_path = SqlxPostgresConnector::from_sqlx_postgres_pool(hot_path);
        let kind = Backend::Postgres { auto_migrate: settings.auto_migrate, hot_path };
        Ok(Self { reader: pool.clone(), writer: pool, kind, patience: patience(settings) })
    }

    /// Maximum time to wait for a statement. It is longer than the database lets a statement run, for the
    /// case that the database or the network fails without closing the connection.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// For reading. On SQLite these connections cannot write.
    pub fn reader(&self) -> &DatabaseConnection {
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
        let immediate = TransactionOptions {
            sqlite_transaction_mode: self.is_sqlite().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let turn = self.turn().await?;
        Ok(Transaction { transaction: self.writer.begin_with_options(immediate).await?, turn })
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

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        // On SQLite, a query that has to read the file.
        let question = if self.is_sqlite() { "SELECT count(*) FROM sqlite_schema" } else { "SELECT 1" };
        self.reader.execute_unprepared(question).await.map(drop)
    }

    /// Run at the start of the server. Always migrates SQLite, and PostgreSQL if `auto_migrate` is set.
    /// Otherwise a database that lacks a migration is an error.
    pub async fn migrate_at_start(&self) -> Result<(), DbErr> {
        if let Backend::Sqlite(_) | Backend::Postgres { auto_migrate: true, .. } = self.kind {
            return self.migrate_up().await;
        }
        let status = self.migration_status().await?;
        match status.iter().find(|(_, applied)| !applied) {
            None => Ok(()),
            Some((name, _)) => Err(refused(&format!(
                "the database lacks migration {name}: run `parlor migrate up` first, or set database.auto_migrate"
            ))),
        }
    }

    /// Applies all pending migrations; on an error, none of them.
    pub async fn migrate_up(&self) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        Migrator::up(&*transaction, None).await?;
        transaction.commit().await
    }

    /// Undoes the newest `steps` migrations. The data in their tables and columns is lost.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        Migrator::down(&*transaction, Some(steps)).await?;
        transaction.commit().await
    }

    /// All migrations in order, and whether each is applied. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<(String, bool)>, DbErr> {
        let migrations = Migrator::get_migration_with_status_read_only(&self.reader).await?;
        Ok(migrations
            .iter()
            .map(|migration| (migration.name().to_owned(), migration.status() == MigrationStatus::Applied))
            .collect())
    }

    /// A transaction that only one process can have at a time.
    async fn begin_migrating(&self) -> Result<Transaction, DbErr> {
        let transaction = self.begin().await?;
        if !self.is_sqlite() {
            // A migration may rewrite a large table, or wait for the migration of another node.
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            let lock = format!("SELECT pg_advisory_xact_lock({MIGRATING})");
            transaction.execute_unprepared(&lock).await?;
        }
        Ok(transaction)
    }

    /// Waits until all connections are returned, and closes them. Copies SQLite's log into the database file,
    /// so that only this file is left.
    pub async fn close(&self) {
        note(self.reader.close_by_ref().await);
        match &self.kind {
            Backend::Sqlite(writer_turns) => {
                writer_turns.close().await;
                // All read connections are closed by now. A read in progress would prevent the log from being
                // emptied.
                if let Err(err) = self.writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await {
                    tracing::warn!(error = %err, "the database's log was not folded into its file; the next start does it");
                }
            }
            Backend::Postgres { hot_path, .. } => note(hot_path.close_by_ref().await),
        }
        note(self.writer.close_by_ref().await);
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

fn postgres_pool(settings: &DatabaseConfig, most: u32, session: &Arc<str>) -> PgPoolOptions {
    let session = session.clone();
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move {
                if !session.is_empty() {
                    connection.execute(AssertSqlSafe(&*session)).await?;
                }
                Ok(())
            })
        })
        // The pool checks a connection whenever it is returned, which is enough for one in constant use. An
        // idle connection may have been closed meanwhile, or the network may drop its packets.
        .before_acquire(|connection, lain| {
            Box::pin(async move {
                if lain.idle_for > Duration::from_secs(1) {
                    return Ok(matches!(tokio::time::timeout(PING, connection.ping()).await, Ok(Ok(()))));
                }
                Ok(true)
            })
        })
}

/// The statement that begins a PostgreSQL session; empty if the URL's options set everything. It is a
/// statement, not connection options, because connection poolers refuse those.
///
/// With keepalive, PostgreSQL notices within a minute that this process has disappeared, and releases its
/// locks.
fn session_settings(settings: &DatabaseConfig, named: &PgConnectOptions) -> String {
    let given = named.get_options().unwrap_or_default();
    let limit = settings.statement_timeout.as_millis().to_string();
    let values = [
        ("statement_timeout", limit.as_str()),
        ("idle_in_transaction_session_timeout", "60s"),
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ];
    let wanted = values.into_iter().filter(|(name, _)| !given.contains(name));
    let wanted: Vec<_> =
        wanted.map(|(name, value)| format!("set_config('{name}', '{value}', false)")).collect();
    if wanted.is_empty() { String::new() } else { format!("SELECT {}", wanted.join(", ")) }
}

async fn create_folder_of(path: &Path) -> Result<(), DbErr> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            tokio::fs::create_dir_all(folder).await.map_err(|err| {
                refused(&format!("cannot create the database's folder {}: {err}", folder.display()))
            })
        }
        _ => Ok(()),
    }
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
            auto_migrate: true,
            readers: 2,
            max_connections: 1,
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
mod tests {
    use super::*;

    fn settings(url: String) -> DatabaseConfig {
        DatabaseConfig {
            url: url.into(),
            auto_migrate: false,
            readers: 2,
            max_connections: 4,
            acquire_timeout: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(30),
        }
    }

    fn in_folder(folder: &tempfile::TempDir) -> DatabaseConfig {
        settings(format!("sqlite://{}/deep/er/parlor.db", folder.path().display()))
    }

    async fn count(db: &Db, table: &str) -> i64 {
        let question = format!("SELECT count(*) AS n FROM {table}");
        let row = db
            .reader()
            .query_one_raw(sea_orm::Statement::from_string(db.reader().get_database_backend(), question));
        row.await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    #[tokio::test]
    async fn sqlite_is_created_migrated_and_closed_into_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::connect(&in_folder(&folder)).await.unwrap();
        assert!(db.is_sqlite());
        assert!(db.migration_status().await.unwrap().iter().all(|(_, applied)| !applied));
        db.migrate_at_start().await.unwrap();
        db.migrate_at_start().await.unwrap();
        assert!(db.migration_status().await.unwrap().iter().all(|(_, applied)| *applied));
        assert_eq!(count(&db, "users").await, 0);
        db.ping().await.unwrap();
        db.migrate_down(1).await.unwrap();
        assert!(db.migration_status().await.unwrap().iter().any(|(_, applied)| !applied));
        db.close().await;
        assert!(db.ping().await.is_err());
        let files: Vec<_> = std::fs::read_dir(folder.path().join("deep/er"))
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(files, ["parlor.db"]);
    }

    #[tokio::test]
    async fn sqlite_is_durable_checks_references_and_reads_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::connect(&in_folder(&folder)).await.unwrap();
        for connection in [&*db.writer().await.unwrap(), db.reader()] {
            for (pragma, wanted) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
                let asked = format!("SELECT CAST({pragma} AS TEXT) AS value FROM pragma_{pragma}");
                let asked = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, asked);
                let row = connection.query_one_raw(asked).await.unwrap().unwrap();
                assert_eq!(row.try_get::<String>("", "value").unwrap(), wanted, "{pragma}");
            }
        }
        let written = db.reader().execute_unprepared("CREATE TABLE t (a INTEGER)").await;
        assert!(written.unwrap_err().to_string().contains("readonly"));
    }

    /// Fails if `.cargo/config.toml` is not found or its flags are not passed on. The build itself gives no
    /// error then.
    #[tokio::test]
    async fn sqlite_is_compiled_as_the_configuration_of_cargo_says() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::connect(&in_folder(&folder)).await.unwrap();
        let asked = "SELECT compile_options AS value FROM pragma_compile_options";
        let asked = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, asked);
        let rows = db.reader().query_all_raw(asked).await.unwrap();
        let options: Vec<String> = rows.iter().map(|row| row.try_get("", "value").unwrap()).collect();
        for wanted in ["ENABLE_QPSG", "DEFAULT_MEMSTATUS=0"] {
            assert!(options.iter().any(|option| option == wanted), "{wanted}: {options:?}");
        }
        assert!(!options.iter().any(|option| option == "ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_or_cancelled_leaves_the_writer_usable() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::connect(&in_folder(&folder)).await.unwrap();
        db.writer().await.unwrap().execute_unprepared("CREATE TABLE t (a INTEGER)").await.unwrap();
        for _ in 0..20 {
            let transaction = db.begin().await.unwrap();
            transaction.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap();
            drop(transaction);
            let cancelled = tokio::time::timeout(Duration::from_micros(20), db.begin()).await;
            drop(cancelled);
        }
        let transaction = db.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO t VALUES (2)").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&db, "t").await, 1);
    }

    #[tokio::test]
    async fn the_writer_survives_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::connect(&in_folder(&folder)).await.unwrap();
        db.writer().await.unwrap().execute_unprepared("CREATE TABLE t (a BLOB)").await.unwrap();
        // Only for this connection: the connection that replaces it has no such limit.
        db.writer().await.unwrap().execute_unprepared("PRAGMA max_page_count = 10").await.unwrap();
        let transaction = db.begin().await.unwrap();
        let full = transaction.execute_unprepared("INSERT INTO t VALUES (randomblob(100000))").await;
        assert!(full.unwrap_err().to_string().contains("full"));
        // SQLite may have ended the transaction itself. Then it answers with an error here.
        transaction.execute_unprepared("ROLLBACK").await.ok();
        drop(transaction);
        let transaction = db.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO t VALUES (randomblob(100000))").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&db, "t").await, 1);
    }

    #[tokio::test]
    async fn two_writers_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let one = Db::connect(&in_folder(&folder)).await.unwrap();
        let two = Db::connect(&in_folder(&folder)).await.unwrap();
        let (first, second) = tokio::join!(one.migrate_up(), two.migrate_up());
        first.unwrap();
        second.unwrap();
        let held = one.begin().await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(100), two.begin()).await;
        assert!(waiting.is_err(), "the write lock is taken at once");
        held.commit().await.unwrap();
        two.begin().await.unwrap().commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_work_is_refused_with_a_reason() {
        for (url, reason) in [
            ("sqlite::memory:", "name a file"),
            ("sqlite://:memory:", "name a file"),
            ("sqlite://a.db?mode=memory", "name a file"),
            ("sqlite://", "names no file"),
            ("mysql://root:hunter2@localhost/parlor", "must begin with"),
            ("", "must begin with"),
        ] {
            let err = Db::connect(&settings(url.into())).await.unwrap_err().to_string();
            assert!(err.contains(reason) && !err.contains("hunter2"), "{url}: {err}");
        }
    }

    fn postgres_url() -> String {
        std::env::var("PARLOR_TEST_POSTGRES_URL").expect("PARLOR_TEST_POSTGRES_URL names a PostgreSQL server")
    }

    #[tokio::test]
    #[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
    async fn a_postgres_session_has_a_statement_timeout_and_keepalive_unless_the_url_says_otherwise() {
        let show = async |db: &Db, name: &str| -> String {
            let question =
                sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, format!("SHOW {name}"));
            db.reader().query_one_raw(question).await.unwrap().unwrap().try_get_by_index(0).unwrap()
        };
        let settings =
            DatabaseConfig { statement_timeout: Duration::from_secs(7), ..settings(postgres_url()) };
        let db = Db::connect(&settings).await.unwrap();
        assert_eq!(show(&db, "statement_timeout").await, "7s");
        assert_eq!(show(&db, "idle_in_transaction_session_timeout").await, "1min");
        assert_eq!(show(&db, "tcp_keepalives_idle").await, "30");
        db.close().await;
        let sign = if settings.url.expose().contains('?') { '&' } else { '?' };
        let url = format!("{}{sign}options=-c%20statement_timeout%3D9s", settings.url.expose());
        let db = Db::connect(&DatabaseConfig { url: url.into(), ..settings }).await.unwrap();
        assert_eq!(show(&db, "statement_timeout").await, "9s");
        db.close().await;
    }

    /// Uses a schema of its own.
    #[tokio::test]
    #[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
    async fn postgres_migrates_once_when_two_start_together() {
        let url = postgres_url();
        let root = Db::connect(&settings(url.clone())).await.unwrap();
        let schema = format!("db_{}", uuid::Uuid::now_v7().simple());
        root.writer().await.unwrap().execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        let sign = if url.contains('?') { '&' } else { '?' };
        let mut settings = settings(format!("{url}{sign}options=-c%20search_path%3D{schema}"));
        let lagging = Db::connect(&settings).await.unwrap();
        let err = lagging.migrate_at_start().await.unwrap_err().to_string();
        assert!(err.contains("parlor migrate up"), "{err}");
        settings.auto_migrate = true;
        let one = Db::connect(&settings).await.unwrap();
        let two = Db::connect(&settings).await.unwrap();
        let (first, second) = tokio::join!(one.migrate_at_start(), two.migrate_at_start());
        first.unwrap();
        second.unwrap();
        lagging.migrate_at_start().await.unwrap();
        assert!(!one.is_sqlite());
        assert_eq!(count(&one, "users").await, 0);
        one.ping().await.unwrap();
        one.migrate_down(1).await.unwrap();
        for db in [one, two, lagging] {
            db.close().await;
        }
        root.writer()
            .await
            .unwrap()
            .execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE"))
            .await
            .unwrap();
        root.close().await;
    }
}
