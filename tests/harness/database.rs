//! A database of one's own: a SQLite file in a temporary directory, or a fresh PostgreSQL database.

use sea_orm::{ConnectionTrait, Database as Connect, DatabaseConnection};
use tempfile::TempDir;

/// Lives as long as the data is needed; dropping it takes the data away.
pub struct Database {
    pub url: String,
    place: Place,
}

enum Place {
    Directory(TempDir),
    Postgres { server: String, name: String },
}

impl Database {
    /// As `PARLOR_TEST_DATABASE` wants it.
    pub async fn fresh() -> Self {
        match std::env::var("PARLOR_TEST_DATABASE").as_deref() {
            Err(_) | Ok("sqlite") => Self::sqlite(),
            Ok("postgres") => Self::postgres().await,
            Ok(other) => panic!("PARLOR_TEST_DATABASE is {other:?}, and can be sqlite or postgres"),
        }
    }

    fn sqlite() -> Self {
        let directory = tempfile::Builder::new().prefix("parlor-test-").tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("parlor.db").display());
        Self { url, place: Place::Directory(directory) }
    }

    async fn postgres() -> Self {
        let server = std::env::var("PARLOR_TEST_POSTGRES_URL").expect(
            "PARLOR_TEST_DATABASE=postgres needs PARLOR_TEST_POSTGRES_URL, \
             e.g. postgres://root@127.0.0.1:5432/test",
        );
        let name = format!("parlor_test_{}", uuid::Uuid::new_v4().simple());
        let database = Connect::connect(&server).await.expect("a PostgreSQL server to test with");
        database.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        database.close().await.unwrap();
        let url = sibling(&server, &name);
        Self { url, place: Place::Postgres { server, name } }
    }

    /// A connection that the server does not know of, to look at what is really stored.
    pub async fn look_inside(&self) -> DatabaseConnection {
        Connect::connect(&self.url).await.unwrap()
    }

    pub async fn remove(self) {
        match self.place {
            Place::Directory(directory) => directory.close().unwrap(),
            Place::Postgres { server, name } => {
                let database = Connect::connect(&server).await.unwrap();
                database.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
                database.close().await.unwrap();
            }
        }
    }
}

/// The address of another database on the same server.
fn sibling(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let (start, host) = address.split_once("://").expect("an address with a scheme");
    let host = host.split_once('/').map_or(host, |(host, _)| host);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{start}://{host}/{name}{query}")
}
