//! A content that a message had before it was edited.

use sea_orm::{QueryOrder, entity::prelude::*};

use crate::ids::{RoomId, Seq};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_versions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: Seq,
    /// 1, 2, 3, …: the first is the content as it was sent. The oldest ones may be gone.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    /// As in `message`.
    pub content: String,
    /// When this version was written.
    pub at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// The kept earlier versions of a message, oldest first.
pub fn of(room: RoomId, seq: Seq) -> Select<Entity> {
    Entity::find().filter(COLUMN.room_id.eq(room)).filter(COLUMN.seq.eq(seq)).order_by_asc(COLUMN.version)
}
