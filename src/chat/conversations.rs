//! The conversation list: a user's rooms with what each looks like to that user, most recent first.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, member, message, room, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, Iterable, QueryFilter, QueryOrder,
    QuerySelect, Value,
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
use crate::{
    error::{Error, Result},
    listing::{self, Rest},
};

/// The most rooms in one part of the list: each may come with a message of `content_bytes`.
const CONVERSATIONS: u64 = 250;

/// Up to so many messages past the read receipt, each is looked at to find the user's own.
const LOOKED_AT: i64 = 1_000;

/// Where more lie past the receipt, so many of the user's own in the room are looked at instead. The others of
/// them are counted as unread.
const OWN_LOOKED_AT: i64 = 10_000;

/// Rooms in one query, of four parameters each.
const ROOMS_ASKED: usize = 250;

/// The user's own messages within ranges of seqs. `NOT … <>` keeps the databases from looking them up by their
/// sender, which would read all that the user ever wrote in the room.
const OWN_NEAR: &str = "SELECT asked.column1, COUNT(*) FROM (rows) AS asked INNER JOIN messages \
    ON messages.room_id = asked.column1 AND messages.seq > asked.column3 AND messages.seq <= asked.column4 \
    AND NOT (messages.sender_id <> asked.column2) GROUP BY asked.column1";

/// The same by the index that has the sender; the order by its last column is there to have it used.
fn own_far() -> String {
    format!(
        "SELECT asked.column1, (SELECT COUNT(*) FROM (\
            SELECT messages.seq FROM messages \
            WHERE messages.room_id = asked.column1 AND messages.sender_id = asked.column2 \
            ORDER BY messages.client_message_id LIMIT {OWN_LOOKED_AT}\
        ) AS own WHERE own.seq > asked.column3 AND own.seq <= asked.column4) \
        FROM (rows) AS asked WHERE asked.column1 IS NOT NULL"
    )
}

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
        let rosters = core.rooms_in_memory(rooms.iter().map(|room| room.id).collect()).await?;
        let rosters: HashMap<RoomId, Arc<Roster>> =
            rosters.into_iter().map(|roster| (roster.id, roster)).collect();
        for roster in rosters.values().filter(|roster| !roster.has(caller.user)) {
            // Another process has put the user into it.
            core.reread(roster.id).await?;
        }
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
    /// own among them have to be found.
    async fn unread(
        &self,
        user: UserId,
        rooms: &[room::Model],
        rosters: &HashMap<RoomId, Arc<Roster>>,
    ) -> Result<HashMap<RoomId, i64>> {
        let mut unread = HashMap::with_capacity(rooms.len());
        let (mut near, mut far): (Vec<[Value; 4]>, Vec<[Value; 4]>) = (Vec::new(), Vec::new());
        for room in rooms {
            let Some(entry) = rosters.get(&room.id).and_then(|roster| roster.member(user)) else { continue };
            let (read, last) = (entry.marks.read.0, room.last_seq.0);
            if read < last {
                unread.insert(room.id, last - read);
                let asked = [room.id.0.into(), user.0.into(), read.into(), last.into()];
                if last - read <= LOOKED_AT { near.push(asked) } else { far.push(asked) }
            }
        }
        let db = self.db.reader();
        for (text, asked) in [(OWN_NEAR.to_owned(), near), (own_far(), far)] {
            for part in asked.chunks(ROOMS_ASKED) {
                let rows = part.iter().cloned();
                let own = listing::statement(db.get_database_backend(), &text, rows, Rest::Null);
                for row in db.query_all_raw(own).await? {
                    let (room, own): (RoomId, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                    unread.entry(room).and_modify(|count| *count -= own);
                }
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
