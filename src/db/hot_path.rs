//! The handles for writing to the database.

use std::ops::Deref;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::{
    connections::Connections,
    postgres_pool::{PoolPlace, PostgresPool},
    sqlite_writer::{SqliteTurn, SqliteWriter},
};

/// Hot-path writes use a dedicated, backend-specific connection.
#[derive(Clone, Copy, Debug)]
pub enum HotPath<'db> {
    Sqlite(&'db SqliteWriter),
    /// A small pool of its own. Each PostgreSQL process has to prepare and plan each statement and to warm
    /// up, so few connections are best. The writes also never wait behind many concurrent reads.
    Postgres(&'db PostgresPool),
}

impl HotPath<'_> {
    pub fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// Executes a single statement.
    pub async fn execute(&self, statement: Statement) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(writer_turns) => writer_turns.execute_atomic([statement]).await,
            Self::Postgres(db) => db.execute_raw(statement).await.map(drop),
        }
    }
}

/// For writing a single statement. On SQLite it holds the write lock until it is dropped. A task that asks
/// for another one while it holds this one waits for itself, until `acquire_timeout`.
pub struct WriteConnection<'db> {
    pub(super) connection: &'db Connections,
    #[expect(dead_code, reason = "held, and given back when this is dropped")]
    pub(super) turn: Option<SqliteTurn>,
}

impl Deref for WriteConnection<'_> {
    type Target = Connections;

    fn deref(&self) -> &Connections {
        self.connection
    }
}

/// A transaction that writes. Dropping it without a commit rolls it back. On SQLite it holds the write lock,
/// as [`WriteConnection`] does.
pub struct Transaction {
    pub(super) transaction: DatabaseTransaction,
    #[expect(dead_code, reason = "held until the transaction has ended")]
    pub(super) turn: Option<SqliteTurn>,
    #[expect(dead_code, reason = "held until the transaction has ended")]
    pub(super) place: Option<PoolPlace>,
}

impl Transaction {
    /// # Errors
    /// If the database itself refused the commit, nothing was committed. After any other error the outcome is
    /// unknown.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.transaction.commit().await
    }
}

impl Deref for Transaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}
