//! The real program as a separate process: for signals, sudden death, and its output.

use std::{
    ops::Deref,
    process::{ExitStatus, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use super::{Database, Door, PATIENCE, until};

pub struct Process {
    door: Door,
    child: Child,
    written: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Deref for Process {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

impl Process {
    pub async fn start(database: &Database) -> Self {
        Self::with(database, &[]).await
    }

    /// With settings and variables in its environment.
    pub async fn with(database: &Database, env: &[(&str, &str)]) -> Self {
        Self::wrapped(&[], database, env).await
    }

    /// Started by another command, which then becomes the program.
    pub async fn wrapped(wrapper: &[&str], database: &Database, env: &[(&str, &str)]) -> Self {
        let program =
            std::env::var("PARLOR_SOAK_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_parlor").to_owned());
        let mut words = wrapper.iter().copied().chain([program.as_str(), "serve"]);
        let mut child = Command::new(words.next().unwrap_or_default())
            .args(words)
            .env_remove("RUST_LOG")
            .env("PARLOR__SERVER__LISTEN", "127.0.0.1:0")
            .env("PARLOR__DATABASE__URL", &database.url)
            .env("PARLOR__DATABASE__MAX_CONNECTIONS", "6")
            .env("PARLOR__CLUSTER__DRAIN_DELAY", "0s")
            .env("PARLOR__LIMITS__REQUESTS_PER_SECOND", "1000000")
            .env("PARLOR__LIMITS__REQUESTS_BURST", "1000000")
            .env("PARLOR__LIMITS__GROUPS_PER_HOUR", "1000000")
            .env("PARLOR__LIMITS__GROUPS_OWNED", "1000000")
            .env("PARLOR__LIMITS__MEMBERS_ADDED_PER_HOUR", "1000000")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().unwrap(), written.clone()),
            collect(child.stderr.take().unwrap(), written.clone()),
        ];
        until("the server to say where it listens", || async { address_in(&written.lock()).is_some() }).await;
        let address = address_in(&written.lock()).unwrap().parse().unwrap();
        Self { door: Door::new(address), child, written, readers }
    }

    /// Its output so far, standard output and standard error.
    pub fn written(&self) -> String {
        self.written.lock().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    pub async fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits until it exits by itself.
    pub async fn exits(&mut self) -> ExitStatus {
        let waited = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = waited.unwrap_or_else(|_| panic!("it does not end:\n{}", self.written())).unwrap();
        for reader in self.readers.drain(..) {
            reader.await.unwrap();
        }
        status
    }

    /// Kills it with SIGKILL: no time for cleaning up.
    pub async fn dies(&mut self) {
        self.child.kill().await.unwrap();
    }
}

fn collect(from: impl AsyncRead + Send + Unpin + 'static, written: Arc<Mutex<String>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut written = written.lock();
            written.push_str(&line);
            written.push('\n');
        }
    })
}

fn address_in(written: &str) -> Option<String> {
    let (_, rest) = written.split_once("listening on http://")?;
    rest.lines().next().map(|address| address.trim().to_owned())
}
