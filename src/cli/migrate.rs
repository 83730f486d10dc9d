//! `parlor migrate`: applies, undoes and lists migrations.

use anyhow::{Context, bail};
use clap::Subcommand;

use super::{
    terminal::{confirm, print},
    with_app::{has_file, log_warnings},
};
use crate::{
    app,
    config::Config,
    db::{Db, Migrations},
};

#[derive(Debug, Subcommand)]
pub enum Migrate {
    /// Apply all pending migrations; on an error, none of them.
    ///
    /// SQLite does not need this command: the server migrates at its start. On PostgreSQL the server does so
    /// only if database.auto_migrate is on. Otherwise run this before you start a new version.
    Up,
    /// Undo the newest migrations, AND LOSE WHAT THEIR TABLES HOLD.
    ///
    /// Stop the server first. On SQLite the next start applies the migrations again.
    Down {
        /// How many migrations to undo.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Print each migration, and whether it is applied or pending, and which versions can use the database. Changes
    /// nothing.
    Status {
        /// Exit with 1 if a migration is pending, for scripts.
        #[arg(long)]
        check: bool,
    },
}

pub async fn run(config: Config, command: Migrate) -> anyhow::Result<()> {
    log_warnings()?;
    if !matches!(command, Migrate::Up) {
        has_file(&config)?;
    }
    let db = app::connect(&config).await?;
    let done = on(&db, command).await;
    db.close().await;
    done
}

async fn on(db: &Db, command: Migrate) -> anyhow::Result<()> {
    let migrations = db.migrations().await?;
    let before = &migrations.own;
    match command {
        Migrate::Up => db.migrate_up().await.context("nothing was migrated")?,
        Migrate::Down { steps, yes } => {
            let applied = before.iter().rev().filter(|(_, applied)| *applied).map(|(name, _)| name.as_str());
            let undone: Vec<&str> = applied.take(usize::try_from(steps).unwrap_or(usize::MAX)).collect();
            if !yes && !undone.is_empty() {
                let names = undone.join(", ");
                confirm(&format!("Undo {names}, and lose what their tables and columns hold?"), "--yes")?;
            }
            db.migrate_down(steps).await.context("nothing was undone")?;
        }
        Migrate::Status { check } => return status(&migrations, check),
    }
    let after = db.migration_status().await?;
    let mut changed = false;
    for ((name, _), (_, is)) in before.iter().zip(&after).filter(|(before, after)| before != after) {
        changed = true;
        print(format_args!("{}  {name}", if *is { "applied" } else { "undone " }))?;
    }
    if !changed {
        print("nothing to do")?;
    }
    Ok(())
}

fn status(migrations: &Migrations, check: bool) -> anyhow::Result<()> {
    let Migrations { own, newer, serves_since } = migrations;
    for (name, applied) in own {
        print(format_args!("{}  {name}", if *applied { "applied" } else { "pending" }))?;
    }
    for name in newer {
        print(format_args!("newer    {name}"))?;
    }
    if let Some(since) = serves_since {
        print(format_args!("serves   versions that have {since}"))?;
    }
    let pending = own.iter().filter(|(_, applied)| !applied).count();
    if check && pending > 0 {
        bail!("{pending} of {} migrations pending; apply with `parlor migrate up`", own.len());
    }
    Ok(())
}
