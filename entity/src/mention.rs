//! A user whom a message mentions. The rows are there to count unread mentions, so only messages that count as unread have
//! some.

use sea_orm::entity::prelude::*;

use crate::ids::{RoomId, Seq, UserId};

/// Stands for everyone in the room.
pub const EVERYONE: UserId = UserId(Uuid::nil());

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mentions")]
pub struct Model {
    /// Or [`EVERYONE`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: Seq,
    /// The message's. Nobody's own messages count.
    pub sender_id: UserId,
}

impl ActiveModelBehavior for ActiveModel {}
