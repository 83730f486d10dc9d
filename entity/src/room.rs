//! A conversation: direct, group or the lobby.

use sea_orm::{QueryOrder, entity::prelude::*};
use text::fold;

use crate::{
    ids::{ChangeNumber, RoomId, Seq, UserId},
    names::NameKeys,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
pub enum Kind {
    /// Two users, or one user with themselves.
    #[sea_orm(string_value = "direct")]
    Direct,
    /// A room with a name, possibly with a password.
    #[sea_orm(string_value = "group")]
    Group,
    /// The room of all users.
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
    /// The folded name while the group exists (see [`NameKeys`]). It is unique, and searches look into it. None
    /// once the group is deleted, so that the name is free again.
    #[sea_orm(unique)]
    pub name_key: Option<String>,
    /// A PHC string. A user needs this password to join.
    pub password_hash: Option<String>,
    /// The user who created the group, or to whom the ownership passed.
    pub owner_id: Option<UserId>,
    /// The two users of a direct room, the smaller id first. The pair is unique.
    pub pair_low: Option<UserId>,
    pub pair_high: Option<UserId>,
    /// The seq of the newest message.
    pub last_seq: Seq,
    /// The newest change of a message. No index may name this column: see the migration.
    pub last_change: ChangeNumber,
    /// Counts the changes of the membership.
    pub roster_version: i64,
    pub created_at: DateTimeUtc,
    /// When the newest message was stored. A user's conversations are sorted by it.
    pub active_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// When the name, the owner, or whether there is a password changed last, in Unix milliseconds; zero if
    /// nothing of it has changed.
    pub changed_at: i64,
    /// What its members have set for all of them, as JSON; `None` while everything is at its default. No index may name
    /// this column.
    pub settings: Option<String>,
    #[sea_orm(has_many)]
    pub members: HasMany<super::member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Rooms that are not deleted.
pub fn live() -> Select<Entity> {
    Entity::find().filter(COLUMN.deleted_at.is_null())
}

/// The unique key of a group's new name.
pub fn name_key(name: &str) -> String {
    fold(name).into_owned()
}

/// The group with this name. Take the first row: see [`NameKeys`].
pub fn named(name: &str) -> Select<Entity> {
    // The longer key sorts first.
    live().filter(COLUMN.name_key.is_in(NameKeys::of_group(name).into_keys())).order_by_desc(COLUMN.name_key)
}

/// The two users of a direct room, in the order that its unique index requires.
pub fn pair(a: UserId, b: UserId) -> (UserId, UserId) {
    if a <= b { (a, b) } else { (b, a) }
}

/// The direct room of these two users.
pub fn between(a: UserId, b: UserId) -> Select<Entity> {
    let (low, high) = pair(a, b);
    live().filter(COLUMN.pair_low.eq(low)).filter(COLUMN.pair_high.eq(high))
}
