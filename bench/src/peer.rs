//! The peers: chat servers in JavaScript, in folders beside this package. npm installs their packages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// See the module.
#[derive(Clone, Debug)]
pub struct Peer {
    folder: PathBuf,
    /// The program that runs its scripts.
    runtime: PathBuf,
    /// What to do if that program does not run.
    advice: &'static str,
}

impl Peer {
    /// `bench` is the folder of this package.
    pub fn on_node(bench: &Path) -> Self {
        Self {
            folder: bench.join("node-peer"),
            runtime: "node".into(),
            advice: "install Node 20 or later with npm",
        }
    }

    /// Bun comes as a package of npm, with the others.
    pub fn on_bun(bench: &Path) -> Self {
        let folder = bench.join("bun-peer");
        Self {
            runtime: folder.join("node_modules/.bin/bun"),
            folder,
            advice: "a script of the package `bun` puts the program there: let npm run it, for example with \
                     `npm rebuild bun` in bench/bun-peer",
        }
    }

    /// Installs its packages if they are missing. Fails if what runs the peer is missing.
    pub fn prepare(&self) -> Result<()> {
        let folder = self.folder.display();
        if !self.folder.join("node_modules").exists() {
            let mut npm = std::process::Command::new("npm");
            let installed = npm.args(["ci", "--include=dev"]).current_dir(&self.folder).status();
            let installed = installed.with_context(|| {
                format!("npm is missing, which installs the packages of {folder}: it comes with Node 20")
            })?;
            ensure!(
                installed.success(),
                "the packages of {folder} could not be installed; see its README.md"
            );
        }
        let runtime = self.runtime.display();
        self.version().with_context(|| {
            format!(
                "{runtime} is missing, which runs {folder}: {}, or choose the others with --contender",
                self.advice
            )
        })?;
        Ok(())
    }

    /// The version of what runs it.
    pub fn version(&self) -> Option<String> {
        let said = std::process::Command::new(&self.runtime).arg("--version").output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// One of its scripts, with this database.
    pub fn script(&self, name: &str, database: &str) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg(name).current_dir(&self.folder).env("DATABASE_URL", database);
        command
    }
}
