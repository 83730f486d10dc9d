//! Serializes writes to SQLite, which allows one writer at a time. SQLite's own lock makes a writer sleep and
//! try again, in no order. Here all writers wait in a queue: first come, first served.
//!
//! The lock also guards a dedicated connection for the hot path. Its statements stay prepared, and several
//! statements are one message to SQLite's thread instead of two each ([`SqliteWriter::at_once`]).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sea_orm::{
    ConnAcquireErr, DbErr, RuntimeErr, Statement, Value, Values,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, Connection, Executor, SqliteConnection,
        sqlite::SqliteConnectOptions,
    },
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{failed, note};
use crate::{error::is_refusal, metrics};

/// The number of statements that the connection keeps prepared. It is enough for all hot-path statements in
/// all lengths of their lists (see [`super::values_list`]).
const PREPARED: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct SqliteWriter {
    /// The connection. A caller takes it out to use it. If the caller is cancelled in the middle, the connection
    /// is closed, its transaction is rolled back, and the next caller opens another one.
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    options: SqliteConnectOptions,
    patience: Duration,
}

/// The write lock, until it is dropped.
pub(super) type SqliteTurn = OwnedMutexGuard<Option<SqliteConnection>>;

impl SqliteWriter {
    /// Opens the connection at once, so that the first write needs no file descriptor. `patience` is the maximum
    /// time to wait for the lock.
    pub(super) async fn open(options: SqliteConnectOptions, patience: Duration) -> Result<Self, DbErr> {
        let options = options.statement_cache_capacity(PREPARED);
        let connection = options.connect().await.map_err(failed)?;
        Ok(Self { connection: Arc::new(Mutex::new(Some(connection))), options, patience })
    }

    /// # Errors
    /// `DbErr::ConnectionAcquire` if the writers in front take longer than `patience`.
    pub(super) async fn take(&self) -> Result<SqliteTurn, DbErr> {
        // Whoever waits has the lock before anybody can try it.
        if let Ok(turn) = self.connection.clone().try_lock_owned() {
            metrics::DATABASE_WAIT.record(0);
            return Ok(turn);
        }
        let begun = Instant::now();
        let turn = tokio::time::timeout(self.patience, self.connection.clone().lock_owned()).await;
        metrics::DATABASE_WAIT.record_time(begun.elapsed());
        turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// Executes these statements in this order, as one transaction.
    ///
    /// # Errors
    /// Nothing has changed, unless the disk failed during the commit.
    pub async fn execute_atomic(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), DbErr> {
        let (sql, values) = joined(statements);
        let mut turn = self.take().await?;
        let mut connection = match turn.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(failed)?,
        };
        let done = carry_out(&mut connection, sql, values).await;
        let usable = match &done {
            Ok(()) => true,
            Err(err) => is_refusal(err) && connection.execute("ROLLBACK").await.is_ok(),
        };
        if usable {
            *turn = Some(connection);
        } else {
            note(connection.close_hard().await);
        }
        done
    }

    /// Closes the connection. The next write opens another one.
    pub(super) async fn close(&self) {
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection {
            note(connection.close().await);
        }
    }
}

/// One SQL text with all statements inside a transaction, and the values of all of them.
fn joined(statements: impl IntoIterator<Item = Statement>) -> (String, Values) {
    let mut sql = String::from("BEGIN IMMEDIATE");
    let mut values: Vec<Value> = Vec::new();
    for statement in statements {
        sql.push(';');
        sql.push_str(&statement.sql);
        values.extend(statement.values.into_iter().flat_map(|values| values.0));
    }
    sql.push_str(";COMMIT");
    (sql, Values(values))
}

async fn carry_out(connection: &mut SqliteConnection, sql: String, values: Values) -> Result<(), DbErr> {
    let query = sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values));
    let mut steps = connection.fetch_many(query);
    while steps.try_next().await.map_err(|err| DbErr::Exec(RuntimeErr::SqlxError(Arc::new(err))))?.is_some() {
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DbBackend};

    use super::*;
    use crate::db::{Db, HotPath};

    /// A database with a table that has a unique column.
    async fn database(folder: &tempfile::TempDir) -> Db {
        let db = Db::migrated_in(folder.path()).await;
        let writer = db.writer().await.unwrap();
        writer.execute_unprepared("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)").await.unwrap();
        drop(writer);
        db
    }

    fn writer_turns(db: &Db) -> &SqliteWriter {
        match db.hot_path() {
            HotPath::Sqlite(writer_turns) => writer_turns,
            HotPath::Postgres(_) => unreachable!("these tests are about SQLite"),
        }
    }

    fn add(number: i64) -> Statement {
        Statement::from_sql_and_values(DbBackend::Sqlite, "INSERT INTO t (a) VALUES (?)", [number.into()])
    }

    async fn stored(db: &Db) -> Vec<i64> {
        let asked = Statement::from_string(DbBackend::Sqlite, "SELECT a FROM t ORDER BY a");
        let rows = db.reader().query_all_raw(asked).await.unwrap();
        rows.iter().map(|row| row.try_get("", "a").unwrap()).collect()
    }

    #[tokio::test]
    async fn all_is_carried_out_or_nothing_and_the_next_finds_it_usable() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        writer_turns(&db).execute_atomic([add(1), add(2)]).await.unwrap();
        let refused = writer_turns(&db).execute_atomic([add(3), add(1), add(4)]).await.unwrap_err();
        assert!(is_refusal(&refused), "{refused}");
        assert_eq!(stored(&db).await, [1, 2]);
        writer_turns(&db).execute_atomic([add(3)]).await.unwrap();
        let transaction = db.begin().await.unwrap();
        transaction.execute_raw(add(4)).await.unwrap();
        transaction.commit().await.unwrap();
        db.writer().await.unwrap().execute_raw(add(5)).await.unwrap();
        assert_eq!(stored(&db).await, [1, 2, 3, 4, 5]);
        db.close().await;
    }

    #[tokio::test]
    async fn who_is_cancelled_half_way_has_done_all_or_nothing_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        for round in 0..60_u64 {
            let first = round as i64 * 20;
            let statements = (first..first + 20).map(add);
            let patience = Duration::from_micros(round * 15);
            drop(tokio::time::timeout(patience, writer_turns(&db).execute_atomic(statements)).await);
            let count = stored(&db).await.iter().filter(|number| **number >= first).count();
            // A transaction that had reached its commit may still complete.
            assert!(count == 0 || count == 20, "{count}");
        }
        writer_turns(&db).execute_atomic([add(-1)]).await.unwrap();
        assert_eq!(stored(&db).await.first(), Some(&-1));
    }

    #[tokio::test]
    async fn it_survives_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        // Only for this connection: the connection that replaces it has no such limit.
        let limit = Statement::from_string(DbBackend::Sqlite, "PRAGMA max_page_count = 10");
        writer_turns(&db).execute_atomic([limit]).await.unwrap();
        let large = "INSERT INTO t (b) VALUES (randomblob(1000000))";
        let large = || Statement::from_string(DbBackend::Sqlite, large);
        let full = writer_turns(&db).execute_atomic([add(1), large()]).await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        assert_eq!(stored(&db).await, [] as [i64; 0]);
        writer_turns(&db).execute_atomic([add(1), large()]).await.unwrap();
        assert_eq!(stored(&db).await, [1, 2]);
    }

    #[tokio::test]
    async fn one_at_a_time_in_the_order_of_asking_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        let held = db.begin().await.unwrap();
        held.execute_raw(add(1)).await.unwrap();
        let (first, second) = (writer_turns(&db).execute_atomic([add(2)]), async {
            tokio::task::yield_now().await;
            db.writer().await.unwrap().execute_raw(add(3)).await.unwrap();
        });
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        for _ in 0..20 {
            assert!(futures_util::poll!(first.as_mut()).is_pending());
            assert!(futures_util::poll!(second.as_mut()).is_pending());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        held.commit().await.unwrap();
        let (stored_first, ()) = tokio::join!(first, second);
        stored_first.unwrap();
        assert_eq!(stored(&db).await, [1, 2, 3]);

        let _held = db.begin().await.unwrap();
        let refused = db.clone().writer().await.err();
        assert!(matches!(refused, Some(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))), "{refused:?}");
    }
}
