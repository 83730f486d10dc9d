//! Rooms as such: finding one, opening the direct room of two users, and the lobby.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq, UserId, member::Role, room, user};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};

use super::{Core, caller::Caller, membership::insert_members, roster::Roster, rosters::Rosters};
use crate::{
    clock::Clock,
    db::Db,
    error::{Denial, Error, Noun, Result},
};

impl Core {
    /// The roster of a room that exists.
    pub(super) async fn roster(&self, room: RoomId) -> Result<Arc<Roster>> {
        let roster = self.rosters.get(room).await?;
        roster.filter(|roster| !roster.is_deleted()).ok_or(Error::NotFound(Noun::Room))
    }

    /// The roster of a room that the caller is in. A group's existence is public; a direct room's
    /// is its members' business.
    pub(super) async fn roster_for(&self, caller: &Caller, room: RoomId) -> Result<Arc<Roster>> {
        let roster = self.roster(room).await?;
        if roster.kind == room::Kind::Lobby || roster.role(caller.user).is_some() {
            return Ok(roster);
        }
        Err(match roster.kind {
            room::Kind::Direct => Error::NotFound(Noun::Room),
            _ => Error::Forbidden(Denial::NotAMember),
        })
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
        let roster = self.roster(room).await?;
        for user in users {
            self.attach_user(user, &roster, Seq::ZERO);
        }
        Ok(roster)
    }

    async fn make_direct(&self, users: [UserId; 2]) -> Result<RoomId> {
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
        tx.commit().await?;
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
    rosters.get(LOBBY).await?.ok_or_else(|| Error::internal("the lobby could not be made"))
}
