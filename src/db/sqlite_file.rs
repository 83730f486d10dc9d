//! A SQLite database as one file: a copy of it while others write, a look into a copy, and the use of it by nobody
//! else.

use std::{path::Path, str::FromStr};

use sea_orm::{
    DatabaseConnection, DbErr, RuntimeErr, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection, SqliteConnection,
        sqlite::{SqliteConnectOptions, SqliteLockingMode, SqlitePoolOptions},
    },
};

use super::{failed, refused};
use crate::config::DatabaseConfig;

/// How a SQLite file begins.
pub const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Writes a copy of the database into a new file, as it is at one moment. Others may read and write meanwhile. The copy
/// is smaller, because it has no free pages.
pub async fn copy_sqlite(settings: &DatabaseConfig, to: &Path) -> Result<(), DbErr> {
    let to = to.to_str().ok_or_else(|| refused("the name of the file is not UTF-8"))?;
    let mut connection = existing(settings)?.connect().await.map_err(failed)?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to).execute(&mut connection).await;
    connection.close().await.ok();
    copied.map(drop).map_err(failed)
}

/// Reads every page of a file that nobody writes to.
///
/// # Errors
/// It is damaged, or a row refers to one that is not there.
pub async fn check_sqlite(file: &Path) -> Result<(), DbErr> {
    let mut connection = unchanging(file).connect().await.map_err(failed)?;
    let checked = problem(&mut connection).await;
    connection.close().await.ok();
    match checked.map_err(failed)? {
        None => Ok(()),
        Some(problem) => Err(refused(&problem)),
    }
}

async fn problem(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let found: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_all(&mut *connection).await?;
    if found != ["ok"] {
        return Ok(Some(format!("the database is damaged: {}", found.join("; "))));
    }
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_optional(connection).await?;
    Ok(dangling.map(|_| "the database is damaged: a row refers to one that is not there".to_owned()))
}

/// For reading a file that nobody writes to. Leaves nothing beside it.
pub async fn look_into_sqlite(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(unchanging(file)).await;
    pool.map(SqlxSqliteConnector::from_sqlx_sqlite_pool).map_err(failed)
}

/// The database for this process alone.
///
/// # Errors
/// Another process has it open.
pub async fn open_sqlite_alone(settings: &DatabaseConfig) -> Result<DatabaseConnection, DbErr> {
    let alone = existing(settings)?.locking_mode(SqliteLockingMode::Exclusive);
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let opened = pool.connect_with(alone).await.map_err(failed);
    let opened = opened.map(SqlxSqliteConnector::from_sqlx_sqlite_pool)?;
    // Takes the lock, which this connection then keeps.
    match sea_orm::ConnectionTrait::execute_unprepared(&opened, "BEGIN IMMEDIATE; COMMIT").await {
        Ok(_) => Ok(opened),
        Err(err) if is_busy(&err) => {
            opened.close().await.ok();
            Err(refused("another process uses the database: stop the server first"))
        }
        Err(err) => Err(err),
    }
}

fn is_busy(err: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(err))
    | DbErr::Query(RuntimeErr::SqlxError(err))
    | DbErr::Conn(RuntimeErr::SqlxError(err))) = err
    else {
        return false;
    };
    // SQLITE_BUSY, and its extended codes, which have more in the higher bytes.
    let code = err.as_database_error().and_then(|err| err.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn existing(settings: &DatabaseConfig) -> Result<SqliteConnectOptions, DbErr> {
    let named = SqliteConnectOptions::from_str(settings.url.expose()).map_err(failed)?;
    Ok(named.create_if_missing(false).busy_timeout(settings.busy_timeout).disable_statement_logging())
}

fn unchanging(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).read_only(true).immutable(true).disable_statement_logging()
}
