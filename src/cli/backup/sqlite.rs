//! A SQLite database as a file beside the one in use.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::{Context, bail};
use entity::{message, room, user};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, PaginatorTrait};

use super::is_ours;
use crate::{
    cli::{
        new_file::{NewFile, size},
        terminal::print,
    },
    config::Config,
    db::{check_sqlite, copy_sqlite, look_into_sqlite, sqlite_path},
};

pub async fn back_up(config: &Config, file: &Path) -> anyhow::Result<()> {
    let new = NewFile::begin(file)?;
    copy_sqlite(&config.database, new.draft()).await.context("nothing was backed up")?;
    let content = checked(new.draft()).await.context("the copy cannot be used; nothing was backed up")?;
    let file = new.keep()?;
    Ok(print(format_args!("backed up {content} to {} ({})", file.display(), size(&file)))?)
}

pub async fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    let place = sqlite_path(&config.database).context("database.url names no file")?;
    // What is left of another database would be taken for changes to this one.
    for end in ["-wal", "-journal"] {
        let mut beside = place.clone().into_os_string();
        beside.push(end);
        if Path::new(&beside).exists() {
            bail!(
                "{} is there: is a server running? Stop it, and move {} and what is beside it away",
                Path::new(&beside).display(),
                place.display()
            );
        }
    }
    let new = NewFile::begin(&place).context("stop the server and move the database away first")?;
    copy(file, new.draft()).with_context(|| format!("{} cannot be copied", file.display()))?;
    let content = checked(new.draft()).await.with_context(|| format!("{} cannot be used", file.display()))?;
    let place = new.keep()?;
    Ok(print(format_args!("restored {content} to {}", place.display()))?)
}

/// Checks a copy, and says what is in it.
async fn checked(copy: &Path) -> anyhow::Result<String> {
    check_sqlite(copy).await?;
    let inside = look_into_sqlite(copy).await?;
    let content = async {
        is_ours(copy, &inside).await?;
        Ok(contents(&inside).await?)
    };
    let content = content.await;
    inside.close().await.ok();
    content
}

async fn contents(database: &impl ConnectionTrait) -> Result<String, DbErr> {
    let users = user::Entity::find().count(database).await?;
    let rooms = room::Entity::find().count(database).await?;
    let messages = message::Entity::find().count(database).await?;
    Ok(format!("{users} users, {rooms} rooms and {messages} messages"))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = std::fs::File::open(from)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from, &mut to).map(drop)
}
