//! The database: whether it answers, and how it fits this version.

use std::io;

use chrono::{TimeDelta, Utc};
use entity::message;
use sea_orm::{EntityTrait, QueryOrder, QuerySelect};

use super::Report;
use crate::{
    app,
    cli::reason,
    clock::Clock,
    config::Config,
    db::{Db, missing_file},
    error::Error,
};

/// A message may be from a server whose clock is a little ahead.
const AHEAD: TimeDelta = TimeDelta::seconds(5);

pub async fn examine(config: &Config, report: &mut Report) -> io::Result<()> {
    if let Some(file) = missing_file(&config.database) {
        return report.ok("database", format_args!("{} will be made at the first start", file.display()));
    }
    let db = match app::connect(config).await {
        Ok(db) => db,
        Err(err) => {
            let repair = "start the database, or correct database.url";
            return report.broken("database", reason(&err), repair);
        }
    };
    let examined = answering(config, &db, report).await;
    db.close().await;
    examined
}

async fn answering(config: &Config, db: &Db, report: &mut Report) -> io::Result<()> {
    if let Err(err) = db.ping().await {
        let repair = "start the database, or correct database.url";
        return report.broken("database", reason(&err.into()), repair);
    }
    report.ok("database", format_args!("{} answers", config.database.url))?;
    let migrations = match db.migration_status().await {
        Ok(migrations) => migrations,
        Err(err) => {
            let repair = "see \"Roll back\" in docs/operations.md";
            return report.broken("migrations", reason(&err.into()), repair);
        }
    };
    let pending = migrations.iter().filter(|(_, applied)| !applied).count();
    if pending == 0 {
        report.ok("migrations", format_args!("all {} are applied", migrations.len()))?;
        return newest_message(db, report).await;
    }
    let found = format!("{pending} of {} are not applied", migrations.len());
    match config.database.url.is_sqlite() || config.database.auto_migrate {
        true => report.ok("migrations", format_args!("{found}; the start applies them")),
        false => report.broken("migrations", found, "run `parlor migrate up`, or set database.auto_migrate"),
    }
}

/// A clock that was set back shows in the newest message.
async fn newest_message(db: &Db, report: &mut Report) -> io::Result<()> {
    // Ids begin with the time.
    let newest = message::Entity::find()
        .select_only()
        .column(message::Column::CreatedAt)
        .order_by_desc(message::Column::Id)
        .limit(1)
        .into_tuple::<chrono::DateTime<Utc>>()
        .one(db.reader())
        .await
        .map_err(Error::from);
    match newest {
        Err(err) => report.broken("messages", err, "see the log of the database"),
        Ok(Some(at)) if at > Clock::real().now() + AHEAD => report.warning(
            "messages",
            format_args!("the newest is from {at}, which is in the future"),
            "set the clock of this machine, or of the one that stored it",
        ),
        Ok(Some(at)) => report.ok("messages", format_args!("the newest is from {at}")),
        Ok(None) => report.ok("messages", "there are none yet"),
    }
}
