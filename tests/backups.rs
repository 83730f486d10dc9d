//! `parlor backup` and `parlor restore`, through the program and a server that people write to meanwhile.

use std::{
    collections::BTreeSet,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;

use crate::harness::{Database, Person, Process, parlor, parlor_with, until};

/// Enough that the backup begins amid commits.
const BEFORE: usize = 50;

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(all(with_postgres, not(with_pg_dump)), ignore = "pg_dump is not installed")]
async fn a_backup_under_load_has_everything_that_was_acknowledged_before_it() {
    let database = Database::fresh().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("parlor.backup");
    let name = file.to_str().unwrap();
    let mut process = Process::with(&database, AT_FULL_SPEED).await;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    process.person("bob").await;
    let mut writers = Vec::new();
    for writer in ["ada", "cyd", "dan"] {
        let socket = process.online(writer).await;
        let (acknowledged, stop, count) = (acknowledged.clone(), stop.clone(), count.clone());
        writers.push(tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let content = format!("{writer} {number}");
                socket.posts_to("bob", &content).await;
                acknowledged.lock().insert(content);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let reached = |wanted: usize| {
        let count = count.clone();
        move || {
            let count = count.clone();
            async move { count.load(Ordering::Relaxed) >= wanted }
        }
    };
    until("messages before the backup", reached(BEFORE)).await;
    let before = acknowledged.lock().clone();
    let said = parlor(&database, &["backup", name]).await.succeeds();
    assert!(said.starts_with("backed up ") && said.contains(name), "{said}");
    // The server went on, and it still does.
    let so_far = count.load(Ordering::Relaxed);
    until("messages after the backup", reached(so_far + 3)).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let refusal = parlor(&database, &["backup", name]).await.refuses();
    assert!(refusal.contains("exists already"), "{refusal}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");

    let refusal = parlor(&database, &["restore", name]).await.refuses();
    assert!(refusal.contains("exists already") || refusal.contains("has tables"), "{refusal}");
    let database = emptied(database, &folder).await;
    let said = parlor(&database, &["restore", name]).await.succeeds();
    assert!(said.starts_with("restored "), "{said}");
    let restored = contents(&database).await;
    let missing: Vec<_> = before.difference(&restored).collect();
    assert!(missing.is_empty(), "acknowledged before the backup, and missing: {missing:?}");

    let mut process = Process::start(&database).await;
    let bob = Person::logs_in(&process, "bob").await.connect().await;
    bob.posts_to("ada", "after the restore").await;
    process.signal("TERM").await;
    assert!(process.exits().await.success(), "{}", process.written());
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(all(with_postgres, not(with_pg_dump)), ignore = "pg_dump is not installed")]
async fn what_is_no_backup_is_refused_and_nothing_is_made() {
    let database = Database::fresh().await;
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let refusal = parlor(&database, &["backup", &file("copy")]).await.refuses();
    assert!(refusal.contains("there is no database") || refusal.contains("no tables"), "{refusal}");
    let refusal = parlor(&database, &["restore", &file("nowhere")]).await.refuses();
    assert!(refusal.contains("nowhere"), "{refusal}");
    std::fs::write(file("text"), "this is no backup").unwrap();
    let refusal = parlor(&database, &["restore", &file("text")]).await.refuses();
    assert!(refusal.contains("is no backup of a"), "{refusal}");
    let magic: &[u8] = if database.url.starts_with("sqlite") { b"SQLite format 3\0" } else { b"PGDMP" };
    std::fs::write(file("broken"), [magic, &[1; 2_000][..]].concat()).unwrap();
    parlor(&database, &["restore", &file("broken")]).await.refuses();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    // It can still be made as ever.
    parlor(&database, &["migrate", "up"]).await.succeeds();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_database_that_lacks_the_programs_of_postgresql_says_what_to_run() {
    let database = Database::postgres().await;
    parlor(&database, &["migrate", "up"]).await.succeeds();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("copy");
    let said = parlor_with(&database, &["backup", file.to_str().unwrap()], &[("PATH", "/nowhere")]).await;
    let refusal = said.refuses();
    assert!(refusal.contains("pg_dump --host=") && refusal.contains("is not installed"), "{refusal}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_beside_the_log_of_another_one_is_not_made() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| Database::elsewhere(format!("sqlite://{}/{name}", folder.path().display()));
    parlor(&at("a.db"), &["seed"]).await.succeeds();
    let copy = folder.path().join("copy");
    let copy = copy.to_str().unwrap();
    parlor(&at("a.db"), &["backup", copy]).await.succeeds();
    std::fs::write(folder.path().join("b.db-wal"), "of another database").unwrap();
    let refusal = parlor(&at("b.db"), &["restore", copy]).await.refuses();
    assert!(refusal.contains("b.db-wal is there"), "{refusal}");
    std::fs::remove_file(folder.path().join("b.db-wal")).unwrap();
    parlor(&at("b.db"), &["restore", copy]).await.succeeds();
}

/// An operator is root, and the server is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_root_restores_belongs_to_the_owner_of_the_folder() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let from = Database::elsewhere(format!("sqlite://{}/a.db", folder.path().display()));
    parlor(&from, &["seed"]).await.succeeds();
    let copy = folder.path().join("copy");
    parlor(&from, &["backup", copy.to_str().unwrap()]).await.succeeds();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(other.path(), Some(8087), Some(8087)).unwrap();
    }
    let owner = other.path().metadata().unwrap().uid();
    let to = Database::elsewhere(format!("sqlite://{}/parlor.db", other.path().display()));
    parlor(&to, &["restore", copy.to_str().unwrap()]).await.succeeds();
    let new = Database::elsewhere(format!("sqlite://{}/new.db", other.path().display()));
    let production = [("PARLOR_MODE", "production")];
    parlor_with(&new, &["seed", "--yes-in-production"], &production).await.succeeds();
    for file in ["parlor.db", "new.db", "jwt-secret"] {
        assert_eq!(other.path().join(file).metadata().unwrap().uid(), owner, "{file}");
    }
}

const AT_FULL_SPEED: &[(&str, &str)] =
    &[("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000000"), ("PARLOR__LIMITS__EVENTS_BURST", "1000000")];

/// The same place without the data: another file, or an empty schema of the same name.
async fn emptied(database: Database, folder: &TempDir) -> Database {
    if database.url.starts_with("sqlite") {
        database.remove().await;
        return Database::elsewhere(format!("sqlite://{}/restored/parlor.db", folder.path().display()));
    }
    let inside = database.look_inside().await;
    let asked = Statement::from_string(inside.get_database_backend(), "SELECT current_schema()::text");
    let schema: String = inside.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    let again = format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}");
    inside.execute_unprepared(&again).await.unwrap();
    inside.close().await.unwrap();
    database
}

async fn contents(database: &Database) -> BTreeSet<String> {
    let inside = database.look_inside().await;
    let asked = Statement::from_string(inside.get_database_backend(), "SELECT content FROM messages");
    let rows = inside.query_all_raw(asked).await.unwrap();
    inside.close().await.unwrap();
    let stored = rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap());
    stored.map(|json| serde_json::from_str(&json).unwrap()).collect()
}
