//! Opening PostgreSQL: its session settings, and whether a connection pooler stands in front of it.

use std::{str::FromStr, time::Duration};

use sea_orm::{
    DbErr,
    sqlx::{self, ConnectOptions, Connection, Executor, PgConnection, Row, postgres::PgConnectOptions},
};
use tokio::time::Instant;

use super::{
    Backend, Connections, Db, failed, patience,
    postgres_pool::{PoolSettings, PostgresPool},
};
use crate::config::{DatabaseConfig, DatabaseUrl, Switch};

/// The number of connections for the hot path: one for each concurrent commit, and one for receipts.
const HOT_PATH: u32 = 5;
/// How long finding a pooler may take.
const PROBE: Duration = Duration::from_secs(5);
/// The time between two attempts to connect to a server that starts.
const RETRY: Duration = Duration::from_millis(200);

/// Opens one connection of each pool, and then the others of the hot path, so that no read can take them.
///
/// # Errors
/// The server's own reason, if it refuses the first connections.
pub(super) async fn connect(settings: &DatabaseConfig) -> Result<Db, DbErr> {
    let named = options(&settings.url)?;
    let pooled = is_pooled(settings, &named).await?;
    let (named, session) = match pooled {
        true => {
            tracing::info!(
                "the database is behind a pooler that shares connections between clients: each statement is a transaction"
            );
            (named.clone().statement_cache_capacity(0), transaction_settings(settings, &named))
        }
        false => {
            let session = session_settings(settings, &named);
            (named, session)
        }
    };
    let few = HOT_PATH.min(settings.max_connections / 2).max(1);
    let most = settings.max_connections.saturating_sub(few).max(1);
    let of = |most| PoolSettings {
        connect: named.clone(),
        session: session.clone().into(),
        pooled,
        most,
        patience: settings.acquire_timeout,
    };
    let hot_path = PostgresPool::open(of(few)).await?;
    let pool = PostgresPool::open(of(most)).await?;
    hot_path.fill().await;
    let descriptors = hot_path.most() + pool.most();
    let connections = Connections::Postgres(pool);
    Ok(Db {
        reader: connections.clone(),
        writer: connections,
        kind: Backend::Postgres {
            auto_migrate: settings.auto_migrate,
            hot_path,
            named: Box::new(named),
            pooled,
        },
        patience: patience(settings),
        descriptors,
    })
}

/// How connections to this address are opened.
pub(super) fn options(url: &DatabaseUrl) -> Result<PgConnectOptions, DbErr> {
    let mut named = PgConnectOptions::from_str(url.expose()).map_err(failed)?;
    if named.get_application_name().is_none() {
        named = named.application_name("parlor");
    }
    // Statements contain messages and password hashes, which must not reach the log. Poolers refuse the setting
    // of digits, and no column has a float.
    Ok(named.disable_statement_logging().extra_float_digits(None))
}

async fn is_pooled(settings: &DatabaseConfig, named: &PgConnectOptions) -> Result<bool, DbErr> {
    // Also when it is configured: the first connection shows why the server refuses, if it does.
    let mut first = first_connection(named, settings.acquire_timeout).await.map_err(failed)?;
    let pooled = match settings.pooler {
        Switch::On => true,
        Switch::Off => false,
        Switch::Auto => match tokio::time::timeout(PROBE, shares_servers(&mut first, named)).await {
            Ok(Ok(pooled)) => pooled,
            // A server with a single connection left, or a slow one.
            Ok(Err(_)) | Err(_) => false,
        },
    };
    first.close().await.ok();
    Ok(pooled)
}

/// Connects, and waits as long as this for a server that starts.
async fn first_connection(named: &PgConnectOptions, patience: Duration) -> Result<PgConnection, sqlx::Error> {
    let begun = Instant::now();
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let connected = tokio::time::timeout(left, named.connect()).await;
        match connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Err(err) if is_transient(&err) && begun.elapsed() + RETRY < patience => {
                tokio::time::sleep(RETRY).await;
            }
            done => return done,
        }
    }
}

fn is_transient(err: &sqlx::Error) -> bool {
    match err {
        sqlx::Error::Io(err) => err.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(err) => err.is_transient_in_connect_phase(),
        _ => false,
    }
}

/// Whether a pooler gives a connection another server process from one transaction to the next. Uses the simple
/// protocol only, because prepared statements do not work there.
///
/// Poolers give either the process that was free last or the one that was free first. In the first case, the
/// second connection gets the process of the first one; in the other case, the first one gets another process.
async fn shares_servers(first: &mut PgConnection, named: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let before = process(first).await?;
    if process(first).await? != before {
        return Ok(true);
    }
    let mut second = named.connect().await?;
    second.execute("BEGIN").await?;
    let of_second = process(&mut second).await?;
    let after = process(first).await?;
    second.execute("COMMIT").await?;
    let at_last = process(&mut second).await?;
    second.close().await.ok();
    Ok(of_second == before || after != before || at_last != of_second)
}

async fn process(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = connection.fetch_one("SELECT pg_backend_pid()::text").await?;
    row.try_get(0)
}

/// The statement that begins a session; empty if the URL's options set everything. It is a statement, not
/// connection options, because connection poolers refuse those.
///
/// With keepalive, PostgreSQL notices within a minute that this process has disappeared, and releases its
/// locks.
pub(super) fn session_settings(settings: &DatabaseConfig, named: &PgConnectOptions) -> String {
    let keepalive =
        [("tcp_keepalives_idle", "30"), ("tcp_keepalives_interval", "10"), ("tcp_keepalives_count", "3")];
    let limits = limits(settings);
    let values = limits.iter().map(|(name, value)| (*name, value.as_str())).chain(keepalive);
    set_all(values, named, false)
}

/// The statement that begins a transaction behind a pooler. What other clients of the pooler have prepared in
/// this server process is discarded, because their statements have the same names as ours. Settings end with the
/// transaction: otherwise they would reach those other clients.
fn transaction_settings(settings: &DatabaseConfig, named: &PgConnectOptions) -> String {
    let limits = limits(settings);
    let values = limits.iter().map(|(name, value)| (*name, value.as_str()));
    let set = set_all(values, named, true);
    if set.is_empty() { "DEALLOCATE ALL".to_owned() } else { format!("DEALLOCATE ALL; {set}") }
}

fn limits(settings: &DatabaseConfig) -> [(&'static str, String); 2] {
    [
        ("statement_timeout", settings.statement_timeout.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", "60s".to_owned()),
    ]
}

fn set_all<'a>(
    values: impl Iterator<Item = (&'a str, &'a str)>,
    named: &PgConnectOptions,
    is_local: bool,
) -> String {
    let given = named.get_options().unwrap_or_default();
    let wanted = values.filter(|(name, _)| !given.contains(name));
    let wanted: Vec<_> =
        wanted.map(|(name, value)| format!("set_config('{name}', '{value}', {is_local})")).collect();
    if wanted.is_empty() { String::new() } else { format!("SELECT {}", wanted.join(", ")) }
}
