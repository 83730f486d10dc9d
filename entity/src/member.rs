//! A user in a room, with a role and receipts.

use sea_orm::{
    Iterable, QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{Expr, SimpleExpr},
};

use crate::ids::{RoomId, Seq, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
pub enum Role {
    #[sea_orm(string_value = "owner")]
    Owner,
    #[sea_orm(string_value = "admin")]
    Admin,
    #[sea_orm(string_value = "member")]
    Member,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub role: Role,
    pub joined_at: DateTimeUtc,
    /// Everything up to this seq has reached the user. Never decreases.
    pub delivered_seq: Seq,
    /// The user has read everything up to this seq. Never decreases.
    pub read_seq: Seq,
    /// The user was notified of the delivery of their own messages up to this seq.
    #[sea_orm(column_name = "told_seq")]
    pub notified_seq: Seq,
    /// The newest message when the user became a member. `None` if that was before this was written down.
    pub joined_seq: Option<Seq>,
    /// When `read_seq` moved last, in Unix milliseconds; zero if it has not moved.
    pub read_at: i64,
    /// The user's own settings of the room, as JSON text; `None` if all of them are at their defaults.
    #[sea_orm(column_type = "Text", nullable)]
    pub view: Option<String>,
    #[sea_orm(belongs_to, from = "room_id", to = "id")]
    pub room: BelongsTo<super::room::Entity>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// All members of these rooms.
pub fn of_rooms(rooms: impl IntoIterator<Item = RoomId>) -> Select<Entity> {
    Entity::find().filter(COLUMN.room_id.is_in(rooms))
}

/// Reads members without their views, which nobody else sees and which may be long.
pub fn without_views(members: Select<Entity>) -> Select<Entity> {
    let others = Column::iter().filter(|column| !matches!(column, Column::View));
    members.select_only().columns(others).expr_as(Expr::cust("NULL"), "view")
}

/// All memberships of one user.
pub fn of_user(user: UserId) -> Select<Entity> {
    Entity::find().filter(COLUMN.user_id.eq(user))
}

/// A condition for any query: this user is in this room. It costs one lookup by the primary key, whatever the
/// query reads.
pub fn is_member(room: RoomId, user: UserId) -> SimpleExpr {
    let row = Entity::find_by_id((room, user)).select_only().column(Column::UserId);
    Expr::exists(row.into_query())
}
