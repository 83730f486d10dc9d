//! A thread: a message, its root, and the messages that name it. It is written with its first reply.

use sea_orm::entity::prelude::*;

use crate::ids::{RoomId, Seq};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "threads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub root_seq: Seq,
    /// How many replies there are, without deleted ones.
    pub replies: i64,
    /// The newest of them; the root's seq if there are none.
    pub last_seq: Seq,
    /// A JSON array: the usernames of the first who have answered.
    pub users: String,
}

impl ActiveModelBehavior for ActiveModel {}
