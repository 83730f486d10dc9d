//! Deletes the notices of nodes to one another that every node has read long ago.

use entity::notice;
use sea_orm::{EntityTrait, QueryFilter};

use crate::{clock::Clock, db::Db, error::Result};

pub async fn run(db: Db, clock: Clock) -> Result<()> {
    // They are written by the clock of the database; an hour is far beyond any difference.
    let before = clock.now() - chrono::TimeDelta::hours(1);
    notice::Entity::delete_many()
        .filter(notice::COLUMN.told_at.lt(before))
        .exec(&*db.writer().await?)
        .await?;
    Ok(())
}
