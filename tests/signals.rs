//! Signals: every one that asks a program to end drains the server.

use tempfile::TempDir;

use crate::harness::{Database, Ended, Process};

#[tokio::test(flavor = "multi_thread")]
async fn every_signal_that_ends_a_program_drains_it() {
    // Whatever started the tests may ignore the signal (`nohup`), and a program inherits that.
    let wrapper: &[&str] = if cfg!(target_os = "linux") { &["env", "--default-signal=HUP"] } else { &[] };
    for signal in ["HUP", "INT", "QUIT", "TERM"] {
        let folder = TempDir::new().unwrap();
        let database = Database::elsewhere(format!("sqlite://{}/parlor.db", folder.path().display()));
        let mut process = Process::wrapped(wrapper, &database, &[]).await;
        let ada = process.online("ada").await;
        process.signal(signal).await;
        assert_eq!(process.exits().await.code(), Some(0), "{signal}: {}", process.written());
        assert_eq!(ada.ends().await, Ended::Transport, "so that clients come back by themselves");
        assert!(process.written().contains("shut down"), "{signal}: {}", process.written());
    }
}

/// Ctrl-C reaches every process of a terminal, and a program that started this one often passes it on.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_twice_at_once_drains_all_the_same() {
    let database = Database::fresh().await;
    let mut process = Process::start(&database).await;
    let ada = process.online("ada").await;
    for signal in ["TERM", "HUP", "INT", "INT"] {
        process.signal(signal).await;
    }
    assert_eq!(process.exits().await.code(), Some(0), "{}", process.written());
    assert_eq!(ada.ends().await, Ended::Transport);
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux tells what a process ignores")]
async fn a_server_that_is_to_survive_its_terminal_does() {
    let database = Database::fresh().await;
    let ignoring = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
    let mut process = Process::wrapped(&ignoring, &database, &[]).await;
    let ada = process.online("ada").await;
    process.signal("HUP").await;
    ada.posts_to("ada", "still here").await;
    process.signal("TERM").await;
    assert_eq!(process.exits().await.code(), Some(0), "{}", process.written());
    database.remove().await;
}
