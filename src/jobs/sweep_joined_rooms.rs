//! Deletes the joined rooms of clients that have not returned for a long time.

use entity::joined_room;
use sea_orm::{EntityTrait, QueryFilter};

use crate::{chat::JOINED_ROOMS_KEPT_FOR, clock::Clock, db::Db, error::Result};

pub async fn run(db: Db, clock: Clock) -> Result<()> {
    joined_room::Entity::delete_many()
        .filter(joined_room::COLUMN.noted_at.lt(clock.now() - JOINED_ROOMS_KEPT_FOR))
        .exec(&*db.writer().await?)
        .await?;
    Ok(())
}
