//! A user's reaction to a message. A message's `marks` has the summary.

use sea_orm::{QueryOrder, entity::prelude::*};

use crate::ids::{RoomId, Seq, UserId};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reactions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: Seq,
    /// Before the key: a user's reactions to the messages of a page are found at once.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// In whole milliseconds.
    pub at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// The reactions to a message, oldest first.
pub fn of(room: RoomId, seq: Seq) -> Select<Entity> {
    Entity::find()
        .filter(COLUMN.room_id.eq(room))
        .filter(COLUMN.seq.eq(seq))
        .order_by_asc(COLUMN.at)
        .order_by_asc(COLUMN.user_id)
        .order_by_asc(COLUMN.key)
}
