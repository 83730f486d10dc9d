//! A private PostgreSQL server in a temporary folder, which a test can stop, start and disturb.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use sea_orm::{ConnectOptions, ConnectionTrait, Database as Connect};
use tempfile::TempDir;

use super::Database;

pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("parlor-cluster-").tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, programs: programs(), port };
        if is_root() {
            // PostgreSQL refuses to run as root.
            assert!(
                Command::new("chown").arg("postgres").arg(cluster.folder.path()).status().unwrap().success()
            );
        }
        cluster.run("initdb", &["-D", &cluster.data(), "-A", "trust", "-U", "parlor", "--no-sync"]);
        cluster.starts();
        cluster
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let command =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let done = command.current_dir("/").status().unwrap();
        assert!(done.success(), "{arguments:?}");
    }

    /// Stops immediately, without notifying the clients.
    pub fn stops(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    pub fn starts(&self) {
        let folder = self.folder.path().display();
        let (options, log) = (format!("-p {} -h 127.0.0.1 -k {folder}", self.port), format!("{folder}/log"));
        self.run("pg_ctl", &["-D", &self.data(), "-o", &options, "-l", &log, "-w", "start"]);
    }

    pub fn database(&self) -> Database {
        Database::elsewhere(format!("postgres://parlor@127.0.0.1:{}/postgres", self.port))
    }

    /// Executes statements on a connection of its own, and closes it.
    pub async fn told(&self, statements: &[&str]) {
        let one = ConnectOptions::new(&self.database().url).max_connections(1).to_owned();
        let database = Connect::connect(one).await.unwrap();
        for statement in statements {
            database.execute_unprepared(statement).await.unwrap();
        }
        database.close().await.unwrap();
    }

    /// Terminates all connections of Parlor, whatever they are doing.
    pub async fn cuts_everybody_off(&self) {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parlor'";
        self.told(&[all]).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A server that is already stopped has nothing to lose.
        let stop = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.stops()));
        drop(stop);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// The folder with the programs of the newest PostgreSQL.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    found.sort();
    // On other systems they are in the path.
    found.pop().unwrap_or_default()
}
