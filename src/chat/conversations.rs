//! The conversation list: a user's rooms as that user sees them, most recent first.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, member, message, room, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, Iterable, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Alias, Condition, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{
    Chat, Core,
    model::{Conversation, ConversationKind, Group, Message, Page, User},
    profiles,
    room::{Room, registry::LISTED},
    unread::UnreadRange,
    views::read_view,
};
use crate::{
    error::{Entity, Error, Forbidden, Result},
    identity::{Caller, Person},
};

/// The most users that are read for the groups of one part. More would not fit into an answer.
const USERS_READ: usize = 5_000;
/// The most rooms in one part of the list: each may have a message of `content_bytes`.
const CONVERSATIONS: u64 = 250;

/// The part of the caller's rooms.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRooms {
    /// At most 250, which is also the default.
    pub limit: Option<u64>,
    /// The last room of the previous part.
    pub after: Option<RoomId>,
    /// Whether the groups have [`Group::users`].
    pub with_users: bool,
}

impl ListRooms {
    /// The part after the one whose [`Page::next`] this is, or else the part after the room `after`.
    pub fn part(limit: u64, next: Option<String>, after: Option<RoomId>) -> Self {
        let after = next.and_then(|room| room.parse().ok()).or(after);
        Self { limit: Some(limit), after, with_users: false }
    }

    /// The same, with the users of the groups.
    pub fn with_users(self) -> Self {
        Self { with_users: true, ..self }
    }
}

impl Chat {
    /// The caller's rooms, most recent first, part by part.
    ///
    /// # Errors
    /// `bad_request` if no room has the id `after`.
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
        let rows = rows.into_iter().filter_map(|(member, room)| Some((room?, member.view))).collect();
        let Page { items, next } =
            Page::of(rows, limit, |(room, _): &(room::Model, _)| Some(room.id.to_string()));
        Ok(Page { items: core.as_seen_by(caller.user, items, list.with_users).await?, next })
    }
}

impl Core {
    /// One room as a user sees it. `view` is the user's view of it, as stored.
    pub(super) async fn seen_by(
        self: &Arc<Self>,
        user: UserId,
        room: RoomId,
        view: Option<String>,
    ) -> Result<Conversation> {
        let row = room::live().filter(room::COLUMN.id.eq(room)).one(self.db.reader()).await?;
        let row = row.ok_or(Error::NotFound(Entity::Room))?;
        let mut seen = self.as_seen_by(user, vec![(row, view)], false).await?;
        seen.pop().ok_or(Error::Forbidden(Forbidden::NotAMember))
    }

    /// Rooms of a user as that user sees them. Each comes with the user's view of it, as stored.
    pub(super) async fn as_seen_by(
        self: &Arc<Self>,
        user: UserId,
        rows: Vec<(room::Model, Option<String>)>,
        with_users: bool,
    ) -> Result<Vec<Conversation>> {
        let core = self;
        let (rooms, views): (Vec<room::Model>, Vec<Option<String>>) = rows.into_iter().unzip();
        let live_rooms = core.rooms_in_memory(rooms.iter().map(|room| room.id).collect()).await?;
        let live_rooms: HashMap<RoomId, Arc<Room>> =
            live_rooms.into_iter().map(|live| (live.id, live)).collect();
        for live in live_rooms.values().filter(|live| !live.has(user)) {
            // Another process has added the user.
            core.reread(live.id).await?;
        }
        let mut last = core.last_messages(&rooms, &live_rooms).await?;
        let range = |room: &room::Model| {
            let read = live_rooms.get(&room.id)?.marks(user)?.read;
            Some(UnreadRange { room: room.id, user, read, last: room.last_seq })
        };
        let ranges: Vec<UnreadRange> = rooms.iter().filter_map(range).collect();
        let unread = core.unread_in(&ranges).await?;
        let threads: Vec<_> = rooms.iter().map(|room| (room.id, user)).collect();
        let threads = core.unread_threads(&threads).await?;
        let mut peers = core.peers(&rooms, user).await?;
        let mut users =
            if with_users { core.group_users(&rooms, &live_rooms).await? } else { HashMap::new() };
        let conversations = rooms.into_iter().zip(views).filter_map(|(room, view)| {
            let live = live_rooms.get(&room.id)?;
            let marks = live.marks(user)?;
            let view = view.as_deref().map(read_view).unwrap_or_default();
            let kind = match room.kind {
                room::Kind::Group => {
                    let users = users.remove(&room.id);
                    ConversationKind::Group(Box::new(Group { users, ..group_of(&room, live) }))
                }
                _ => ConversationKind::Direct { peer: Box::new(peers.remove(&room.id)?) },
            };
            let unread = unread.get(&(room.id, user)).copied().unwrap_or_default();
            Some(Conversation {
                delivered: marks.delivered,
                read: marks.read,
                unread: unread.messages,
                unread_mentions: unread.mentions,
                unread_threads: threads.get(&(room.id, user)).copied().unwrap_or(0),
                disappear_after: live.settings().disappear_after,
                kind,
                last_message: last.remove(&room.id),
                is_marked_unread: live.counts_mark(user, view.marked),
                view,
                room,
            })
        });
        Ok(conversations.collect())
    }
}

/// A group as its room in memory has it, without a further query.
fn group_of(room: &room::Model, live: &Room) -> Group {
    let owner = room.owner_id.and_then(|owner| live.person(owner));
    Group {
        owner: owner.unwrap_or_else(Person::nobody),
        member_count: live.member_count() as u64,
        users: None,
        row: room.clone(),
    }
}

impl Core {
    /// The newest message of each room that has one.
    async fn last_messages(
        &self,
        rooms: &[room::Model],
        live_rooms: &HashMap<RoomId, Arc<Room>>,
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
                let Some(live) = live_rooms.get(&row.room_id) else { continue };
                for message in self.to_messages(live, vec![row]).await? {
                    last.insert(live.id, Arc::unwrap_or_clone(message));
                }
            }
        }
        Ok(last)
    }

    /// The messages at these places; each place is a room and a seq.
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

    /// The users of the groups among these rooms, [`Group::USERS`] of each at most. Groups that come after
    /// [`USERS_READ`] users are left out.
    async fn group_users(
        &self,
        rooms: &[room::Model],
        live_rooms: &HashMap<RoomId, Arc<Room>>,
    ) -> Result<HashMap<RoomId, Vec<User>>> {
        let mut members: Vec<(RoomId, Vec<UserId>)> = Vec::new();
        let mut listed = 0;
        for room in rooms.iter().filter(|room| room.kind == room::Kind::Group) {
            let Some(live) = live_rooms.get(&room.id) else { continue };
            let first = live.first_members(Group::USERS);
            listed += first.len();
            members.push((room.id, first));
            if listed >= USERS_READ {
                break;
            }
        }
        let mut ids: Vec<UserId> = members.iter().flat_map(|(_, users)| users.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let users = self.listed_users(&ids).await?;
        let user = |id: &UserId| Some(self.to_user(users.get(id)?.clone()));
        Ok(members.into_iter().map(|(room, ids)| (room, ids.iter().filter_map(user).collect())).collect())
    }

    /// The rows of these users, as a list has them.
    async fn listed_users(&self, ids: &[UserId]) -> Result<HashMap<UserId, user::Model>> {
        let mut users: HashMap<UserId, user::Model> = HashMap::with_capacity(ids.len());
        for part in ids.chunks(LISTED) {
            let rows = user::Entity::find().filter(user::COLUMN.id.is_in(part.iter().copied()));
            let rows = profiles::small_only(rows).all(self.db.reader()).await?;
            users.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(users)
    }

    /// The other user of each direct room, also deleted ones.
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
        let users = self.listed_users(&ids).await?;
        let model = |(room, id): (RoomId, UserId)| Some((room, self.to_user(users.get(&id)?.clone())));
        Ok(other.into_iter().filter_map(model).collect())
    }
}
