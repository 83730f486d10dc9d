//! Whose turn it is to write to SQLite, which lets one write at a time. Its own way to wait for that is to
//! sleep and look again, in no order; here everyone who writes waits for their turn, first come, first served.
//!
//! With the turn comes a connection of its own for what is written all the time: it stays prepared, and
//! several statements are one word to its thread instead of two for each ([`Turns::at_once`]).

use std::{sync::Arc, time::Duration};

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
use crate::error::is_refusal;

/// Statements that the connection keeps prepared: each of those that come in few lengths, in all of them.
const PREPARED: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct Turns {
    /// The connection, once it was needed. Whoever uses it takes it out: if they break off half-way, it
    /// is closed, and with it their transaction undone.
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    options: SqliteConnectOptions,
    patience: Duration,
}

/// Somebody's turn, until it is dropped.
pub(super) type Turn = OwnedMutexGuard<Option<SqliteConnection>>;

impl Turns {
    /// `patience` is how long somebody may wait for their turn.
    pub(super) fn new(options: SqliteConnectOptions, patience: Duration) -> Self {
        let options = options.statement_cache_capacity(PREPARED);
        Self { connection: Arc::default(), options, patience }
    }

    /// # Errors
    /// Those before took too long.
    pub(super) async fn take(&self) -> Result<Turn, DbErr> {
        let turn = tokio::time::timeout(self.patience, self.connection.clone().lock_owned()).await;
        turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// Carries out these statements in this order, all of them or none.
    ///
    /// # Errors
    /// Nothing has changed, unless the disk failed in the middle of the commit.
    pub async fn at_once(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), DbErr> {
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

    /// Closes the connection; the next who needs one opens another.
    pub(super) async fn close(&self) {
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection {
            note(connection.close().await);
        }
    }
}

/// One text for all statements and the transaction around them, with the values of all.
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
    use crate::db::{Db, Steady};

    /// A database with a table of which nothing may be in it twice.
    async fn database(folder: &tempfile::TempDir) -> Db {
        let db = Db::migrated_in(folder.path()).await;
        let writer = db.writer().await.unwrap();
        writer.execute_unprepared("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)").await.unwrap();
        drop(writer);
        db
    }

    fn turns(db: &Db) -> &Turns {
        match db.steady() {
            Steady::Sqlite(turns) => turns,
            Steady::Postgres(_) => unreachable!("these tests are about SQLite"),
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
        turns(&db).at_once([add(1), add(2)]).await.unwrap();
        let refused = turns(&db).at_once([add(3), add(1), add(4)]).await.unwrap_err();
        assert!(is_refusal(&refused), "{refused}");
        assert_eq!(stored(&db).await, [1, 2]);
        turns(&db).at_once([add(3)]).await.unwrap();
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
            drop(tokio::time::timeout(patience, turns(&db).at_once(statements)).await);
            let count = stored(&db).await.iter().filter(|number| **number >= first).count();
            // One that had come as far as its commit may still be about to end.
            assert!(count == 0 || count == 20, "{count}");
        }
        turns(&db).at_once([add(-1)]).await.unwrap();
        assert_eq!(stored(&db).await.first(), Some(&-1));
    }

    #[tokio::test]
    async fn it_survives_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        // Of this connection only: the one that replaces it has a disk again.
        let limit = Statement::from_string(DbBackend::Sqlite, "PRAGMA max_page_count = 10");
        turns(&db).at_once([limit]).await.unwrap();
        let large = "INSERT INTO t (b) VALUES (randomblob(1000000))";
        let large = || Statement::from_string(DbBackend::Sqlite, large);
        let full = turns(&db).at_once([add(1), large()]).await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        assert_eq!(stored(&db).await, [] as [i64; 0]);
        turns(&db).at_once([add(1), large()]).await.unwrap();
        assert_eq!(stored(&db).await, [1, 2]);
    }

    #[tokio::test]
    async fn one_at_a_time_in_the_order_of_asking_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        let held = db.begin().await.unwrap();
        held.execute_raw(add(1)).await.unwrap();
        let (first, second) = (turns(&db).at_once([add(2)]), async {
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
