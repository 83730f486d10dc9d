//! A PostgreSQL cluster of the test's own, in a temporary folder and on a free port, that may be stopped
//! and killed.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;

pub struct Cluster {
    pub url: String,
    home: TempDir,
    binaries: PathBuf,
    port: u16,
}

impl Cluster {
    pub fn start() -> Self {
        let binaries = newest(Path::new("/usr/lib/postgresql")).expect("PostgreSQL's initdb and pg_ctl");
        let home = tempfile::Builder::new().prefix("parlor-chaos-pg-").tempdir().unwrap();
        if is_root() {
            // PostgreSQL refuses to run as root.
            let owned = Command::new("chown").arg("postgres").arg(home.path()).status().unwrap();
            assert!(owned.success());
        }
        let port = free_port();
        let url = url_at(([127, 0, 0, 1], port).into());
        let cluster = Self { url, home, binaries, port };
        let data = cluster.data();
        cluster.runs("initdb", &["-D", &data, "-A", "trust", "-U", "parlor"]);
        cluster.starts();
        cluster
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn data(&self) -> String {
        self.home.path().join("data").display().to_string()
    }

    /// Comes up, and answers when this returns.
    pub fn starts(&self) {
        let home = self.home.path().display();
        let options = format!("-p {} -k {home} -c listen_addresses=127.0.0.1", self.port);
        let log = format!("{home}/log");
        self.runs("pg_ctl", &["-D", &self.data(), "-o", &options, "-l", &log, "-w", "start"]);
    }

    /// Goes down: in an orderly way but without waiting for anyone or, `immediately`, as in a crash.
    pub fn stops(&self, immediately: bool) {
        let mode = if immediately { "immediate" } else { "fast" };
        self.runs("pg_ctl", &["-D", &self.data(), "-m", mode, "-w", "stop"]);
    }

    fn runs(&self, program: &str, arguments: &[&str]) {
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(self.binaries.join(program));
            command
        } else {
            Command::new(self.binaries.join(program))
        };
        command.args(arguments).current_dir(self.home.path()).stdin(Stdio::null());
        // Not a pipe: the server would inherit it and keep it open.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        if !status.success() && !std::thread::panicking() {
            let log = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            panic!("{program} {arguments:?} failed with {status}:\n{log}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stops(true);
    }
}

/// Its address for who reaches it there.
pub fn url_at(address: SocketAddr) -> String {
    format!("postgres://parlor@{address}/postgres")
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(versions).ok()?.filter_map(|folder| {
        let folder = folder.ok()?;
        let version: u32 = folder.file_name().to_str()?.parse().ok()?;
        Some((version, folder.path().join("bin")))
    });
    folders.filter(|(_, binaries)| binaries.join("initdb").exists()).max().map(|(_, binaries)| binaries)
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output().unwrap();
    user.stdout.trim_ascii() == b"0"
}

/// One that nobody gets by asking for any: it must still be free when the cluster comes back. Clusters of the same process
/// look in different places.
fn free_port() -> u16 {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let first = std::process::id() as usize + 100 * TAKEN.fetch_add(1, Ordering::Relaxed);
    (20_000..30_000)
        .cycle()
        .skip(first % 10_000)
        .take(10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
