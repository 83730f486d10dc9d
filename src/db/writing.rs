//! What those who write hold while they do.

use std::ops::Deref;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::turns::{Turn, Turns};

/// What is written all the time has a way of its own, which each database has another of.
#[derive(Clone, Copy, Debug)]
pub enum Steady<'db> {
    Sqlite(&'db Turns),
    /// Connections of their own: every process of the server has to prepare, to plan and to warm up for
    /// each statement, so they are best run by few; and they never wait behind people who all read at once.
    Postgres(&'db DatabaseConnection),
}

impl Steady<'_> {
    pub fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// A statement by itself.
    pub async fn execute(&self, statement: Statement) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(turns) => turns.at_once([statement]).await,
            Self::Postgres(db) => db.execute_raw(statement).await.map(drop),
        }
    }
}

/// For writing a single statement. On SQLite it is one's turn as long as one has it: to ask for another
/// meanwhile is to wait for oneself, until `acquire_timeout`.
pub struct Writer<'db> {
    pub(super) connection: &'db DatabaseConnection,
    #[expect(dead_code, reason = "held, and given back when this is dropped")]
    pub(super) turn: Option<Turn>,
}

impl Deref for Writer<'_> {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        self.connection
    }
}

/// A transaction that writes; dropping it without a commit undoes it. It is a turn as [`Writer`] is.
pub struct Transaction {
    pub(super) transaction: DatabaseTransaction,
    #[expect(dead_code, reason = "held until the transaction has ended")]
    pub(super) turn: Option<Turn>,
}

impl Transaction {
    /// # Errors
    /// Whether it was carried out is known only where the database itself refused it.
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
