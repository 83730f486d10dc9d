//! A terminal that is blocked (Ctrl-S, a pipe that nobody reads) or closed: the server serves and ends as ever.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::Http;

/// More than a pipe holds.
const LONG: usize = 70_000;

struct Program {
    child: Child,
    _folder: TempDir,
}

impl Program {
    /// Without a reader of its output yet.
    fn start(level: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_parlor"))
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .env("PARLOR__SERVER__LISTEN", "127.0.0.1:0")
            .env("PARLOR__TELEMETRY__LEVEL", level)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, _folder: folder }
    }

    /// The address in a line of its output, and what follows that line.
    fn address(output: impl Read) -> (Http, impl BufRead) {
        let mut lines = BufReader::new(output);
        loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it says where it listens");
            let found = line.split_once("http://").or_else(|| line.split_once("listening address="));
            if let Some((_, address)) = found {
                return (Http::new(address.trim().parse().unwrap()), lines);
            }
        }
    }

    fn ends(&mut self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn signs_up(http: &Http, username: &str) {
    let account = json!({ "username": username, "password": "correct horse battery" });
    http.post("/api/users", account).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_terminal_holds_nothing_up() {
    let mut program = Program::start("trace");
    let (http, _rest) = Program::address(program.child.stdout.take().unwrap());
    let mut log = program.child.stderr.take().unwrap();
    // Each request is worth a few hundred bytes of log at least.
    for _ in 0..LONG / 200 {
        http.get("/healthz").await;
    }
    signs_up(&http, "ada").await;
    program.ends();
    let mut written = Vec::new();
    log.read_to_end(&mut written).unwrap();
    assert!(written.len() > 60_000, "the pipe was not full: {} bytes", written.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_terminal_stops_nothing_and_lost_lines_are_counted() {
    let mut program = Program::start("debug");
    let (http, rest) = Program::address(program.child.stdout.take().unwrap());
    drop((rest, program.child.stderr.take()));
    for username in ["ada", "bob"] {
        signs_up(&http, username).await;
    }
    // A refusal for a fault, a warning, whatever is logged: nothing of it matters.
    http.get("/?jwt=nothing").await;
    assert!(http.metrics().await["parlor_log_lines_lost_total"] > 0.0);
    program.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_may_be_closed_from_the_start() {
    let mut program = Program::start("info");
    drop(program.child.stdout.take());
    let (http, rest) = Program::address(program.child.stderr.take().unwrap());
    signs_up(&http, "ada").await;
    // Read on, so that only standard output is closed.
    let reading = std::thread::spawn(move || rest.lines().for_each(drop));
    program.ends();
    reading.join().unwrap();
}
