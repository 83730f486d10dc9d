//! A conversation: direct, group or the lobby.

use sea_orm::entity::prelude::*;

use crate::ids::{RoomId, Seq, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
pub enum Kind {
    /// Two users, or one with itself.
    #[sea_orm(string_value = "direct")]
    Direct,
    /// Named, perhaps behind a password.
    #[sea_orm(string_value = "group")]
    Group,
    /// Everyone.
    #[sea_orm(string_value = "lobby")]
    Lobby,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rooms")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RoomId,
    pub kind: Kind,
    /// A group's name.
    pub name: Option<String>,
    /// The name while the group lives, unique; none once it is deleted, which frees the name.
    #[sea_orm(unique)]
    pub name_key: Option<String>,
    /// A PHC string: who joins must know the password.
    pub password_hash: Option<String>,
    /// Whoever made the group, or whom it passed to.
    pub owner_id: Option<UserId>,
    /// A direct room's pair, smaller id first; unique together.
    pub pair_low: Option<UserId>,
    pub pair_high: Option<UserId>,
    /// The seq of the newest message.
    pub last_seq: Seq,
    /// Counts every change of who is in the room.
    pub roster_version: i64,
    pub created_at: DateTimeUtc,
    /// When the newest message was stored; orders a user's conversations.
    pub active_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    #[sea_orm(has_many)]
    pub members: HasMany<super::member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Rooms that exist: not deleted.
pub fn live() -> Select<Entity> {
    Entity::find().filter(COLUMN.deleted_at.is_null())
}

/// The direct room of two users, in the order its unique index wants.
pub fn pair(a: UserId, b: UserId) -> (UserId, UserId) {
    if a <= b { (a, b) } else { (b, a) }
}

/// The direct room of these two.
pub fn between(a: UserId, b: UserId) -> Select<Entity> {
    let (low, high) = pair(a, b);
    live().filter(COLUMN.pair_low.eq(low)).filter(COLUMN.pair_high.eq(high))
}
