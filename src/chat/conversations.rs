//! The conversation list: a user's rooms with what each looks like to that user, most recent first.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, member, message, room, user};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Iterable, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Alias, Condition, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{
    Chat, Core,
    caller::Caller,
    nouns::{Conversation, ConversationKind, Group, Message, Page, Person, User},
    profiles,
    roster::Roster,
    rosters::LISTED,
};
use crate::error::{Error, Result};

/// The most rooms in one part of the list: each may come with a message of `content_bytes`.
const CONVERSATIONS: u64 = 250;

/// How many messages past the read receipt are looked at to tell the user's own from those of others.
const LOOKED_AT: i64 = 1_000;

/// Which part of the caller's rooms.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRooms {
    /// At most 250, which is also the default.
    pub limit: Option<u64>,
    /// The last room of the part before.
    pub after: Option<RoomId>,
}

impl ListRooms {
    /// The part behind the one whose [`Page::next`] this is, or the first part behind `after`.
    pub fn part(limit: u64, next: Option<String>, after: Option<RoomId>) -> Self {
        Self { limit: Some(limit), after: next.and_then(|room| room.parse().ok()).or(after) }
    }
}

#[derive(FromQueryResult)]
struct Own {
    room_id: RoomId,
    own: i64,
}

impl Chat {
    /// The caller's rooms, most recent first, part by part.
    ///
    /// # Errors
    /// `bad_request` where no room has the id `after`.
    pub async fn conversations(&self, caller: &Caller, list: ListRooms) -> Result<Page<Conversation>> {
        let core = &self.core;
        let limit = list.limit.unwrap_or(CONVERSATIONS).clamp(1, CONVERSATIONS);
        let mut query = member::of_user(caller.user)
            .find_also_related(room::Entity)
            .filter(room::COLUMN.deleted_at.is_null())
            .order_by_desc(room::COLUMN.active_at)
            .order_by_desc(room::COLUMN.id)
            .limit(limit + 1);
        if let Some(after) = list.after {
            let last = room::Entity::find_by_id(after).one(core.db.reader()).await?;
            let last = last.ok_or(Error::invalid("after", "is not the id of a room"))?;
            let earlier = room::COLUMN.active_at.lt(last.active_at);
            let beside = Condition::all()
                .add(room::COLUMN.active_at.eq(last.active_at))
                .add(room::COLUMN.id.lt(last.id));
            query = query.filter(Condition::any().add(earlier).add(beside));
        }
        let rows: Vec<(member::Model, Option<room::Model>)> = query.all(core.db.reader()).await?;
        let rooms: Vec<room::Model> = rows.into_iter().filter_map(|(_, room)| room).collect();
        let Page { items: rooms, next } = Page::of(rooms, limit, |room| Some(room.id.to_string()));
        let rosters = core.rosters.get_all(rooms.iter().map(|room| room.id).collect()).await?;
        let rosters: HashMap<RoomId, Arc<Roster>> =
            rosters.into_iter().map(|roster| (roster.id, roster)).collect();
        let mut last = core.last_messages(&rooms, &rosters).await?;
        let unread = core.unread(caller.user, &rooms, &rosters).await?;
        let mut peers = core.peers(&rooms, caller.user).await?;
        let conversations = rooms.into_iter().filter_map(|room| {
            let roster = rosters.get(&room.id)?;
            let marks = roster.member(caller.user)?.marks;
            let kind = match room.kind {
                room::Kind::Group => ConversationKind::Group(Box::new(group_of(&room, roster))),
                _ => ConversationKind::Direct { peer: Box::new(peers.remove(&room.id)?) },
            };
            Some(Conversation {
                delivered: marks.delivered,
                read: marks.read,
                unread: unread.get(&room.id).copied().unwrap_or(0),
                kind,
                last_message: last.remove(&room.id),
                room,
            })
        });
        Ok(Page { items: conversations.collect(), next })
    }
}

/// A group as its live room knows it, which asks the database for nothing more.
fn group_of(room: &room::Model, roster: &Roster) -> Group {
    let owner = room.owner_id.and_then(|owner| roster.member(owner)).map(|entry| entry.person);
    Group {
        owner: owner.unwrap_or_else(Person::nobody),
        member_count: roster.member_count() as u64,
        users: None,
        row: room.clone(),
    }
}

impl Core {
    /// The newest message of each room that has one.
    async fn last_messages(
        &self,
        rooms: &[room::Model],
        rosters: &HashMap<RoomId, Arc<Roster>>,
    ) -> Result<HashMap<RoomId, Message>> {
        let newest: Vec<_> = rooms
            .iter()
            .filter(|room| room.last_seq > Seq::ZERO)
            .map(|room| (room.id.0, room.last_seq.0))
            .collect();
        if newest.is_empty() {
            return Ok(HashMap::new());
        }
        let mut last = HashMap::with_capacity(newest.len());
        for part in newest.chunks(LISTED) {
            for row in self.messages_at(part).await? {
                let Some(roster) = rosters.get(&row.room_id) else { continue };
                for message in self.nouns(roster, vec![row]).await? {
                    last.insert(roster.id, Arc::unwrap_or_clone(message));
                }
            }
        }
        Ok(last)
    }

    /// The messages at these places, a room and a seq each.
    async fn messages_at(&self, places: &[(Uuid, i64)]) -> Result<Vec<message::Model>> {
        let list = Alias::new("asked");
        let is = |column: message::Column, value: &'static str| {
            Expr::col((message::Entity, column)).eq(Expr::col((list.clone(), Alias::new(value))))
        };
        let db = self.db.reader();
        let mut query = Query::select();
        query
            .columns(message::Column::iter().map(|column| (message::Entity, column)))
            .from_values(places.iter().copied(), list.clone())
            .inner_join(
                message::Entity,
                Condition::all()
                    .add(is(message::Column::RoomId, "column1"))
                    .add(is(message::Column::Seq, "column2")),
            );
        Ok(message::Model::find_by_statement(db.get_database_backend().build(&query)).all(db).await?)
    }

    /// How many messages of others lie past a user's read receipt, for the rooms that have any.
    ///
    /// Seqs have no gaps, so the messages past the receipt are counted without reading them. Only the user's
    /// own among them have to be found, and these are looked for in the first [`LOOKED_AT`] alone: the count
    /// is exact up to there, and beyond it counts the user's own later messages as unread.
    async fn unread(
        &self,
        user: UserId,
        rooms: &[room::Model],
        rosters: &HashMap<RoomId, Arc<Roster>>,
    ) -> Result<HashMap<RoomId, i64>> {
        let mut unread = HashMap::with_capacity(rooms.len());
        let mut ranges: Vec<(Uuid, i64, i64)> = Vec::with_capacity(rooms.len());
        for room in rooms {
            let Some(entry) = rosters.get(&room.id).and_then(|roster| roster.member(user)) else { continue };
            let (read, last) = (entry.marks.read.0, room.last_seq.0);
            if read < last {
                unread.insert(room.id, last - read);
                ranges.push((room.id.0, read, Ord::min(last, read.saturating_add(LOOKED_AT))));
            }
        }
        let list = Alias::new("asked");
        let listed = |column: &'static str| Expr::col((list.clone(), Alias::new(column)));
        let of = |column: message::Column| Expr::col((message::Entity, column));
        let db = self.db.reader();
        for part in ranges.chunks(LISTED) {
            let mut query = Query::select();
            query
                .column((message::Entity, message::Column::RoomId))
                .expr_as(Expr::cust("COUNT(*)"), Alias::new("own"))
                .from_values(part.iter().copied(), list.clone())
                .inner_join(
                    message::Entity,
                    Condition::all()
                        .add(of(message::Column::RoomId).eq(listed("column1")))
                        .add(of(message::Column::Seq).gt(listed("column2")))
                        .add(of(message::Column::Seq).lte(listed("column3")))
                        .add(of(message::Column::SenderId).eq(user.0)),
                )
                .group_by_col((message::Entity, message::Column::RoomId));
            for row in Own::find_by_statement(db.get_database_backend().build(&query)).all(db).await? {
                unread.entry(row.room_id).and_modify(|count| *count -= row.own);
            }
        }
        Ok(unread)
    }

    /// The other user of each direct room, deleted ones too.
    async fn peers(&self, rooms: &[room::Model], user: UserId) -> Result<HashMap<RoomId, User>> {
        let other: HashMap<RoomId, UserId> = rooms
            .iter()
            .filter_map(|room| {
                let (low, high) = (room.pair_low?, room.pair_high?);
                Some((room.id, if low == user { high } else { low }))
            })
            .collect();
        if other.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<UserId> = other.values().copied().collect();
        let mut users: HashMap<UserId, user::Model> = HashMap::with_capacity(ids.len());
        for part in ids.chunks(LISTED) {
            let rows = user::Entity::find().filter(user::COLUMN.id.is_in(part.iter().copied()));
            let rows = profiles::small_only(rows).all(self.db.reader()).await?;
            users.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let noun = |(room, id): (RoomId, UserId)| Some((room, self.user_noun(users.get(&id)?.clone())));
        Ok(other.into_iter().filter_map(noun).collect())
    }
}
