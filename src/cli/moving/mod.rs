//! `parlor move`: takes everything from SQLite to PostgreSQL. All of it is one transaction there, so an interrupted move
//! leaves nothing, and can be done again.

mod copy;
mod fingerprint;

use anyhow::{Context, bail};
use clap::Args;
use sea_orm::{DatabaseTransaction, TransactionTrait};

use self::copy::TABLES;
use super::{
    signals::to_its_end,
    terminal::print,
    with_app::{has_file, log_warnings},
};
use crate::{
    app,
    config::{Config, DatabaseUrl, Switch},
    db::{Db, open_sqlite_alone},
};

/// Copy everything from the SQLite database into an empty PostgreSQL database. Stop the server first.
///
/// The copy is compared with the original, by the number of rows and a hash of all values of each table, before it is
/// committed. The SQLite database stays as it is. If the command is interrupted or refuses, nothing was moved.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Move {
    /// The empty database. Leave the password out, and give it in PGPASSWORD or ~/.pgpass: other users of the machine
    /// can see arguments.
    #[arg(long, value_name = "postgres://...")]
    to: String,
}

const EXAMPLES: &str = "\
Examples:
  PGPASSWORD=secret parlor move --to postgres://parlor@db/parlor
  parlor --config /etc/parlor/parlor.toml move --to postgres://parlor@db/parlor";

pub async fn run(config: &Config, command: &Move) -> anyhow::Result<()> {
    log_warnings()?;
    let target = target(config, &command.to)?;
    has_file(config)?;
    to_its_end(async {
        migrated(config).await?;
        let source = open_sqlite_alone(&config.database).await;
        let source = source.with_context(|| format!("cannot open {}", config.database.url))?;
        let read = source.begin().await?;
        let db = app::connect(&target).await?;
        let moved = copy_all(&read, &db).await;
        db.close().await;
        drop(read);
        source.close().await.ok();
        moved.context("nothing was moved")?;
        print(format_args!(
            "moved to {}; set database.url to it, and auth.jwt_secret or auth.jwt_secret_file to the same key as before",
            target.database.url
        ))?;
        Ok(())
    })
    .await?
}

/// The configuration with the other database.
fn target(config: &Config, url: &str) -> anyhow::Result<Config> {
    if !config.database.url.is_sqlite() {
        bail!("database.url is {}: only a SQLite database can be moved", config.database.url);
    }
    let mut target = config.clone();
    target.database.url = DatabaseUrl::from(url);
    target.database.pooler = Switch::Auto;
    if !target.database.url.is_postgres() {
        bail!("--to {}: must begin with postgres://", target.database.url);
    }
    match target.check().into_iter().find(|mistake| mistake.setting.starts_with("database.")) {
        Some(mistake) => bail!("--to as {mistake}"),
        None => Ok(target),
    }
}

/// Refuses a database that this version would change at its start.
async fn migrated(config: &Config) -> anyhow::Result<()> {
    let db = app::connect(config).await?;
    let migrations = db.migrations().await;
    db.close().await;
    let migrations = migrations?;
    if let Some(newer) = migrations.newer.first() {
        bail!("the database has {newer}, which this version does not know: move it with the newer version");
    }
    match migrations.own.iter().find(|(_, applied)| !applied) {
        None => Ok(()),
        Some((name, _)) => bail!("the database lacks migration {name}: run `parlor migrate up` first"),
    }
}

async fn copy_all(source: &DatabaseTransaction, db: &Db) -> anyhow::Result<()> {
    db.migrate_up().await.context("the tables could not be made")?;
    let transaction = db.begin_long().await?;
    for table in TABLES {
        if table.has_rows(&transaction).await? {
            bail!("the database has {} already: name an empty one", table.name);
        }
    }
    for table in TABLES {
        let sent = table.copy(source, &transaction).await.with_context(|| table.name.to_owned())?;
        let stored = table.read(&transaction).await.with_context(|| table.name.to_owned())?;
        if sent != stored {
            bail!("{} differ: {sent} were read, and {stored} are stored", table.name);
        }
        print(format_args!("{:<12} {stored}", table.name))?;
    }
    transaction.commit().await.context("the copy could not be committed")
}
