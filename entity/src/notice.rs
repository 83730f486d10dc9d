//! A notice to the other nodes: something has changed that they have in memory. It is written in the transaction of the
//! change, or right after it, and kept for some hours. Only PostgreSQL serves several nodes.

use sea_orm::{ActiveValue::Set, DbBackend, entity::prelude::*};

use crate::ids::{RoomId, UserId};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notices")]
pub struct Model {
    /// Ascending, but not in the order of the commits.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// By the clock of the database.
    pub told_at: DateTimeUtc,
    /// The node that has told its own connections already; none if every node has to look.
    pub node: Option<Uuid>,
    pub kind: Kind,
    pub room_id: Option<RoomId>,
    pub user_id: Option<UserId>,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Kind {
    /// A room was made, or its members, their roles or its settings have changed.
    Membership,
    /// Everyone's list of groups has a new group.
    GroupCreated,
    GroupUpdated,
    GroupDeleted,
    /// Logins of the user have ended.
    LoginsEnded,
    /// The user has another first name.
    UserRenamed,
    /// Receipts of the room's members have moved.
    Receipts,
    /// The user's own settings of the room have changed.
    View,
}

/// Of a room.
pub fn of_room(kind: Kind, room: RoomId, node: Option<Uuid>) -> ActiveModel {
    ActiveModel { node: Set(node), kind: Set(kind), room_id: Set(Some(room)), ..Default::default() }
}

/// Of a user.
pub fn of_user(kind: Kind, user: UserId, node: Option<Uuid>) -> ActiveModel {
    ActiveModel { node: Set(node), kind: Set(kind), user_id: Set(Some(user)), ..Default::default() }
}

/// Of a user in a room.
pub fn of_member(kind: Kind, room: RoomId, user: UserId, node: Option<Uuid>) -> ActiveModel {
    ActiveModel { user_id: Set(Some(user)), ..of_room(kind, room, node) }
}

/// Writes notices, at least one. Does nothing on SQLite, which serves one node.
pub async fn tell(
    database: &impl ConnectionTrait,
    notices: impl IntoIterator<Item = ActiveModel>,
) -> Result<(), DbErr> {
    if database.get_database_backend() == DbBackend::Postgres {
        Entity::insert_many(notices).exec_without_returning(database).await?;
    }
    Ok(())
}
