//! An account whose deletion has begun, and which may still be in rooms. The row is deleted when the account
//! has left all rooms. So the existing rows list the unfinished work, even after a crash.

use sea_orm::entity::prelude::*;

use crate::ids::UserId;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deletions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub begun_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
