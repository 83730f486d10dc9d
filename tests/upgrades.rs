//! A database of the version before: this version takes it over, and gives it back in the form in which that version
//! left it. `tests/earlier` has one of each kind, made by that version.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::harness::{Database, Person, Process, parlor};

const PASSWORD: &str = "parlor-demo";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_version_before_is_upgraded_and_rolled_back() {
    let database = Database::fresh().await;
    if is_sqlite(&database) {
        std::fs::write(database.file(), "").unwrap();
    }
    let inside = database.look_inside().await;
    let earlier = match is_sqlite(&database) {
        true => include_str!("earlier/sqlite.sql"),
        false => include_str!("earlier/postgres.sql"),
    };
    inside.execute_unprepared(earlier).await.unwrap();
    let (tables, messages) = (columns(&inside).await, contents(&inside).await);
    assert!(messages.len() > 3, "{messages:?}");
    let before = parlor(&database, &["migrate", "status"]).await.succeeds();
    let steps = before.lines().filter(|line| line.starts_with("pending")).count();

    let mut process = Process::start(&database).await;
    let login = Person::tries_to_log_in(&process, "ada", PASSWORD).await.is(200);
    let ada = Person::from_login(&process, &login);
    let socket = ada.connect().await;
    socket.posts_to("bob", "from the new version").await;
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    let after = contents(&inside).await;
    assert!(messages.iter().all(|message| after.contains(message)), "{messages:?} {after:?}");
    assert_eq!(after.len(), messages.len() + 1);

    if steps > 0 {
        parlor(&database, &["migrate", "down", "--yes", "--steps", &steps.to_string()]).await.succeeds();
    }
    assert_eq!(parlor(&database, &["migrate", "status"]).await.succeeds(), before);
    assert_eq!(columns(&inside).await, tables, "the version before finds its own tables");
    assert_eq!(contents(&inside).await, after, "what was written since then stays");

    let mut process = Process::start(&database).await;
    Person::tries_to_log_in(&process, "ada", PASSWORD).await.is(200);
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    inside.close().await.unwrap();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (database, inside) = of_a_newer_version().await;
    inside.execute_unprepared("UPDATE schema_serves SET since = 'm20991231_000001_newer'").await.unwrap();
    inside.close().await.unwrap();
    for command in [&["serve"][..], &["migrate", "up"], &["migrate", "status"], &["migrate", "down", "--yes"]]
    {
        let refusal = parlor(&database, command).await.refuses();
        assert!(refusal.contains("is of a newer version of Parlor"), "{command:?}: {refusal}");
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_that_serves_this_one_is_used_and_not_changed() {
    let (database, inside) = of_a_newer_version().await;
    let newest = ask(&inside, "SELECT since FROM schema_serves").await.pop().unwrap();
    // As the newer version leaves it: it goes on serving this one.
    let mut process = Process::start(&database).await;
    let ada = process.person("ada").await;
    ada.connect().await.posts_to("ada", "still here").await;
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    let status = parlor(&database, &["migrate", "status"]).await.succeeds();
    assert!(status.contains("newer    m20991231_000001_newer"), "{status}");
    assert!(status.contains(&format!("serves   versions that have {newest}")), "{status}");
    parlor(&database, &["migrate", "up"]).await.succeeds();
    let refusal = parlor(&database, &["migrate", "down", "--yes"]).await.refuses();
    assert!(refusal.contains("is of a newer version of Parlor"), "{refusal}");
    // It serves this one no longer.
    inside.execute_unprepared("UPDATE schema_serves SET since = 'm20991231_000001_newer'").await.unwrap();
    let refusal = parlor(&database, &["serve"]).await.refuses();
    assert!(refusal.contains("is of a newer version of Parlor"), "{refusal}");
    inside.close().await.unwrap();
    database.remove().await;
}

/// A database to which a newer version has added a migration, and a connection to it.
async fn of_a_newer_version() -> (Database, DatabaseConnection) {
    let database = Database::fresh().await;
    parlor(&database, &["migrate", "up"]).await.succeeds();
    let inside = database.look_inside().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20991231_000001_newer', 0)";
    inside.execute_unprepared(newer).await.unwrap();
    (database, inside)
}

fn is_sqlite(database: &Database) -> bool {
    database.url.starts_with("sqlite:")
}

async fn ask(database: &DatabaseConnection, question: &str) -> Vec<String> {
    let asked = Statement::from_string(database.get_database_backend(), question);
    let rows = database.query_all_raw(asked).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// The tables as the database describes them.
async fn columns(database: &DatabaseConnection) -> Vec<String> {
    let question = match database.get_database_backend() {
        sea_orm::DbBackend::Sqlite => "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name",
        _ => {
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable \
             FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1"
        }
    };
    ask(database, question).await
}

async fn contents(database: &DatabaseConnection) -> Vec<String> {
    ask(database, "SELECT content FROM messages ORDER BY content").await
}
