//! Finds rooms, opens the direct room of two users, and opens the lobby.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{
    ChangeNumber, RoomId, Seq, UserId,
    member::{self, Role},
    notice, room, user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait,
    sea_query::{Expr, ExprTrait, IntoCondition},
};

use super::{Room, membership::insert_members, registry::RoomRegistry};
use crate::{
    chat::Core,
    clock::Clock,
    db::Db,
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
};

impl Core {
    /// A room that exists.
    pub(in crate::chat) async fn loaded_room(self: &Arc<Self>, room: RoomId) -> Result<Arc<Room>> {
        let live = self.room_in_memory(room).await?;
        live.filter(|live| !live.is_deleted()).ok_or(Error::NotFound(Entity::Room))
    }

    /// A room that the caller is a member of. For other callers the check costs one indexed row, and the room
    /// is not loaded. A later query of the caller has to check the membership itself, because memory may not
    /// know yet that another process has ended it.
    ///
    /// # Errors
    /// `not_found` for a room that does not exist, and for a direct room of other users, whose existence is
    /// private; `not_a_member` for a group that the caller is not in.
    pub(in crate::chat) async fn room_of(
        self: &Arc<Self>,
        caller: &Caller,
        room: RoomId,
    ) -> Result<Arc<Room>> {
        let resident = self.rooms.resident(room).filter(|live| !live.is_deleted());
        if let Some(live) = resident.filter(|live| live.has(caller.user)) {
            return Ok(live);
        }
        self.check_membership(caller, room).await?;
        let live = self.loaded_room(room).await?;
        if !live.has(caller.user) {
            // Another process has added them.
            self.reread(room).await?;
        }
        Ok(live)
    }

    /// Checks in the database that the caller is a member of a room.
    ///
    /// # Errors
    /// See [`Core::room_of`].
    pub(in crate::chat) async fn check_membership(&self, caller: &Caller, room: RoomId) -> Result<()> {
        let user = caller.user;
        let found: Option<(room::Kind, Option<Role>)> = room::live()
            .filter(room::COLUMN.id.eq(room))
            .join(
                JoinType::LeftJoin,
                room::Relation::Member.def().on_condition(move |_, members| {
                    Expr::col((members, member::Column::UserId)).eq(user).into_condition()
                }),
            )
            .select_only()
            .column(room::Column::Kind)
            .column(member::Column::Role)
            .into_tuple()
            .one(self.db.reader())
            .await?;
        match found {
            Some((room::Kind::Lobby, _) | (_, Some(_))) => Ok(()),
            Some((room::Kind::Group, None)) => Err(Error::Forbidden(Forbidden::NotAMember)),
            Some((room::Kind::Direct, None)) | None => Err(Error::NotFound(Entity::Room)),
        }
    }

    /// The direct room of two users. Makes it if it does not exist.
    ///
    /// # Errors
    /// `rate_limited` if the caller has added too many people to rooms within an hour: the other user did not
    /// ask for a new room.
    pub(in crate::chat) async fn open_direct(
        self: &Arc<Self>,
        caller: &Caller,
        other: &user::Model,
    ) -> Result<Arc<Room>> {
        let users = [caller.user, other.id];
        let room = match room::between(users[0], users[1]).one(self.db.reader()).await? {
            Some(row) => row.id,
            None => {
                let share =
                    self.groups.quotas.add_members(caller.user, usize::from(caller.user != other.id))?;
                let room = self.make_direct(users).await?;
                share.keep();
                room
            }
        };
        self.loaded_room(room).await
    }

    async fn make_direct(self: &Arc<Self>, users: [UserId; 2]) -> Result<RoomId> {
        let (low, high) = room::pair(users[0], users[1]);
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let made = room::ActiveModel {
            pair_low: Set(Some(low)),
            pair_high: Set(Some(high)),
            ..new_room(room::Kind::Direct, now)
        };
        let row = match made.insert(&*tx).await {
            Ok(row) => row,
            Err(err) if is_unique(&err) => {
                // The other user's first message has just made it.
                drop(tx);
                let row = room::between(low, high).one(self.db.reader()).await?;
                return row.map(|row| row.id).ok_or(Error::NotFound(Entity::Room));
            }
            Err(err) => return Err(err.into()),
        };
        let mut members = vec![(low, Role::Member)];
        if high != low {
            members.push((high, Role::Member));
        }
        insert_members(&*tx, &row, &members, now).await?;
        notice::tell(&*tx, [notice::of_room(notice::Kind::Membership, row.id, None)]).await?;
        self.commit_in(tx, row.id).await?;
        Ok(row.id)
    }
}

/// A room without members and messages.
pub(in crate::chat) fn new_room(kind: room::Kind, now: DateTime<Utc>) -> room::ActiveModel {
    room::ActiveModel {
        id: Set(RoomId::new()),
        kind: Set(kind),
        name: Set(None),
        name_key: Set(None),
        password_hash: Set(None),
        owner_id: Set(None),
        pair_low: Set(None),
        pair_high: Set(None),
        last_seq: Set(Seq::ZERO),
        last_change: Set(ChangeNumber::ZERO),
        roster_version: Set(1),
        created_at: Set(now),
        active_at: Set(now),
        deleted_at: Set(None),
        changed_at: Set(0),
        settings: Set(None),
    }
}

fn is_unique(err: &sea_orm::DbErr) -> bool {
    matches!(err.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// The lobby's id: fixed, so that every database has the same one.
const LOBBY: RoomId = RoomId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));

/// Loads the lobby. Makes it first in a new database.
pub(super) async fn open_lobby(db: &Db, clock: &Clock, rooms: &RoomRegistry) -> Result<Arc<Room>> {
    let now = clock.now();
    if room::Entity::find_by_id(LOBBY).one(db.reader()).await?.is_none() {
        let row = room::ActiveModel { id: Set(LOBBY), ..new_room(room::Kind::Lobby, now) };
        // Another node may make it at the same moment. In both cases it exists afterwards.
        room::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&*db.writer().await?)
            .await?;
    }
    rooms.open_lobby(LOBBY).await?.ok_or_else(|| Error::internal("the lobby could not be made"))
}
