//! The rows of memberships: what an operation reads and writes in its transaction.

use entity::{
    RoomId, UserId,
    member::{self, Role},
    notice, room, user,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, ExprTrait},
};

use super::Heir;
use crate::{
    db::ROWS,
    error::{Entity, Error, Result},
};

/// Increases the version of a room that is not deleted, and locks the room's row until the commit: no message
/// gets a seq between this and the seqs at which new members start. Returns the row with its new version.
pub(in crate::chat) async fn next_version(
    tx: &DatabaseTransaction,
    room: RoomId,
) -> Result<Option<room::Model>> {
    room::Entity::update_many()
        .col_expr(room::Column::RosterVersion, Expr::col(room::Column::RosterVersion).add(1))
        .filter(room::COLUMN.id.eq(room))
        .filter(room::COLUMN.deleted_at.is_null())
        .exec(tx)
        .await?;
    notice::tell(tx, [notice::of_room(notice::Kind::Membership, room, None)]).await?;
    Ok(room::live().filter(room::COLUMN.id.eq(room)).one(tx).await?)
}

/// The role of a user in a room, as in the database.
pub(in crate::chat) async fn role_of(
    db: &impl ConnectionTrait,
    room: RoomId,
    user: UserId,
) -> Result<Option<Role>> {
    let row = member::Entity::find_by_id((room, user)).select_only().column(member::Column::Role);
    Ok(row.into_tuple().one(db).await?)
}

/// The users among these who are members of a room.
pub(super) async fn members_among(
    tx: &DatabaseTransaction,
    room: RoomId,
    users: impl Iterator<Item = UserId>,
) -> Result<Vec<UserId>> {
    let users: Vec<UserId> = users.collect();
    let mut inside = Vec::new();
    for part in users.chunks(ROWS) {
        let found: Vec<UserId> = member::of_rooms([room])
            .filter(member::COLUMN.user_id.is_in(part.iter().copied()))
            .select_only()
            .column(member::Column::UserId)
            .into_tuple()
            .all(tx)
            .await?;
        inside.extend(found);
    }
    Ok(inside)
}

/// The new owner of a group when its owner leaves: the admin who joined first, or else the member who joined
/// first.
pub(super) async fn find_heir(tx: &DatabaseTransaction, group: RoomId, owner: UserId) -> Result<Heir> {
    let others = || {
        member::of_rooms([group])
            .filter(member::COLUMN.user_id.ne(owner))
            .order_by_asc(member::COLUMN.joined_at)
            .order_by_asc(member::COLUMN.user_id)
    };
    let admin = others().filter(member::COLUMN.role.eq(Role::Admin)).one(tx).await?;
    let heir = match admin {
        Some(admin) => Some(admin),
        None => others().one(tx).await?,
    };
    Ok(heir.map_or(Heir::Nobody, |heir| Heir::User(heir.user_id)))
}

/// Gives a member another role.
pub(super) async fn write_role(
    tx: &DatabaseTransaction,
    group: RoomId,
    user: UserId,
    role: Role,
) -> Result<()> {
    member::Entity::update_many()
        .col_expr(member::Column::Role, Expr::value(role))
        .filter(member::COLUMN.room_id.eq(group))
        .filter(member::COLUMN.user_id.eq(user))
        .exec(tx)
        .await?;
    Ok(())
}

/// Makes a member the owner of a group.
pub(super) async fn pass_on(
    tx: &DatabaseTransaction,
    group: RoomId,
    heir: UserId,
    now: sea_orm::prelude::DateTimeUtc,
) -> Result<()> {
    tracing::info!(room.id = %group, user.id = %heir, "a group passed to another owner");
    write_role(tx, group, heir, Role::Owner).await?;
    room::Entity::update_many()
        .col_expr(room::Column::OwnerId, Expr::value(heir.0))
        .col_expr(room::Column::ChangedAt, Expr::value(now.timestamp_millis()))
        .filter(room::COLUMN.id.eq(group))
        .exec(tx)
        .await?;
    Ok(())
}

/// Locks members of a room in the order in which saving receipts locks them, so that neither waits for the
/// other.
pub(super) async fn lock_members(tx: &DatabaseTransaction, members: Select<member::Entity>) -> Result<()> {
    let _: Vec<UserId> = members
        .select_only()
        .column(member::Column::UserId)
        .order_by_asc(member::Column::UserId)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await?;
    Ok(())
}

/// Inserts members. Their receipts start at the room's newest message. They can read older messages.
pub(in crate::chat) async fn insert_members(
    tx: &impl ConnectionTrait,
    room: &room::Model,
    members: &[(UserId, Role)],
    now: sea_orm::prelude::DateTimeUtc,
) -> Result<()> {
    for part in members.chunks(ROWS) {
        // The deletion of an account removes it from all its rooms. The lock makes sure that it does not miss
        // this one.
        let live: Vec<UserId> = user::live()
            .filter(user::COLUMN.id.is_in(part.iter().map(|(user, _)| *user)))
            .order_by_asc(user::COLUMN.id)
            .lock_shared()
            .select_only()
            .column(user::Column::Id)
            .into_tuple()
            .all(tx)
            .await?;
        if live.len() < part.len() {
            return Err(Error::NotFound(Entity::User));
        }
        let rows = part.iter().map(|(user, role)| member::ActiveModel {
            room_id: Set(room.id),
            user_id: Set(*user),
            role: Set(*role),
            joined_at: Set(now),
            delivered_seq: Set(room.last_seq),
            read_seq: Set(room.last_seq),
            notified_seq: Set(room.last_seq),
            joined_seq: Set(Some(room.last_seq)),
            read_at: Set(0),
            view: Set(None),
        });
        member::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}
