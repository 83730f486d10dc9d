//! A PostgreSQL database as a file of `pg_dump`.

use std::{
    io::ErrorKind,
    path::Path,
    process::{Output, Stdio},
};

use anyhow::{Context, bail};
use tokio::process::Command;

use super::is_ours;
use crate::{
    app,
    cli::{
        new_file::{NewFile, size},
        terminal::print,
    },
    config::Config,
    db::{Db, PostgresTools},
};

/// The form of the file, and what is left out: who owns the tables in this server.
const DUMP: [&str; 3] = ["--format=custom", "--no-owner", "--no-privileges"];
const RESTORE: [&str; 4] = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"];
/// What only a database of Parlor has.
const MESSAGES: &str = " messages ";

pub async fn back_up(config: &Config, file: &Path) -> anyhow::Result<()> {
    let new = NewFile::begin(file)?;
    let schema = with_database(config, async |db| {
        if !has_tables(db).await? {
            bail!("the database {} has no tables of Parlor", config.database.url);
        }
        schema(db).await
    });
    let schema = schema.await?;
    let to = [schema, format!("--file={}", new.draft().display())];
    run(config, "pg_dump", DUMP.iter().map(ToString::to_string).chain(to)).await?;
    let listed =
        Command::new("pg_restore").arg("--list").arg(new.draft()).stdin(Stdio::null()).output().await;
    let listed = listed.context("pg_restore cannot be run")?;
    let list = String::from_utf8_lossy(&listed.stdout);
    if !list.lines().any(|line| line.contains(" TABLE DATA ") && line.contains(MESSAGES)) {
        bail!("pg_dump's file has no messages in it; nothing was backed up");
    }
    let file = new.keep()?;
    let url = &config.database.url;
    Ok(print(format_args!("backed up {url} to {} ({})", file.display(), size(&file)))?)
}

pub async fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    let url = &config.database.url;
    let schema = with_database(config, async |db| {
        if has_tables(db).await? {
            bail!("the database {url} has tables of Parlor already: name an empty one");
        }
        schema(db).await
    });
    let arguments = RESTORE.iter().map(ToString::to_string);
    let from = [schema.await?, file.display().to_string()];
    run(config, "pg_restore", arguments.chain(from)).await?;
    with_database(config, async |db| {
        is_ours(file, db.reader())
            .await
            .context("it was restored all the same, or its schema has another name")
    })
    .await?;
    Ok(print(format_args!("restored {} to {url}", file.display()))?)
}

async fn with_database<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Db) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let db = app::connect(config).await?;
    let done = work(&db).await;
    db.close().await;
    done
}

async fn has_tables(db: &Db) -> anyhow::Result<bool> {
    Ok(db.migration_status().await?.iter().any(|(_, applied)| *applied))
}

/// Restricts a program to the schema of the tables: other programs may use the same database.
async fn schema(db: &Db) -> anyhow::Result<String> {
    let schema = db.current_schema().await?.context("the database has no schema to keep tables in")?;
    Ok(format!("--schema={schema}"))
}

async fn run(config: &Config, program: &str, arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let tools = PostgresTools::of(&config.database.url)?;
    let arguments: Vec<String> = tools.arguments.into_iter().chain(arguments).collect();
    let command = format!("{program} {}", arguments.join(" "));
    eprintln!("{command}");
    let ended = Command::new(program)
        .args(&arguments)
        .envs(tools.environment)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match ended {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { status, stderr, .. }) => {
            bail!("{program} failed ({status}): {}", String::from_utf8_lossy(&stderr).trim_end())
        }
        Err(err) if err.kind() == ErrorKind::NotFound => bail!(
            "{program} is not installed: install PostgreSQL's client programs, or run the command above where they are"
        ),
        Err(err) => Err(err).context(format!("{program} cannot be run")),
    }
}
