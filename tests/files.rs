//! What the program leaves on the disk is for its user alone, and what it may open is enough for its work.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::harness::{Database, Process, until};

/// The permissions of a file or folder.
fn mode(path: impl AsRef<Path>) -> String {
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    format!("{mode:04o}")
}

/// A database in two folders that do not exist yet.
fn new_database(folder: &TempDir) -> Database {
    Database::elsewhere(format!("sqlite://{}/data/deep/parlor.db", folder.path().display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_private_whatever_the_umask_is() {
    for umask in ["0000", "0022", "0777"] {
        let folder = TempDir::new().unwrap();
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let process = Process::wrapped(&["sh", "-c", &script], &new_database(&folder), &[]).await;
        // So that there is something in the log of the database.
        process.person("ada").await;
        let data = folder.path().join("data");
        assert_eq!([mode(&data), mode(data.join("deep"))], ["0700", "0700"], "{umask}");
        for name in ["parlor.db", "parlor.db-wal", "parlor.db-shm"] {
            assert_eq!(mode(data.join("deep").join(name)), "0600", "{umask} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_others_could_read_becomes_private_and_its_folder_stays_as_it_is() {
    let folder = TempDir::new().unwrap();
    let database = new_database(&folder);
    let deep = folder.path().join("data/deep");
    let mut process = Process::start(&database).await;
    process.person("ada").await;
    // Leaves the log of the database there.
    process.dies().await;
    let files = ["parlor.db", "parlor.db-wal", "parlor.db-shm"].map(|name| deep.join(name));
    for file in &files {
        fs::set_permissions(file, Permissions::from_mode(0o664)).unwrap();
    }
    fs::set_permissions(&deep, Permissions::from_mode(0o755)).unwrap();
    let _process = Process::start(&database).await;
    for file in &files {
        assert_eq!(mode(file), "0600", "{}", file.display());
    }
    assert_eq!(mode(&deep), "0755");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_that_anybody_could_read_becomes_private_and_a_chosen_mode_stays() {
    for (before, after) in [(None, "0600"), (Some(0o666), "0600"), (Some(0o640), "0640")] {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("log");
        if let Some(before) = before {
            fs::write(&log, "").unwrap();
            fs::set_permissions(&log, Permissions::from_mode(before)).unwrap();
        }
        let script = format!("umask 022; exec \"$0\" \"$@\" 2>>{}", log.display());
        let _process = Process::wrapped(&["sh", "-c", &script], &new_database(&folder), &[]).await;
        assert_eq!(mode(&log), after);
    }
}

/// A limit of open files for a program.
fn limited(soft: u32, hard: u32) -> String {
    format!("ulimit -Sn {soft}; ulimit -Hn {hard}; exec \"$0\" \"$@\"")
}

fn open_files_limit(process: &Process) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().skip(3).take(2).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised_as_far_as_it_may_be() {
    let database = Database::fresh().await;
    let process = Process::wrapped(&["sh", "-c", &limited(128, 1_000)], &database, &[]).await;
    assert_eq!(open_files_limit(&process), ["1000", "1000"]);
    drop(process);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_never_take_the_descriptors_that_the_database_needs() {
    const LIMIT: u32 = 256;
    let database = Database::fresh().await;
    let process = Process::wrapped(&["sh", "-c", &limited(LIMIT, LIMIT)], &database, &[]).await;
    let ada = process.online("ada").await;
    let mut strangers = Vec::new();
    for beginning in ["", "GET / HT", "POST /api/users HT"] {
        for _ in 0..LIMIT / 2 {
            let stranger = TcpStream::connect(process.address).await.unwrap();
            stranger.try_write(beginning.as_bytes()).unwrap();
            strangers.push(stranger);
        }
    }
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap().count();
    until("the server to be full", || async { process.written().contains("raise the limit") }).await;
    // Nothing of this was opened before the strangers came: rooms, logins, accounts.
    ada.posts_to("ada", "a note").await;
    let bob = process.person("bob").await;
    bob.connect().await.posts_to("ada", "hello").await;
    ada.sees_message("hello").await;
    assert!(descriptors() < LIMIT as usize, "{}", descriptors());
    process.http.get("/readyz").await.is(200);
    let closed = process.http.metrics().await["parlor_tcp_connections_idle_closed_total"];
    assert!(closed > 0.0, "{closed}");
    ada.asks("lobbyMessage", json!({ "content": "still here" })).await;
    drop((strangers, process));
    database.remove().await;
}
