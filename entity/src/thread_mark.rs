//! How far a user has read a thread, and whether the user follows it.

use sea_orm::entity::prelude::*;

use crate::ids::{RoomId, Seq, UserId};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "thread_marks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub root_seq: Seq,
    /// Replies up to this seq are read.
    pub read_seq: Seq,
    pub following: bool,
}

impl ActiveModelBehavior for ActiveModel {}
