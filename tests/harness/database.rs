//! A private database: a SQLite file in a temporary directory, or a schema in a PostgreSQL database. A schema
//! is much faster to create and drop than a database.

use sea_orm::{ConnectionTrait, Database as Connect, DatabaseConnection};
use tempfile::TempDir;

/// Keep it as long as the data is needed. Dropping it deletes the data.
pub struct Database {
    pub url: String,
    place: Place,
}

enum Place {
    Directory(TempDir),
    Postgres {
        server: String,
        name: String,
    },
    /// The code that named this database deletes it.
    Elsewhere,
}

impl Database {
    /// A database of the kind that `PARLOR_TEST_DATABASE` names.
    pub async fn fresh() -> Self {
        match std::env::var("PARLOR_TEST_DATABASE").as_deref() {
            Err(_) | Ok("sqlite") => Self::sqlite(),
            Ok("postgres") => Self::postgres().await,
            Ok(_) if Self::is_of_two_nodes() => Self::postgres().await,
            Ok(other) => {
                panic!("PARLOR_TEST_DATABASE is {other:?}, and can be sqlite, postgres or two_nodes")
            }
        }
    }

    /// Whether each server is two nodes on one database.
    pub fn is_of_two_nodes() -> bool {
        std::env::var("PARLOR_TEST_DATABASE").is_ok_and(|database| database == "two_nodes")
    }

    pub fn elsewhere(url: String) -> Self {
        Self { url, place: Place::Elsewhere }
    }

    pub fn sqlite() -> Self {
        let directory = tempfile::Builder::new().prefix("parlor-test-").tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("parlor.db").display());
        Self { url, place: Place::Directory(directory) }
    }

    pub async fn postgres() -> Self {
        let server = std::env::var("PARLOR_TEST_POSTGRES_URL").expect(
            "PARLOR_TEST_DATABASE=postgres needs PARLOR_TEST_POSTGRES_URL, \
             e.g. postgres://root@127.0.0.1:5432/test",
        );
        let name = format!("parlor_test_{}", uuid::Uuid::new_v4().simple());
        ask(&server, &format!("CREATE SCHEMA {name}")).await;
        // The machine does not crash in these tests, so commits need not reach the disk at once.
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options[search_path]={name}&options[synchronous_commit]=off");
        Self { url, place: Place::Postgres { server, name } }
    }

    /// The SQLite file. Its log has the same name with `-wal` at the end.
    pub fn file(&self) -> std::path::PathBuf {
        self.url.strip_prefix("sqlite://").expect("SQLite").into()
    }

    /// A connection besides the server's, to look at what is really stored.
    pub async fn look_inside(&self) -> DatabaseConnection {
        Connect::connect(&self.url).await.unwrap()
    }

    pub async fn remove(self) {
        match self.place {
            Place::Directory(directory) => directory.close().unwrap(),
            Place::Elsewhere => {}
            Place::Postgres { server, name } => {
                ask(&server, &format!("DROP SCHEMA {name} CASCADE")).await;
            }
        }
    }
}

async fn ask(server: &str, sql: &str) {
    let database = Connect::connect(server).await.expect("a PostgreSQL server to test with");
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}
