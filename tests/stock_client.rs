//! The stock `socket.io-client` from npm against the real program: runs the suite in
//! `tests/socket-io-client`, on SQLite and, where there is one, on PostgreSQL.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
};

/// One run at a time: each starts many servers of its own.
static TURN: Mutex<()> = Mutex::new(());

#[test]
#[cfg_attr(not(with_node), ignore = "Node and npm are not installed")]
fn the_stock_client_chats_through_parlor_on_sqlite() {
    run_suite(None);
}

#[test]
#[cfg_attr(not(all(with_node, with_postgres)), ignore = "needs Node, and PARLOR_TEST_POSTGRES_URL")]
fn the_stock_client_chats_through_parlor_on_postgresql() {
    let url = std::env::var("PARLOR_TEST_POSTGRES_URL").expect("PARLOR_TEST_POSTGRES_URL is set");
    run_suite(Some(&url));
}

fn run_suite(postgres: Option<&str>) {
    // Another's failed run is no reason not to run.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/socket-io-client");
    install(&suite);
    let mut npm = Command::new("npm");
    npm.args(["test", "--silent"])
        .current_dir(&suite)
        .env("PARLOR_BIN", env!("CARGO_BIN_EXE_parlor"))
        .env_remove("PARLOR_TEST_POSTGRES_URL");
    if let Some(url) = postgres {
        npm.env("PARLOR_TEST_POSTGRES_URL", url);
    }
    let output = npm.stdin(Stdio::null()).output().expect("npm can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text.lines().any(|line| line.trim_start().starts_with("not ok"));
    let tests = text
        .lines()
        .find_map(|line| line.strip_prefix("# tests "))
        .map_or(0, |count| count.trim().parse::<u32>().unwrap_or(0));
    assert!(
        output.status.success() && !failed && tests > 0,
        "{tests} tests ran, and not all passed:\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn install(suite: &Path) {
    let output = Command::new("npm")
        .args(["ci", "--silent"])
        .current_dir(suite)
        .stdin(Stdio::null())
        .output()
        .expect("npm can be run");
    assert!(output.status.success(), "npm ci failed:\n{}", String::from_utf8_lossy(&output.stderr));
}
