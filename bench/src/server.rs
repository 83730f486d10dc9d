//! A server under load, as a process with its own port and database, and the cost of both so far.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use sea_orm::{ConnectionTrait, Database as Orm, DatabaseConnection, DbBackend, Statement};
use serde::Serialize;
use tokio::process::{Child, Command};

use crate::{peer::Peer, process, scene::Scene, seed, token::SECRET};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Contender {
    Parlor,
    Node,
    /// The peer of Node on Bun, which is faster. On SQLite only.
    Bun,
    /// Writes a ready-made frame to every socket and stores nothing.
    Floor,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parlor => "Parlor",
            Self::Node => "Node",
            Self::Bun => "Bun",
            Self::Floor => "floor",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Sqlite,
    Postgres,
}

/// The paths of the programs.
#[derive(Clone, Debug)]
pub struct Programs {
    pub parlor: PathBuf,
    pub floor: PathBuf,
    pub node: Peer,
    pub bun: Peer,
    /// The folder for SQLite files. It must be on a disk, not in memory.
    pub data: PathBuf,
    /// A PostgreSQL server whose user may create databases.
    pub postgres: Option<String>,
}

/// See the module.
pub struct Server {
    pub address: SocketAddr,
    pub contender: Contender,
    child: Child,
    pid: u32,
    /// A connection to the server's PostgreSQL database.
    postgres: Option<DatabaseConnection>,
    /// Kept until the server has ended.
    _folder: tempfile::TempDir,
}

/// The processor time up to a moment.
#[derive(Clone, Debug)]
struct Spent {
    app: Duration,
    /// For each process of the database.
    database: HashMap<u32, Duration>,
    load: Duration,
    at: Instant,
}

/// The cost of a span.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub app: Duration,
    pub database: Duration,
    /// The processor time of the load generator.
    pub load: Duration,
    pub wall: Duration,
}

impl Cost {
    /// The application's time per unit, in microseconds.
    pub fn app_each(&self, count: u64) -> f64 {
        self.app.as_secs_f64() * 1e6 / count as f64
    }

    /// The application's and the database's time per unit, in microseconds.
    pub fn each(&self, count: u64) -> f64 {
        (self.app + self.database).as_secs_f64() * 1e6 / count as f64
    }
}

/// A running measurement.
pub struct Span(Spent);

impl Server {
    /// Creates a database, writes the scene into it, and starts the server on it.
    pub async fn start(
        programs: &Programs,
        contender: Contender,
        storage: Storage,
        scene: &Scene,
    ) -> Result<Self> {
        std::fs::create_dir_all(&programs.data)?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&programs.data)?;
        let mut postgres = None;
        let url = match storage {
            Storage::Sqlite => format!("sqlite://{}/chat.db", folder.path().display()),
            Storage::Postgres => {
                let server = programs.postgres.as_deref().context("no PostgreSQL server was named")?;
                let url = fresh_database(server, contender).await?;
                postgres = Some(Orm::connect(&url).await?);
                url
            }
        };
        let mut command = match contender {
            Contender::Parlor => {
                let mut migrate = parlor(&programs.parlor, &url);
                let migrated = migrate.args(["migrate", "up"]).stdout(Stdio::null()).status().await?;
                ensure!(migrated.success(), "`parlor migrate up` failed");
                seed::parlor(&url, scene).await.context("Parlor's database could not be seeded")?;
                let mut serve = parlor(&programs.parlor, &url);
                serve.arg("serve");
                serve
            }
            Contender::Node => serving(&programs.node, &url, scene).await?,
            Contender::Bun => serving(&programs.bun, &url, scene).await?,
            Contender::Floor => Command::new(&programs.floor),
        };
        if matches!(contender, Contender::Parlor | Contender::Floor) {
            command.current_dir(folder.path());
        }
        let written = folder.path().join("server.log");
        let log = File::create(&written)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{contender} could not be started"))?;
        let pid = child.id().context("it has ended at once")?;
        let address = listening(&written).await.with_context(|| format!("{contender} does not listen"))?;
        Ok(Self { address, contender, child, pid, postgres, _folder: folder })
    }

    /// Waits until the server is idle, so that work caused by the setup is not measured.
    pub async fn settles(&self) -> Result<()> {
        let mut quiet = 0;
        let mut before = process::cpu(self.pid)?;
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = process::cpu(self.pid)?;
            quiet = if now - before < Duration::from_millis(15) { quiet + 1 } else { 0 };
            before = now;
            if quiet == 3 {
                return Ok(());
            }
        }
        bail!("{} does not come to rest", self.contender)
    }

    pub async fn begin(&self) -> Result<Span> {
        Ok(Span(self.spent().await?))
    }

    pub async fn end(&self, span: Span) -> Result<Cost> {
        let (from, to) = (span.0, self.spent().await?);
        // A process that started in the meantime has spent nothing before.
        let database = to.database.iter().map(|(pid, spent)| {
            let before = from.database.get(pid).copied().unwrap_or_default();
            spent.saturating_sub(before)
        });
        Ok(Cost {
            app: to.app - from.app,
            database: database.sum(),
            load: to.load - from.load,
            wall: to.at - from.at,
        })
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        process::resident(self.pid)
    }

    pub fn open_files(&self) -> Result<usize> {
        process::open_files(self.pid)
    }

    async fn spent(&self) -> Result<Spent> {
        let mut database = HashMap::new();
        if let Some(postgres) = &self.postgres {
            for pid in backends(postgres).await? {
                database.insert(pid, process::cpu(pid)?);
            }
        }
        let (app, load) = (process::cpu(self.pid)?, process::own_cpu()?);
        Ok(Spent { app, database, load, at: Instant::now() })
    }

    /// Kills the server: none of its data is needed any more.
    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        if let Some(postgres) = self.postgres.take() {
            postgres.close().await?;
        }
        Ok(())
    }
}

/// A peer's server, on a database with the scene.
async fn serving(peer: &Peer, url: &str, scene: &Scene) -> Result<Command> {
    seed::peer(peer, url, scene).await?;
    let mut command = peer.script("server.js", url);
    command.env("NODE_ENV", "production").env("JWT_SECRET", SECRET);
    Ok(command)
}

fn parlor(program: &Path, url: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("RUST_LOG")
        .env("PARLOR__SERVER__LISTEN", "127.0.0.1:0")
        .env("PARLOR__DATABASE__URL", url)
        .env("PARLOR__AUTH__JWT_SECRET", SECRET)
        // The peer has no such limits. They stay on, but are too high to matter.
        .env("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000000")
        .env("PARLOR__LIMITS__EVENTS_BURST", "1000000")
        .env("PARLOR__LIMITS__REQUESTS_PER_SECOND", "1000000")
        .env("PARLOR__LIMITS__REQUESTS_BURST", "1000000")
        .env("PARLOR__LIMITS__GROUPS_PER_HOUR", "1000000")
        .env("PARLOR__LIMITS__GROUPS_OWNED", "1000000")
        .env("PARLOR__LIMITS__MEMBERS_ADDED_PER_HOUR", "1000000");
    command
}

/// The address that a server prints when it is ready.
async fn listening(log: &Path) -> Result<SocketAddr> {
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let written = std::fs::read_to_string(log)?;
        let address = written.split_once("listening on http://").and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((address, _)) = address {
            return Ok(address.trim().parse()?);
        }
    }
    bail!("it wrote: {}", std::fs::read_to_string(log)?)
}

/// An empty database for this contender. Drops the one of the previous run.
async fn fresh_database(server: &str, contender: Contender) -> Result<String> {
    let name = format!("parlor_bench_{contender}_{}", std::process::id()).to_lowercase();
    let root = Orm::connect(server).await.context("the PostgreSQL server does not answer")?;
    root.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    root.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
    root.close().await?;
    let (host, _) = server.rsplit_once('/').context("a PostgreSQL URL ends in a database's name")?;
    // By default Parlor would encrypt if the server can, and the peer would not.
    Ok(format!("{host}/{name}?sslmode=disable"))
}

/// Drops the databases that [`fresh_database`] has created.
pub async fn drop_databases(server: &str) -> Result<()> {
    let root = Orm::connect(server).await?;
    for contender in [Contender::Parlor, Contender::Node] {
        let name = format!("parlor_bench_{contender}_{}", std::process::id()).to_lowercase();
        root.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    }
    Ok(root.close().await?)
}

/// PostgreSQL's processes for this database, without the one that answers this query.
async fn backends(postgres: &DatabaseConnection) -> Result<Vec<u32>> {
    let asked =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND backend_type = 'client backend'";
    let rows = postgres.query_all_raw(Statement::from_string(DbBackend::Postgres, asked)).await?;
    rows.iter().map(|row| Ok(u32::try_from(row.try_get::<i32>("", "pid")?)?)).collect()
}
