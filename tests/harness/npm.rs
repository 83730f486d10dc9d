//! Suites that run on Node: a folder of `tests/` with a `package.json`, against the real program.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
};

/// One suite runs at a time: each starts many servers, and they share the installed packages.
static TURN: Mutex<()> = Mutex::new(());

/// Installs what the suites in these folders need, and runs the last one, whose harness may use the others'.
/// It fails unless there were tests and all passed.
pub fn run_suite(folders: &[&str], env: &[(&str, &str)]) {
    // Another suite's failure does not prevent this run.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for folder in folders {
        install(folder);
    }
    let suite = folders.last().expect("a suite to run");
    let output = npm(&place(suite), &["test", "--silent"], env);
    let text = String::from_utf8_lossy(&output.stdout);
    // First in the message, because a long output may be shortened where it is kept.
    let failed: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("not ok")).collect();
    let tests = text
        .lines()
        .find_map(|line| line.strip_prefix("# tests "))
        .map_or(0, |count| count.trim().parse::<u32>().unwrap_or(0));
    assert!(
        output.status.success() && failed.is_empty() && tests > 0,
        "{tests} tests ran, and not all passed: {failed:#?}\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Installs the packages of a folder. The network may fail for a moment.
fn install(folder: &str) {
    const ATTEMPTS: u32 = 3;
    for attempt in 1..=ATTEMPTS {
        let output = npm(&place(folder), &["ci", "--loglevel=error", "--prefer-offline"], &[]);
        if output.status.success() {
            return;
        }
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(attempt < ATTEMPTS, "npm ci failed in {folder} with {}:\n{told}", output.status);
        eprintln!("npm ci failed in {folder} with {}, and is tried again:\n{told}", output.status);
    }
}

fn place(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder)
}

fn npm(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new("npm")
        .args(args)
        .current_dir(folder)
        .env("PARLOR_BIN", env!("CARGO_BIN_EXE_parlor"))
        // The caller decides which database a suite uses.
        .env_remove("PARLOR_TEST_POSTGRES_URL")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("npm can be run")
}
