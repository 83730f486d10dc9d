//! Rooms as such: finding one, opening the direct room of two users, and the lobby.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{
    RoomId, Seq, UserId,
    member::{self, Role},
    room, user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait,
    sea_query::{Expr, ExprTrait, IntoCondition},
};

use super::{Core, caller::Caller, membership::insert_members, roster::Roster, rosters::Rosters};
use crate::{
    clock::Clock,
    db::Db,
    error::{Denial, Error, Noun, Result},
};

impl Core {
    /// The roster of a room that exists.
    pub(super) async fn roster(self: &Arc<Self>, room: RoomId) -> Result<Arc<Roster>> {
        let roster = self.room_in_memory(room).await?;
        roster.filter(|roster| !roster.is_deleted()).ok_or(Error::NotFound(Noun::Room))
    }

    /// The roster of a room that the caller is in. A stranger costs one indexed row: nothing of the room is loaded
    /// for them. What the caller then reads of the database has to ask for the membership itself, since memory may
    /// not know yet that another process has ended it.
    ///
    /// # Errors
    /// `not_found` for a room that does not exist, and for a direct room of others, whose existence is private;
    /// `not_a_member` for a group of others.
    pub(super) async fn room_of(self: &Arc<Self>, caller: &Caller, room: RoomId) -> Result<Arc<Roster>> {
        let resident = self.rosters.resident(room).filter(|roster| !roster.is_deleted());
        if let Some(roster) = resident.filter(|roster| roster.has(caller.user)) {
            return Ok(roster);
        }
        self.check_membership(caller, room).await?;
        let roster = self.roster(room).await?;
        if !roster.has(caller.user) {
            // Another process has added them.
            self.reread(room).await?;
        }
        Ok(roster)
    }

    /// Asks the database whether the caller is in a room.
    ///
    /// # Errors
    /// As [`Core::room_of`].
    pub(super) async fn check_membership(&self, caller: &Caller, room: RoomId) -> Result<()> {
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
            Some((room::Kind::Group, None)) => Err(Error::Forbidden(Denial::NotAMember)),
            Some((room::Kind::Direct, None)) | None => Err(Error::NotFound(Noun::Room)),
        }
    }

    /// The direct room of two users; made where it is missing.
    pub(super) async fn open_direct(
        self: &Arc<Self>,
        caller: &Caller,
        other: &user::Model,
    ) -> Result<Arc<Roster>> {
        let users = [caller.user, other.id];
        let room = match room::between(users[0], users[1]).one(self.db.reader()).await? {
            Some(row) => row.id,
            None => self.make_direct(users).await?,
        };
        self.roster(room).await
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
                // The other one wrote first, at the same moment.
                drop(tx);
                let row = room::between(low, high).one(self.db.reader()).await?;
                return row.map(|row| row.id).ok_or(Error::NotFound(Noun::Room));
            }
            Err(err) => return Err(err.into()),
        };
        let mut members = vec![(low, Role::Member)];
        if high != low {
            members.push((high, Role::Member));
        }
        insert_members(&*tx, &row, &members, now).await?;
        self.commit_in(tx, row.id).await?;
        Ok(row.id)
    }
}

/// A room without anybody or anything in it.
pub(super) fn new_room(kind: room::Kind, now: DateTime<Utc>) -> room::ActiveModel {
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
        roster_version: Set(1),
        created_at: Set(now),
        active_at: Set(now),
        deleted_at: Set(None),
    }
}

fn is_unique(err: &sea_orm::DbErr) -> bool {
    matches!(err.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// The lobby's id: fixed, so that every database has the same one.
const LOBBY: RoomId = RoomId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));

/// Reads the lobby, and makes it in a new database.
pub(super) async fn open_lobby(db: &Db, clock: &Clock, rosters: &Rosters) -> Result<Arc<Roster>> {
    let now = clock.now();
    if room::Entity::find_by_id(LOBBY).one(db.reader()).await?.is_none() {
        let row = room::ActiveModel { id: Set(LOBBY), ..new_room(room::Kind::Lobby, now) };
        // Another node may make it at the same moment; either way it is there then.
        room::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&*db.writer().await?)
            .await?;
    }
    rosters.open_lobby(LOBBY).await?.ok_or_else(|| Error::internal("the lobby could not be made"))
}
