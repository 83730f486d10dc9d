//! A pinned message. Its `marks` say who has pinned it, and when.

use sea_orm::entity::prelude::*;

use crate::ids::{RoomId, Seq};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pins")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: Seq,
}

impl ActiveModelBehavior for ActiveModel {}
