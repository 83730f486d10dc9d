//! The connections to PostgreSQL. Each one is opened when all others are in use, and then kept.
//!
//! PostgreSQL may grant fewer connections than are configured: to this role, to this database, or because other
//! programs have them. The pool of the driver would wait for a refused connection until it gives up, even while
//! an open one becomes free. Here each place is a pool of the driver with a single connection, made only once
//! that connection is open. Statements wait for a place; opening another one goes on beside them.

use std::{
    ops::Deref,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqlxPostgresConnector, Statement, TransactionTrait,
    prelude::async_trait::async_trait,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{cause, failed};
use crate::metrics;

/// How long an idle connection may take to answer before another one is used.
const PING: Duration = Duration::from_secs(2);
/// After how long of waiting for a connection PostgreSQL is asked whether it refuses it.
const UNUSUAL: Duration = Duration::from_millis(300);
/// How long after a refusal no further connection is asked for.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) struct PoolSettings {
    pub connect: PgConnectOptions,
    /// The statement that begins each session, or behind a pooler each transaction.
    pub session: Arc<str>,
    /// Whether each statement needs a transaction of its own, because a pooler is in front of the database.
    pub pooled: bool,
    /// The most connections.
    pub most: u32,
    /// How long a statement may wait for a connection.
    pub patience: Duration,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PostgresPool(Arc<Places>);

#[derive(Debug)]
struct Places {
    settings: PoolSettings,
    /// One permit for each free place.
    permits: Arc<Semaphore>,
    /// The statements that wait for a place.
    waiting: AtomicUsize,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// Those that nobody uses, the one that was used last at the end.
    free: Vec<DatabaseConnection>,
    /// All places.
    made: u32,
    is_growing: bool,
    refused_at: Option<Instant>,
    is_closed: bool,
}

/// A place in use; free again when it is dropped.
pub(super) struct PoolPlace {
    connection: DatabaseConnection,
    places: Arc<Places>,
    // Released after the connection is in the list again.
    permit: Option<OwnedSemaphorePermit>,
}

impl PostgresPool {
    /// Opens the first connection.
    pub(super) async fn open(settings: PoolSettings) -> Result<Self, DbErr> {
        let places = Arc::new(Places {
            settings,
            permits: Arc::new(Semaphore::new(0)),
            waiting: AtomicUsize::new(0),
            state: Mutex::default(),
        });
        let first = places.connect().await.map_err(failed)?;
        places.add(first);
        Ok(Self(places))
    }

    /// Opens all connections, as far as PostgreSQL grants them.
    pub(super) async fn fill(&self) {
        while self.0.may_grow() && self.0.grow().await {}
    }

    /// The most connections that it may have.
    pub(super) fn most(&self) -> usize {
        self.0.settings.most as usize
    }

    /// Waits for a free connection.
    ///
    /// # Errors
    /// `DbErr::ConnectionAcquire` if none becomes free in time.
    async fn place(&self) -> Result<PoolPlace, DbErr> {
        let permit = match self.0.permits.clone().try_acquire_owned() {
            Ok(permit) => {
                metrics::DATABASE_WAIT.record(0);
                permit
            }
            Err(_) => {
                let begun = Instant::now();
                let _waiting = WaitingRequest::of(&self.0.waiting);
                self.0.begin_to_grow();
                let free =
                    tokio::time::timeout(self.0.settings.patience, self.0.permits.clone().acquire_owned());
                let free = free.await;
                metrics::DATABASE_WAIT.record_time(begun.elapsed());
                match free {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
                    Err(_) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
                }
            }
        };
        match self.0.take() {
            Some(connection) => Ok(PoolPlace { connection, places: self.0.clone(), permit: Some(permit) }),
            None => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
        }
    }

    /// Begins a transaction. The place is in use until both are dropped.
    pub(super) async fn begin(&self) -> Result<(DatabaseTransaction, PoolPlace), DbErr> {
        let place = self.place().await?;
        let transaction = self.begin_on(&place).await?;
        Ok((transaction, place))
    }

    async fn begin_on(&self, place: &PoolPlace) -> Result<DatabaseTransaction, DbErr> {
        let transaction = place.begin().await?;
        if self.0.settings.pooled {
            transaction.execute_unprepared(&self.0.settings.session).await?;
        }
        Ok(transaction)
    }

    /// Closes all connections once they are free.
    pub(super) async fn close(&self) {
        let (made, free) = {
            let mut state = self.0.state.lock();
            state.is_closed = true;
            (state.made, std::mem::take(&mut state.free))
        };
        let others = made.saturating_sub(free.len() as u32);
        for connection in free {
            super::note(connection.close().await);
        }
        // Those in use close themselves when they are returned.
        let patience = self.0.settings.patience;
        let returned = tokio::time::timeout(patience, self.0.permits.acquire_many(made));
        if others > 0 && returned.await.is_err() {
            tracing::warn!("a database connection was still in use at the end");
        }
        self.0.permits.close();
    }
}

impl Places {
    /// Opens a connection in a pool of its own.
    async fn connect(&self) -> Result<DatabaseConnection, sqlx::Error> {
        let PoolSettings { connect, session, pooled, patience, .. } = &self.settings;
        let session = if *pooled { Arc::from("") } else { session.clone() };
        let pool = PgPoolOptions::new()
            .max_connections(1)
            // Kept: another program might take its place.
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(*patience)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let session = session.clone();
                Box::pin(async move { begin_session(connection, &session).await })
            })
            // The pool checks a connection whenever it is returned, which is enough for one in constant use. An
            // idle connection may have been closed meanwhile, or the network may drop its packets.
            .before_acquire(|connection, lain| {
                Box::pin(async move {
                    if lain.idle_for > Duration::from_secs(1) {
                        return Ok(matches!(tokio::time::timeout(PING, connection.ping()).await, Ok(Ok(()))));
                    }
                    Ok(true)
                })
            })
            .connect_with(connect.clone());
        let pool = tokio::select! {
            opened = pool => opened?,
            refusal = self.refusal() => return Err(refusal),
        };
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }

    /// Why PostgreSQL refuses a connection, as soon as it does: the driver's pool would ask again and again until
    /// its time is over, and not tell the reason.
    async fn refusal(&self) -> sqlx::Error {
        loop {
            tokio::time::sleep(UNUSUAL).await;
            match self.settings.connect.connect().await {
                Ok(connection) => drop(connection.close().await),
                Err(err) => return err,
            }
        }
    }

    fn add(&self, connection: DatabaseConnection) {
        let mut state = self.state.lock();
        state.made += 1;
        state.free.push(connection);
        drop(state);
        self.permits.add_permits(1);
    }

    /// The free connection that was used last, because its server process is warm. The driver checks a returned
    /// connection for a moment; one that it still checks is taken only if there is no other.
    fn take(&self) -> Option<DatabaseConnection> {
        let mut state = self.state.lock();
        let ready = state.free.iter().rposition(|free| free.get_postgres_connection_pool().num_idle() > 0);
        match ready {
            Some(at) => Some(state.free.remove(at)),
            None if state.free.is_empty() => None,
            None => Some(state.free.remove(0)),
        }
    }

    /// Opens one more connection in a task of its own, if there may be one.
    fn begin_to_grow(self: &Arc<Self>) {
        let places = Arc::downgrade(self);
        if self.may_grow() {
            #[expect(clippy::disallowed_methods, reason = "it is short, and nothing has to wait for it")]
            tokio::spawn(async move {
                while let Some(places) = Weak::upgrade(&places)
                    && places.grow().await
                    && places.waiting.load(Ordering::Relaxed) > 0
                    && places.may_grow()
                {}
            });
        }
    }

    /// Whether to open a connection now. Then [`Places::grow`] has to follow.
    fn may_grow(&self) -> bool {
        let mut state = self.state.lock();
        let was_refused = state.refused_at.is_some_and(|at| at.elapsed() < AFTER_REFUSAL);
        let may = !state.is_growing && !was_refused && !state.is_closed && state.made < self.settings.most;
        state.is_growing |= may;
        may
    }

    /// Opens one more connection. Returns whether it is open.
    async fn grow(&self) -> bool {
        let connected = self.connect().await;
        let is_new = connected.is_ok();
        match connected {
            Ok(connection) => self.add(connection),
            Err(err) => {
                let open = self.state.lock().made;
                tracing::warn!(
                    error = %cause(&failed(err)),
                    open,
                    wanted = self.settings.most,
                    "PostgreSQL grants no further connection, so requests share those that are open: lower \
                     database.max_connections, or let PostgreSQL grant more"
                );
                self.state.lock().refused_at = Some(Instant::now());
            }
        }
        self.state.lock().is_growing = false;
        is_new
    }

    /// Whether to give up a place that has lost its connection. Another one takes its place when it is needed.
    fn retires(&self, connection: &DatabaseConnection) -> bool {
        let mut state = self.state.lock();
        let retires = connection.get_postgres_connection_pool().size() == 0 && state.made > 1;
        if retires {
            state.made -= 1;
        }
        retires
    }

    fn return_place(&self, connection: DatabaseConnection) {
        let mut state = self.state.lock();
        if !state.is_closed {
            return state.free.push(connection);
        }
        drop(state);
        #[expect(clippy::disallowed_methods, reason = "the process ends, and the server notices by itself")]
        drop(tokio::spawn(async move { super::note(connection.close().await) }));
    }
}

impl Deref for PoolPlace {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.connection
    }
}

impl Drop for PoolPlace {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        if self.places.retires(&self.connection) {
            return permit.forget();
        }
        self.places.return_place(self.connection.clone());
    }
}

/// Counted for as long as it is kept.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl<'a> WaitingRequest<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl ConnectionTrait for PostgresPool {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let place = self.place().await?;
        if !self.0.settings.pooled {
            return place.execute_raw(statement).await;
        }
        let transaction = self.begin_on(&place).await?;
        let done = transaction.execute_raw(statement).await?;
        transaction.commit().await?;
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.place().await?.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let place = self.place().await?;
        if !self.0.settings.pooled {
            return place.query_one_raw(statement).await;
        }
        let transaction = self.begin_on(&place).await?;
        let row = transaction.query_one_raw(statement).await?;
        transaction.commit().await?;
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let place = self.place().await?;
        if !self.0.settings.pooled {
            return place.query_all_raw(statement).await;
        }
        let transaction = self.begin_on(&place).await?;
        let rows = transaction.query_all_raw(statement).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

/// Carries out the statement that begins a session, if there is one.
async fn begin_session(connection: &mut PgConnection, session: &str) -> Result<(), sqlx::Error> {
    if !session.is_empty() {
        connection.execute(AssertSqlSafe(session)).await?;
    }
    Ok(())
}
