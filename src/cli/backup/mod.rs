//! `parlor backup` and `parlor restore`: the whole database as one file. On SQLite Parlor does the work itself, on
//! PostgreSQL it runs `pg_dump` and `pg_restore`.

mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use sea_orm::ConnectionTrait;

use super::{
    new_file::beginning,
    signals::to_its_end,
    with_app::{has_file, log_warnings},
};
use crate::{
    config::Config,
    db::{PG_DUMP_MAGIC, SQLITE_MAGIC, migrations},
};

/// Write the whole database into one file, also while the server runs.
///
/// The file has everything that was acknowledged before the command began. It is checked before it gets its name.
/// SQLite: a database that any SQLite program can open. PostgreSQL: pg_dump's custom format; pg_dump has to be
/// installed. The key that signs tokens is not in it: keep auth.jwt_secret_file, or everybody signs in again.
#[derive(Debug, Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub struct Backup {
    /// The file to write. It must not exist.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const BACKUP_EXAMPLES: &str = "\
Examples:
  parlor backup /var/backups/parlor-$(date +%F).db
  parlor --config /etc/parlor/parlor.toml backup monday.db";

/// Make the database from a file of `parlor backup`. It must not exist, or be empty. Stop the server first.
///
/// SQLite: the file is checked and copied to the place that database.url names. PostgreSQL: pg_restore fills an empty
/// database in one transaction. Users who have changed their password since the backup have the old one again.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct Restore {
    /// A file that `parlor backup` has written.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  mv data/parlor.db data/parlor.db.old && parlor restore monday.db
  PARLOR__DATABASE__URL=postgres://parlor@db/restored parlor restore monday.dump";

pub async fn back_up(config: &Config, command: &Backup) -> anyhow::Result<()> {
    log_warnings()?;
    has_file(config)?;
    if config.database.url.is_sqlite() {
        sqlite::back_up(config, &command.file).await
    } else {
        postgres::back_up(config, &command.file).await
    }
}

pub async fn restore(config: &Config, command: &Restore) -> anyhow::Result<()> {
    log_warnings()?;
    let is_sqlite = config.database.url.is_sqlite();
    let (magic, kind) = if is_sqlite { (SQLITE_MAGIC, "SQLite") } else { (PG_DUMP_MAGIC, "PostgreSQL") };
    let file = command.file.as_path();
    if !beginning(file)?.starts_with(magic) {
        bail!("{} is no backup of a {kind} database, which database.url names", file.display());
    }
    to_its_end(async {
        if is_sqlite { sqlite::restore(config, file).await } else { postgres::restore(config, file).await }
    })
    .await?
}

/// Refuses what is not Parlor's, or of a newer version that does not serve this one.
async fn is_ours(file: &Path, database: &impl ConnectionTrait) -> anyhow::Result<()> {
    if !migrations(database).await?.own.iter().any(|(_, applied)| *applied) {
        bail!("{} has no database of Parlor", file.display());
    }
    Ok(())
}
