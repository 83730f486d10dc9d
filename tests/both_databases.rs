//! The suite again, on other servers. The names of these tests have them begin early: they take the longest.

use std::process::{Command, Stdio};

/// Set for the other runs, in which these tests themselves have nothing to do.
const DATABASE: &str = "PARLOR_TEST_DATABASE";

/// Runs tests again on servers of this kind; see `harness::Database::fresh`.
fn all_hold_on(database: &str, tests: &[&str], but: &[&str], threads: &[&str]) {
    if std::env::var_os(DATABASE).is_some() {
        return;
    }
    assert!(
        std::env::var_os("PARLOR_TEST_POSTGRES_URL").is_some(),
        "PARLOR_TEST_POSTGRES_URL names a PostgreSQL server to test on"
    );
    let this = std::env::current_exe().expect("a test knows where it is");
    let output = Command::new(this)
        .args(tests)
        .args(but.iter().flat_map(|test| ["--skip", test]))
        .args(threads)
        .env(DATABASE, database)
        .stdin(Stdio::null())
        .output()
        .expect("the suite can be run again");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", text.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The whole suite.
#[test]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
fn everything_holds_on_postgresql_too() {
    all_hold_on(
        "postgres",
        &[],
        &["clients::", "both_databases::", "storage_faults::", "deploy::", "nodes::", "buses::"],
        &[],
    );
}

/// What people say to each other, with their logins divided between two nodes, over a bus that loses, repeats and swaps
/// frames.
///
/// Other tests can run so, too, and most pass. Those that do not say more than two nodes and a bus promise
/// (docs/scaling.md): that each change is told by itself and with what was done, although its frame was lost; that a
/// right that was given a moment ago is known at the other node; that a server that is started again was the only one.
#[test]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
fn everything_holds_on_two_nodes_over_a_faulty_bus() {
    let tests =
        ["messaging::", "receipts::", "ordering::", "catching_up::", "threads::", "unread::", "lobby::"];
    let but = [
        // Typing goes over the bus alone.
        "messaging::typing_reaches_the_others_only",
        // Nobody can read a deleted group, and another node reads.
        "ordering::what_is_sent_before_deleting_a_group_is_stored_before_it_is_deleted",
    ];
    // PostgreSQL takes 100 connections, and the other run has its share.
    all_hold_on("two_nodes", &tests, &but, &["--test-threads", "1"]);
}
