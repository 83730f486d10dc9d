use super::*;

fn settings(url: String) -> DatabaseConfig {
    DatabaseConfig {
        url: url.into(),
        url_file: None,
        auto_migrate: false,
        readers: 2,
        max_connections: 4,
        pooler: crate::config::Switch::Auto,
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
        let question = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, format!("SHOW {name}"));
        db.reader().query_one_raw(question).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    let settings = DatabaseConfig { statement_timeout: Duration::from_secs(7), ..settings(postgres_url()) };
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
    root.writer().await.unwrap().execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    root.close().await;
}
