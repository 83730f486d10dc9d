//! PgBouncer in front of the PostgreSQL server of the tests, with a database of its own. It shares two server
//! connections between all clients, in transaction mode.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use sea_orm::{ConnectionTrait, Database as Connect};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{Database, until};

pub struct Pooler {
    child: Child,
    port: u16,
    server: String,
    name: String,
    _folder: TempDir,
}

impl Pooler {
    pub async fn start() -> Self {
        let server = std::env::var("PARLOR_TEST_POSTGRES_URL").expect("a PostgreSQL server to test with");
        let name = format!("parlor_pooled_{}", uuid::Uuid::new_v4().simple());
        ask(&server, &format!("CREATE DATABASE {name}")).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("parlor-pooler-").tempdir().unwrap();
        // PgBouncer does not run as root, and gives up the rights of root before it reads its files.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let mut settings = std::fs::File::create(&file).unwrap();
        writeln!(
            settings,
            "[databases]\n{name} = {}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n\
             ignore_startup_parameters = extra_float_digits",
            parameters(&server, &name),
        )
        .unwrap();
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0";
        let mut command = Command::new("pgbouncer");
        if is_root {
            command.args(["-u", "postgres"]);
        }
        let child = command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn().expect("pgbouncer can be run");
        let pooler = Self { child, port, server, name, _folder: folder };
        until("the pooler to listen", || async { TcpStream::connect(("127.0.0.1", port)).await.is_ok() })
            .await;
        pooler
    }

    pub fn database(&self) -> Database {
        Database::elsewhere(format!("postgres://parlor@127.0.0.1:{}/{}", self.port, self.name))
    }

    /// The address of the same database at the server itself.
    pub fn behind(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    pub async fn remove(mut self) {
        self.stops();
        ask(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    fn stops(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.stops();
    }
}

async fn ask(server: &str, statement: &str) {
    let database = Connect::connect(server).await.expect("a PostgreSQL server to test with");
    database.execute_unprepared(statement).await.unwrap();
    database.close().await.unwrap();
}

/// The server as PgBouncer names it.
fn parameters(server: &str, database: &str) -> String {
    let server = reqwest::Url::parse(server).expect("an address");
    let host = server.host_str().unwrap_or("127.0.0.1");
    let mut text = format!(
        "host={host} port={} dbname={database} user={}",
        server.port().unwrap_or(5432),
        server.username()
    );
    if let Some(password) = server.password() {
        text.push_str(&format!(" password={password}"));
    }
    text
}
