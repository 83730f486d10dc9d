//! The real program as a process of its own, that can be killed and started as often as one likes.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// How long it may take to come up or to go down.
const PATIENCE: Duration = Duration::from_secs(60);

/// Little room in every queue, so that each gets full now and then; no quotas, which would refuse the storm.
const SETTINGS: [(&str, &str); 23] = [
    ("PARLOR__SERVER__LISTEN", "127.0.0.1:0"),
    ("PARLOR__SERVER__DRAIN_TIMEOUT", "3s"),
    ("PARLOR__DATABASE__MAX_CONNECTIONS", "8"),
    ("PARLOR__DATABASE__ACQUIRE_TIMEOUT", "2s"),
    ("PARLOR__AUTH__TOKEN_TTL", "24h"),
    ("PARLOR__LIMITS__EVENTS_PER_SECOND", "300"),
    ("PARLOR__LIMITS__EVENTS_BURST", "400"),
    ("PARLOR__LIMITS__CONNECTIONS_PER_USER", "100"),
    ("PARLOR__LIMITS__OUTGOING_PACKETS", "256"),
    ("PARLOR__LIMITS__UNACKNOWLEDGED", "256"),
    ("PARLOR__LIMITS__WAITING_EVENTS", "64"),
    // A few people make all groups, and their owners probe each one: more than these allow by default.
    ("PARLOR__LIMITS__GROUPS_OWNED", "100000"),
    ("PARLOR__LIMITS__GROUPS_PER_HOUR", "100000"),
    ("PARLOR__LIMITS__MEMBERS_ADDED_PER_HOUR", "100000"),
    ("PARLOR__LIMITS__REQUESTS_PER_SECOND", "100000"),
    ("PARLOR__LIMITS__REQUESTS_BURST", "100000"),
    // So few that a device that was away has to read a room again now and then.
    ("PARLOR__LIMITS__CHANGES_REPLAYED", "40"),
    ("PARLOR__WRITER__QUEUE", "64"),
    ("PARLOR__WRITER__BATCH", "16"),
    ("PARLOR__PRESENCE__GRACE", "300ms"),
    ("PARLOR__TELEMETRY__METRICS", "off"),
    ("PARLOR__CLUSTER__LOOK_EVERY", "100ms"),
    ("PARLOR__CLUSTER__LEASE", "2s"),
];

/// The same as a number.
pub const LEASE: Duration = Duration::from_secs(2);

/// Where the nodes are at the time.
pub type Nodes = watch::Receiver<Vec<SocketAddr>>;

/// One of the nodes, any.
pub fn any_of(nodes: &Nodes) -> SocketAddr {
    let nodes = nodes.borrow();
    nodes[fastrand::usize(..nodes.len())]
}

pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts it on a free port; what it writes goes into a file of its own in `logs`.
    pub async fn start(database: &str, settings: &[(&str, String)], logs: &Path) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = logs.join(format!("server-{:04}.log", fs::read_dir(logs).unwrap().count()));
            let mut child = Self::spawn(database, settings, &log);
            loop {
                let written = fs::read_to_string(&log).unwrap_or_default();
                if let Some(address) = address_in(&written) {
                    return Self { address, child };
                }
                assert!(Instant::now() < deadline, "the server does not start:\n{written}");
                // One that found its database still on the way up is started anew.
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn spawn(database: &str, settings: &[(&str, String)], log: &PathBuf) -> Child {
        let log = File::create(log).unwrap();
        // Another build of it may be named, to see the checker find what is wrong with that one.
        let program = std::env::var_os("PARLOR_CHAOS_PROGRAM");
        Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_parlor").into()))
            .arg("serve")
            .env_remove("RUST_LOG")
            .env("PARLOR__DATABASE__URL", database)
            .env("PARLOR__CLUSTER__DRAIN_DELAY", "0s")
            .envs(SETTINGS)
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// SIGKILL: no time for anything.
    pub async fn dies(mut self) {
        self.child.kill().await.unwrap();
    }

    pub async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("a running process").to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// SIGTERM, and its own end.
    pub async fn ends(mut self) -> ExitStatus {
        self.signal("TERM").await;
        timeout(PATIENCE, self.child.wait()).await.expect("a server that goes down by itself").unwrap()
    }
}

fn address_in(written: &str) -> Option<SocketAddr> {
    let (_, rest) = written.split_once("listening on http://")?;
    // Half a line may have been read.
    let (line, _) = rest.split_once('\n')?;
    line.trim().parse().ok()
}

/// The logs of all servers, oldest first.
fn files(logs: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(logs).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// The last lines that the servers have logged.
pub fn last_words(logs: &Path, most: usize) -> String {
    let texts = files(logs).into_iter().map(|file| fs::read_to_string(file).unwrap_or_default());
    let text: String = texts.collect();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].join("\n")
}

/// Lines of all servers' logs that say that something is wrong with the program itself.
pub fn complaints(logs: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files(logs) {
        for line in fs::read_to_string(&file).unwrap_or_default().lines() {
            if line.contains("ERROR") || line.contains("panicked") {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                complaints.push(format!("{name}: {line}"));
            }
        }
    }
    complaints
}
