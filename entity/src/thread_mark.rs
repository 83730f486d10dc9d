//! How far a user has read a thread, and whether the user follows it.

use sea_orm::{InsertMany, IntoActiveModel, TryInsert, entity::prelude::*, sea_query::OnConflict};

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

/// The columns of the key.
const KEY: [Column; 3] = [Column::UserId, Column::RoomId, Column::RootSeq];

/// Inserts those of these marks that are not there yet. Of two with the same key, the first counts.
pub fn insert_missing(marks: impl IntoIterator<Item = Model>) -> TryInsert<ActiveModel> {
    let stays = OnConflict::columns(KEY).do_nothing().to_owned();
    insert(marks).on_conflict(stays).try_insert()
}

/// Inserts marks. Those that are there already keep what is read, and only note whether the user follows the thread. No two
/// may have the same key.
pub fn insert_following(marks: impl IntoIterator<Item = Model>) -> InsertMany<ActiveModel> {
    insert(marks).on_conflict(OnConflict::columns(KEY).update_column(Column::Following).to_owned())
}

fn insert(marks: impl IntoIterator<Item = Model>) -> InsertMany<ActiveModel> {
    Entity::insert_many(marks.into_iter().map(IntoActiveModel::into_active_model))
}
