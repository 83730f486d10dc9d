//! An account whose deletion has begun: it may still be in rooms. The row goes when it has left all of them, so the
//! rows that are there say what is to be finished, also after a crash.

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
