//! What the names of users and groups can be read as. Nobody gets a name with a reading that another bearer
//! has.

use sea_orm::{ActiveValue::Set, DeleteMany, InsertMany, entity::prelude::*, sea_query::OnConflict};

use crate::ids::{RoomId, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(5))")]
pub enum Kind {
    #[sea_orm(string_value = "user")]
    User,
    #[sea_orm(string_value = "group")]
    Group,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "look_alikes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: Kind,
    /// Each name has one reading or a few; see [`text::look_alikes`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub reading: String,
    /// The id of the user or of the group.
    pub holder: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}

/// Takes all readings of a new user's name. Violates the unique key if another user has one of them.
pub fn take_for_user(user: UserId, username: &str) -> InsertMany<ActiveModel> {
    take(Kind::User, user.0, username)
}

/// Takes all readings of a group's name. Violates the unique key if another group has one of them.
pub fn take_for_group(group: RoomId, name: &str) -> InsertMany<ActiveModel> {
    take(Kind::Group, group.0, name)
}

fn take(kind: Kind, holder: Uuid, name: &str) -> InsertMany<ActiveModel> {
    let row = |reading| ActiveModel { kind: Set(kind), reading: Set(reading), holder: Set(holder) };
    Entity::insert_many(text::look_alikes(name).into_iter().map(row))
}

/// Does nothing about readings that are taken.
pub fn if_free() -> OnConflict {
    OnConflict::columns([Column::Kind, Column::Reading]).do_nothing().to_owned()
}

/// Frees the readings of a user's name.
pub fn free_of_user(user: UserId) -> DeleteMany<Entity> {
    free(Kind::User, user.0)
}

/// Frees the readings of a group's name.
pub fn free_of_group(group: RoomId) -> DeleteMany<Entity> {
    free(Kind::Group, group.0)
}

fn free(kind: Kind, holder: Uuid) -> DeleteMany<Entity> {
    Entity::delete_many().filter(COLUMN.holder.eq(holder)).filter(COLUMN.kind.eq(kind))
}

/// The readings of this username that a user has.
pub fn taken_by_users(username: &str) -> Select<Entity> {
    Entity::find()
        .filter(COLUMN.kind.eq(Kind::User))
        .filter(COLUMN.reading.is_in(text::look_alikes(username)))
}
