//! Migrations: applies, undoes and lists them.

use migration::Migrator;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationStatus, MigratorTrait};

use super::{Backend, Db, Transaction, refused};

/// The advisory lock that a process takes to migrate a PostgreSQL database, so that two nodes that start
/// together do not both migrate.
const MIGRATING: i64 = 0x0050_6172_6c6f_7201;

impl Db {
    /// Run at the start of the server. Always migrates SQLite, and PostgreSQL if `auto_migrate` is set.
    /// Otherwise a database that lacks a migration is an error.
    pub async fn migrate_at_start(&self) -> Result<(), DbErr> {
        if let Backend::Sqlite(_) | Backend::Postgres { auto_migrate: true, .. } = self.kind {
            return self.migrate_up().await;
        }
        let status = self.migration_status().await?;
        match status.iter().find(|(_, applied)| !applied) {
            None => Ok(()),
            Some((name, _)) => Err(refused(&format!(
                "the database lacks migration {name}: run `parlor migrate up` first, or set database.auto_migrate"
            ))),
        }
    }

    /// Applies all pending migrations; on an error, none of them.
    pub async fn migrate_up(&self) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        Migrator::up(&*transaction, None).await.map_err(explained)?;
        transaction.commit().await
    }

    /// Undoes the newest `steps` migrations. The data in their tables and columns is lost.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        Migrator::down(&*transaction, Some(steps)).await.map_err(explained)?;
        transaction.commit().await
    }

    /// All migrations in order, and whether each is applied. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<(String, bool)>, DbErr> {
        migration_status(&self.reader).await
    }

    /// A transaction that only one process can have at a time.
    async fn begin_migrating(&self) -> Result<Transaction, DbErr> {
        // A migration may rewrite a large table, or wait for the migration of another node.
        let transaction = self.begin_long().await?;
        if !self.is_sqlite() {
            let lock = format!("SELECT pg_advisory_xact_lock({MIGRATING})");
            transaction.execute_unprepared(&lock).await?;
        }
        Ok(transaction)
    }
}

/// All migrations in order, and whether each is applied. Changes nothing.
///
/// # Errors
/// Also if a migration is applied that this version does not know.
pub async fn migration_status(database: &impl ConnectionTrait) -> Result<Vec<(String, bool)>, DbErr> {
    let migrations = Migrator::get_migration_with_status_read_only(database).await.map_err(explained)?;
    Ok(migrations
        .iter()
        .map(|migration| (migration.name().to_owned(), migration.status() == MigrationStatus::Applied))
        .collect())
}

/// The library says that a file is missing where a newer version has migrated the database.
fn explained(err: DbErr) -> DbErr {
    if !err.to_string().contains("is missing, this migration has been applied") {
        return err;
    }
    refused(
        "the database is of a newer version of Parlor: use that version, or undo its migrations with it \
         (`parlor migrate down`)",
    )
}
