//! The connection to the database: opening, migrating, closing, and what SQLite and PostgreSQL do
//! differently. Knows no table and no configuration; queries are written where their answer is used.

mod turns;
mod writing;

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

use self::turns::Turn;
pub use self::{
    turns::Turns,
    writing::{Steady, Transaction, Writer},
};
use crate::listing::{self, Rest};

/// Taken by whoever migrates a PostgreSQL database, so that two nodes that start together do not both.
const MIGRATING: i64 = 0x0050_6172_6c6f_7201;
/// Of PostgreSQL's connections, how many [`Db::steady`] has: one for each commit that may run at a time,
/// and one for receipts.
const STEADY: u32 = 5;

/// How long an idle connection to PostgreSQL may take to answer before another one is used.
const PING: Duration = Duration::from_secs(2);

/// What each of SQLite's reading connections keeps of the file, in KiB where it is negative: a quarter of the
/// usual, since all of them end up with the same pages, which the operating system has anyway.
const READER_CACHE: &str = "-512";

/// SQLite: how many pages its log takes before they are copied to the file itself, 16 MB of them. The fewer of
/// these copies, the less often a page is copied that is soon written again, and a commit is held up.
const CHECKPOINT: &str = "4000";

/// How to reach the database.
#[derive(Clone)]
pub struct DbSettings {
    /// `sqlite://path/to/file.db` or `postgres://user:password@host/database`; TLS as its `sslmode` says.
    pub url: String,
    /// PostgreSQL: whether [`Db::migrate_at_start`] migrates.
    pub auto_migrate: bool,
    /// SQLite: the number of reading connections.
    pub readers: u32,
    /// PostgreSQL: the most connections.
    pub max_connections: u32,
    /// How long a query may wait for a free connection.
    pub acquire_timeout: Duration,
    /// SQLite: how long to wait for another process's write lock.
    pub busy_timeout: Duration,
    /// How long one statement may take; PostgreSQL ends a longer one.
    pub statement_timeout: Duration,
}

/// The database, cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    kind: Kind,
    patience: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Sqlite(Arc<Turns>),
    Postgres { auto_migrate: bool, steady: DatabaseConnection },
}

impl Db {
    /// Opens the database and migrates nothing. SQLite's file and its folder are created when they are
    /// not there.
    pub async fn connect(settings: &DbSettings) -> Result<Self, DbErr> {
        match settings.url.split(':').next() {
            Some("sqlite") => Self::connect_sqlite(settings).await,
            Some("postgres" | "postgresql") => Self::connect_postgres(settings).await,
            // The URL itself is not shown: a password may stand in it.
            _ => Err(refused("the database's URL must begin with sqlite:// or postgres://")),
        }
    }

    async fn connect_sqlite(settings: &DbSettings) -> Result<Self, DbErr> {
        let named = SqliteConnectOptions::from_str(&settings.url).map_err(failed)?;
        let path = named.get_filename().to_owned();
        if settings.url.contains(":memory:") || settings.url.contains("mode=memory") {
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
            // Statements carry messages and password hashes; neither belongs into a log.
            .disable_statement_logging();
        let writing = both
            .clone()
            .create_if_missing(true)
            .read_only(false)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("wal_autocheckpoint", CHECKPOINT)
            // Where a statement of several rows notes what it has changed, to be taken back if one
            // of them fails: in memory instead of a temporary file. Nothing of it has to survive,
            // the log that commits go to is another.
            .pragma("temp_store", "MEMORY");
        let writer = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .acquire_timeout(settings.acquire_timeout)
            // The pool looks a connection over when it comes back; that is often enough.
            .test_before_acquire(false)
            // An error that made SQLite end a transaction by itself (a full disk) leaves a connection
            // that believes to be in one: what it "commits" then would be lost. Open another instead.
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
            kind: Kind::Sqlite(Arc::new(Turns::new(writing, settings.acquire_timeout))),
            patience: patience(settings),
        })
    }

    async fn connect_postgres(settings: &DbSettings) -> Result<Self, DbErr> {
        let mut named = PgConnectOptions::from_str(&settings.url).map_err(failed)?;
        if named.get_application_name().is_none() {
            named = named.application_name("parlor");
        }
        let named = named.disable_statement_logging();
        let session: Arc<str> = session_settings(settings, &named).into();
        let few = STEADY.min(settings.max_connections / 2).max(1);
        let most = settings.max_connections.saturating_sub(few).max(1);
        let steady = postgres_pool(settings, few, &session).connect_lazy_with(named.clone());
        let pool = postgres_pool(settings, most, &session).connect_with(named).await.map_err(failed)?;
        let pool = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let steady = SqlxPostgresConnector::from_sqlx_postgres_pool(steady);
        let kind = Kind::Postgres { auto_migrate: settings.auto_migrate, steady };
        Ok(Self { reader: pool.clone(), writer: pool, kind, patience: patience(settings) })
    }

    /// How long to wait for a statement before giving up on it: longer than the database itself lets it run, for the
    /// case that the database, or the way to it, has gone without a word.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// For reading. On SQLite these connections cannot write.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// # Errors
    /// On SQLite, those who write took longer than `acquire_timeout`.
    pub async fn writer(&self) -> Result<Writer<'_>, DbErr> {
        Ok(Writer { connection: &self.writer, turn: self.turn().await? })
    }

    pub fn steady(&self) -> Steady<'_> {
        match &self.kind {
            Kind::Sqlite(turns) => Steady::Sqlite(turns),
            Kind::Postgres { steady, .. } => Steady::Postgres(steady),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.kind, Kind::Sqlite(_))
    }

    /// On SQLite it has the write lock from the start, so it cannot fail half-way because another
    /// process took it.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: self.is_sqlite().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let turn = self.turn().await?;
        Ok(Transaction { transaction: self.writer.begin_with_options(immediate).await?, turn })
    }

    async fn turn(&self) -> Result<Option<Turn>, DbErr> {
        match &self.kind {
            Kind::Sqlite(turns) => turns.take().await.map(Some),
            Kind::Postgres { .. } => Ok(None),
        }
    }

    /// `text` about these ids, at least one of them, which stand where it says `(rows)`; see [`listing`].
    pub fn listing(&self, text: &str, ids: impl ExactSizeIterator<Item = Uuid>) -> Statement {
        let rows = ids.map(|id| [Value::from(id)]);
        listing::statement(self.reader.get_database_backend(), text, rows, Rest::Last)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        // On SQLite a question that has to look into the file.
        let question = if self.is_sqlite() { "SELECT count(*) FROM sqlite_schema" } else { "SELECT 1" };
        self.reader.execute_unprepared(question).await.map(drop)
    }

    /// What the server does at its start: SQLite is always migrated, PostgreSQL if `auto_migrate` says
    /// so. Otherwise a database that lags behind is an error.
    pub async fn migrate_at_start(&self) -> Result<(), DbErr> {
        if let Kind::Sqlite(_) | Kind::Postgres { auto_migrate: true, .. } = self.kind {
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

    /// Applies every migration that is not applied yet: all of them or, on an error, none.
    pub async fn migrate_up(&self) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        Migrator::up(&*transaction, None).await?;
        transaction.commit().await
    }

    /// Undoes the newest `steps` migrations, and loses what they hold.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        Migrator::down(&*transaction, Some(steps)).await?;
        transaction.commit().await
    }

    /// Every migration in order, with whether it is applied. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<(String, bool)>, DbErr> {
        let migrations = Migrator::get_migration_with_status_read_only(&self.reader).await?;
        Ok(migrations
            .iter()
            .map(|migration| (migration.name().to_owned(), migration.status() == MigrationStatus::Applied))
            .collect())
    }

    /// A transaction that only one process at a time gets.
    async fn begin_migrating(&self) -> Result<Transaction, DbErr> {
        let transaction = self.begin().await?;
        if !self.is_sqlite() {
            // A migration may rewrite a large table, and wait for another node's.
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            let lock = format!("SELECT pg_advisory_xact_lock({MIGRATING})");
            transaction.execute_unprepared(&lock).await?;
        }
        Ok(transaction)
    }

    /// Waits until every connection was given back and closes it. SQLite's log is folded into the file,
    /// which is then all there is.
    pub async fn close(&self) {
        note(self.reader.close_by_ref().await);
        match &self.kind {
            Kind::Sqlite(turns) => {
                turns.close().await;
                // Readers are gone by now: one that still read would keep the log from being emptied.
                if let Err(err) = self.writer.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await {
                    tracing::warn!(error = %err, "the database's log was not folded into its file; the next start does it");
                }
            }
            Kind::Postgres { steady, .. } => note(steady.close_by_ref().await),
        }
        note(self.writer.close_by_ref().await);
    }
}

/// How closing a connection has ended; there is nothing left to do about it.
fn note<E: std::fmt::Display>(closed: Result<(), E>) {
    if let Err(err) = closed {
        tracing::warn!(error = %err, "a database connection did not close well");
    }
}

fn patience(settings: &DbSettings) -> Duration {
    settings.acquire_timeout.saturating_add(settings.statement_timeout).saturating_add(Duration::from_secs(5))
}

fn postgres_pool(settings: &DbSettings, most: u32, session: &Arc<str>) -> PgPoolOptions {
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
        // A connection in constant use is looked over whenever it comes back; one that lay idle
        // may have been cut meanwhile, or the way to it may swallow everything.
        .before_acquire(|connection, lain| {
            Box::pin(async move {
                if lain.idle_for > Duration::from_secs(1) {
                    return Ok(matches!(tokio::time::timeout(PING, connection.ping()).await, Ok(Ok(()))));
                }
                Ok(true)
            })
        })
}

/// The statement with which a PostgreSQL session begins; empty where the URL's options set everything. A statement and
/// not options of the connection, which connection poolers refuse.
///
/// With keepalive, PostgreSQL notices within a minute that this process has gone without a word, and gives back what
/// it held locked.
fn session_settings(settings: &DbSettings, named: &PgConnectOptions) -> String {
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

/// What tests begin with.
#[cfg(test)]
impl Db {
    /// A migrated SQLite database in a folder.
    pub async fn migrated_in(folder: &Path) -> Self {
        let settings = DbSettings {
            url: format!("sqlite://{}/parlor.db", folder.display()),
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

    fn settings(url: String) -> DbSettings {
        DbSettings {
            url,
            auto_migrate: false,
            readers: 2,
            max_connections: 4,
            acquire_timeout: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(30),
        }
    }

    fn in_folder(folder: &tempfile::TempDir) -> DbSettings {
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

    /// Lost without a word where `.cargo/config.toml` is not found, or its flags are not passed on.
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
        // Of this connection only: the one that replaces it has a disk again.
        db.writer().await.unwrap().execute_unprepared("PRAGMA max_page_count = 10").await.unwrap();
        let transaction = db.begin().await.unwrap();
        let full = transaction.execute_unprepared("INSERT INTO t VALUES (randomblob(100000))").await;
        assert!(full.unwrap_err().to_string().contains("full"));
        // SQLite may have ended the transaction itself; this is what it answers when it has.
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
        let settings = DbSettings { statement_timeout: Duration::from_secs(7), ..settings(postgres_url()) };
        let db = Db::connect(&settings).await.unwrap();
        assert_eq!(show(&db, "statement_timeout").await, "7s");
        assert_eq!(show(&db, "idle_in_transaction_session_timeout").await, "1min");
        assert_eq!(show(&db, "tcp_keepalives_idle").await, "30");
        db.close().await;
        let sign = if settings.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{sign}options=-c%20statement_timeout%3D9s", settings.url);
        let db = Db::connect(&DbSettings { url, ..settings }).await.unwrap();
        assert_eq!(show(&db, "statement_timeout").await, "9s");
        db.close().await;
    }

    /// In a schema of its own.
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
