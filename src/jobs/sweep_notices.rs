//! Deletes the notices of nodes to one another that every node has read long ago.

use entity::notice;
use sea_orm::{EntityTrait, QueryFilter};

use crate::{clock::Clock, db::Db, error::Result};

pub async fn run(db: Db, clock: Clock) -> Result<()> {
    // A node that was away for an hour reads everything anyway. The notices have the time of the database; an hour is far
    // beyond any difference of the clocks.
    let before = clock.now() - chrono::TimeDelta::hours(2);
    notice::Entity::delete_many()
        .filter(notice::COLUMN.told_at.lt(before))
        .exec(&*db.writer().await?)
        .await?;
    Ok(())
}
