//! Migrations: applies, undoes and lists them.
//!
//! Nodes of two versions may use one database while an operator replaces them one by one. So a migration first adds what
//! a new version needs, in a way that the version before can still use the database, and a version later another
//! one takes away what nobody uses any more. [`migration::SERVES_SINCE`] says which programs can use the newest schema. It is
//! written to the database, so that an older program knows.

use std::collections::BTreeSet;

use migration::{Migrator, SERVES_SINCE};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::MigratorTrait;

use super::{Backend, Db, Transaction, refused};

/// The advisory lock that a process takes to migrate a PostgreSQL database, so that two nodes that start
/// together do not both migrate.
const MIGRATING: i64 = 0x0050_6172_6c6f_7201;

/// The migrations of this program, and what a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Those of this program in order, and whether each is applied.
    pub own: Vec<(String, bool)>,
    /// Those of a newer version that are applied, too. The database serves this program all the same.
    pub newer: Vec<String>,
    /// Programs whose newest migration is this one, or a later one, can use the database; none if it does not say.
    pub serves_since: Option<String>,
}

impl Db {
    /// Run at the start of the server. Always migrates SQLite, and PostgreSQL if `auto_migrate` is set.
    /// Otherwise a database that lacks a migration is an error.
    pub async fn migrate_at_start(&self) -> Result<(), DbErr> {
        if let Backend::Sqlite(_) | Backend::Postgres { auto_migrate: true, .. } = self.kind {
            return self.migrate_up().await;
        }
        let migrations = self.migrations().await?;
        match migrations.own.iter().find(|(_, applied)| !applied) {
            None => Ok(()),
            Some((name, _)) => Err(refused(&format!(
                "the database lacks migration {name}: run `parlor migrate up` first, or set database.auto_migrate"
            ))),
        }
    }

    /// Applies all pending migrations; on an error, none of them. Does nothing to a database of a newer version that serves
    /// this program.
    pub async fn migrate_up(&self) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        let migrations = migrations(&*transaction).await?;
        if !migrations.newer.is_empty() {
            tracing::warn!("the database is of a newer version of Parlor, which serves this one, too");
            return Ok(());
        }
        Migrator::up(&*transaction, None).await?;
        transaction.execute_unprepared("DELETE FROM schema_serves").await?;
        let serves = format!("INSERT INTO schema_serves (since) VALUES ('{SERVES_SINCE}')");
        transaction.execute_unprepared(&serves).await?;
        transaction.commit().await
    }

    /// Undoes the newest `steps` migrations. The data in their tables and columns is lost.
    ///
    /// # Errors
    /// Also for a database of a newer version: only that one knows how to undo its migrations.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), DbErr> {
        let transaction = self.begin_migrating().await?;
        if !migrations(&*transaction).await?.newer.is_empty() {
            return Err(too_new());
        }
        Migrator::down(&*transaction, Some(steps)).await?;
        transaction.commit().await
    }

    /// The migrations of this program in order, and whether each is applied. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<(String, bool)>, DbErr> {
        Ok(self.migrations().await?.own)
    }

    /// See [`migrations`].
    pub async fn migrations(&self) -> Result<Migrations, DbErr> {
        migrations(&self.reader).await
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

/// What is applied. Changes nothing.
///
/// # Errors
/// Also if a migration is applied that this version does not know, and the database does not serve this version.
pub async fn migrations(database: &impl ConnectionTrait) -> Result<Migrations, DbErr> {
    let applied: BTreeSet<String> =
        names(database, "seaql_migrations", "version").await?.into_iter().collect();
    let known: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let newer: Vec<String> = applied.iter().filter(|name| !known.contains(name)).cloned().collect();
    let serves_since = names(database, "schema_serves", "since").await?.pop();
    let has_all = known.iter().all(|name| applied.contains(name));
    let serves =
        known.last().is_some_and(|newest| serves_since.as_ref().is_some_and(|since| since <= newest));
    let is_usable = newer.is_empty() || (has_all && serves);
    if !is_usable {
        return Err(too_new());
    }
    let own = known.into_iter().map(|name| (name.clone(), applied.contains(&name))).collect();
    Ok(Migrations { own, newer, serves_since })
}

/// The names in a column of a table; none if there is no such table.
async fn names(database: &impl ConnectionTrait, table: &str, column: &str) -> Result<Vec<String>, DbErr> {
    let is_there = match database.get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("SELECT 1 FROM sqlite_schema WHERE name = '{table}'"),
        _ => format!(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = '{table}'"
        ),
    };
    let ask = |text: String| Statement::from_string(database.get_database_backend(), text);
    if database.query_one_raw(ask(is_there)).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = database.query_all_raw(ask(format!("SELECT {column} FROM {table}"))).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

fn too_new() -> DbErr {
    refused(
        "the database is of a newer version of Parlor: use that version, or undo its migrations with it \
         (`parlor migrate down`)",
    )
}
