//! Messages: send, and read history.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use entity::{
    MessageId, RoomId, Seq, UserId, message, room,
    user::{self, username_key},
};
use sea_orm::{EntityTrait, QueryFilter};

use super::{
    Chat, Core,
    connections::connection::Connection,
    event::Origin,
    model::{HistoryPage, Message},
    page_size,
    room::{Reply, Room, registry::people, to_message},
    sql::history,
    writer,
};
use crate::error::{Entity, Error, Forbidden, Result};
use crate::{
    identity::{Caller, Person},
    values::{Body, ClientMessageId, is_storable},
};

/// Where a message goes, or where history is read.
#[derive(Clone, Debug)]
pub enum Place {
    /// The direct room with the user of this name.
    User(String),
    Room(RoomId),
    Lobby,
}

/// A message as its sender wrote it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub body: Body,
    pub client_message_id: Option<ClientMessageId>,
    pub reply_to: Option<MessageId>,
    /// See [`super::event::Origin`].
    pub written: Option<Arc<str>>,
}

/// The part of a room's history: the messages after `after`, or before `before`, or between both, or the
/// newest.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryQuery {
    pub before: Option<Seq>,
    pub after: Option<Seq>,
    /// At most 200; a greater number means 200. The default is 50.
    pub limit: Option<u64>,
}

/// The most messages that are read for front ends that do not page.
const NEWEST_MOST: usize = 2_000;
/// Once this many bytes of content are read, no further page of older messages is read for them. Gateways end
/// an answer before it has as many bytes.
const NEWEST_ENOUGH: usize = 1_000_000;
const HISTORY_MOST: u64 = 200;
const HISTORY_USUAL: u64 = 50;

impl Chat {
    /// Sends a message. Returns when it is queued, so the messages that one caller sends in sequence are
    /// stored in this sequence. `reply` is called once: when the message is committed and published, or
    /// refused.
    pub async fn send(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        place: Place,
        draft: Draft,
        reply: Reply,
    ) {
        match self.core.place_to_write(caller, origin, &place).await {
            Ok(room) => self.core.queue(caller, origin, room, draft, reply),
            Err(err) => reply(Err(err)),
        }
    }

    /// A page of a place's messages, oldest first. It ends at its limit or at 512 KB, whichever comes first,
    /// and has at least one message if there are any.
    ///
    /// # Errors
    /// `not_a_member` or `not_found` for a caller who is not a member of the room.
    pub async fn history(&self, caller: &Caller, place: Place, query: HistoryQuery) -> Result<HistoryPage> {
        let core = &self.core;
        let Some(room) = core.find_place(caller, None, &place).await? else {
            return Ok(HistoryPage { messages: Vec::new(), has_more: false });
        };
        let limit = query.limit.unwrap_or(HISTORY_USUAL).clamp(1, HISTORY_MOST);
        let mut range = history::Range {
            after: query.after.unwrap_or(Seq::ZERO),
            before: query.before.unwrap_or(Seq(i64::MAX)),
            oldest_first: query.after.is_some(),
            limit: (limit + 1).min(page_size::FIRST_PART as u64),
        };
        // Never closed.
        let _turn = core.page_reads.acquire().await.map_err(Error::internal)?;
        let is_lobby = room.kind == room::Kind::Lobby;
        // Memory may not know yet that another process has removed the caller.
        let reader = (!is_lobby).then_some(caller.user);
        let mut rows = history::page(core.db.reader(), room.id, range, reader).await?;
        if rows.is_empty() && !is_lobby {
            core.check_membership(caller, room.id).await?;
        }
        // Whether rows may follow that were not asked for, since they would not fit.
        let mut is_cut_short = rows.len() as u64 == range.limit && range.limit <= limit;
        let fitting = page_size::room_for(rows.iter().map(|row| &*row.content)) as u64;
        let wanted = limit + 1 - rows.len() as u64;
        if let Some(last) =
            rows.last().filter(|_| rows.len() as u64 == range.limit && wanted > 0 && fitting > 0)
        {
            if range.oldest_first {
                range.after = last.seq;
            } else {
                range.before = last.seq;
            }
            range.limit = wanted.min(fitting + 1);
            let rest = history::page(core.db.reader(), room.id, range, reader).await?;
            is_cut_short = rest.len() as u64 == range.limit && range.limit < wanted;
            rows.extend(rest);
        }
        let found = rows.len();
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        rows.truncate(page_size::fitting(rows.iter().map(|row| &*row.content)));
        let has_more = rows.len() < found || (found as u64 <= limit && is_cut_short);
        rows.sort_by_key(|row| row.seq);
        let messages = core.to_messages(&room, rows).await?;
        let messages = messages.into_iter().map(Arc::unwrap_or_clone).collect();
        Ok(HistoryPage { messages, has_more })
    }

    /// A place's newest messages, oldest first, for front ends that do not page: 2,000 messages, or fewer if
    /// their contents have more than 1 MB together. Their contents exceed 1 MB by at most one page (512 KB),
    /// so the gateway ends its answer at its own limit. [`Chat::history`] returns older messages.
    pub async fn newest(&self, caller: &Caller, place: Place) -> Result<Vec<Message>> {
        let mut newest_first = Vec::new();
        let mut bytes = 0;
        let mut before = None;
        loop {
            let query = HistoryQuery { before, after: None, limit: Some(HISTORY_MOST) };
            let page = self.history(caller, place.clone(), query).await?;
            before = page.messages.first().map(|message| message.row.seq);
            bytes += page.messages.iter().map(|message| message.row.content.len()).sum::<usize>();
            newest_first.extend(page.messages.into_iter().rev());
            if !page.has_more || newest_first.len() >= NEWEST_MOST || bytes >= NEWEST_ENOUGH {
                newest_first.reverse();
                return Ok(newest_first);
            }
        }
    }
}

impl Core {
    /// Queues a draft. The caller was found to be a member of the room.
    fn queue(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        room: Arc<Room>,
        draft: Draft,
        reply: Reply,
    ) {
        let Some(roster_version) = room.version_with(caller.user) else {
            return reply(Err(Error::Forbidden(Forbidden::NotAMember)));
        };
        self.writer.queue(writer::QueuedDraft {
            roster_version,
            room,
            sender: caller.user,
            person: caller.person(),
            body: draft.body,
            client_message_id: draft.client_message_id,
            reply_to: draft.reply_to,
            origin: origin.map(|connection| Origin { connection: connection.id, written: draft.written }),
            reply,
        });
    }

    /// The room that a message goes to. A direct room is made with its first message.
    async fn place_to_write(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
    ) -> Result<Arc<Room>> {
        let room = match self.find_place(caller, connection, place).await? {
            Some(room) => room,
            None => match place {
                Place::User(name) => {
                    let other = self.user_named(name).await?;
                    self.open_direct(caller, &other).await?
                }
                _ => return Err(Error::NotFound(Entity::Room)),
            },
        };
        if room.kind == room::Kind::Direct && matches!(place, Place::Room(_)) {
            return Err(Error::NotFound(Entity::Group));
        }
        let deleted = |id: UserId| room.role(id).is_none();
        if room.pair.as_ref().is_some_and(|pair| pair.iter().any(|peer| deleted(peer.id))) {
            return Err(Error::NotFound(Entity::User));
        }
        Ok(room)
    }

    /// The room of a place that the caller may read; `None` for two users who never wrote to each other.
    pub(super) async fn find_place(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
    ) -> Result<Option<Arc<Room>>> {
        match place {
            Place::Lobby => Ok(Some(self.lobby.clone())),
            Place::Room(room) => self.room_by_id(caller, *room).await.map(Some),
            Place::User(name) => {
                let key = username_key(name);
                let known = connection.and_then(|connection| {
                    let live_rooms = connection.rooms.lock();
                    live_rooms.iter().find(|live| live.is_between(caller.user, &key)).cloned()
                });
                if known.is_some() {
                    return Ok(known);
                }
                self.direct_with(caller, name).await
            }
        }
    }

    async fn room_by_id(self: &Arc<Self>, caller: &Caller, room: RoomId) -> Result<Arc<Room>> {
        match self.room_of(caller, room).await {
            Err(Error::NotFound(_)) => Err(Error::NotFound(Entity::Group)),
            other => other,
        }
    }

    async fn direct_with(self: &Arc<Self>, caller: &Caller, name: &str) -> Result<Option<Arc<Room>>> {
        if !is_storable(name) {
            return Err(Error::NotFound(Entity::User));
        }
        // The messages with a deleted user stay readable.
        let other = user::Entity::find()
            .filter(user::COLUMN.username_key.eq(username_key(name)))
            .one(self.db.reader())
            .await?
            .ok_or(Error::NotFound(Entity::User))?;
        let Some(row) = room::between(caller.user, other.id).one(self.db.reader()).await? else {
            return if other.deleted_at.is_some() { Err(Error::NotFound(Entity::User)) } else { Ok(None) };
        };
        let room = self.loaded_room(row.id).await?;
        if !room.has(caller.user) {
            return Err(Error::Forbidden(Forbidden::NotAMember));
        }
        Ok(Some(room))
    }

    /// The messages of a room after a seq, oldest first.
    pub(super) async fn page_after(&self, room: &Room, after: Seq, limit: u64) -> Result<Vec<Arc<Message>>> {
        let select = message::after(room.id, after, limit);
        let rows = history::read(self.db.reader(), room.id, select).await?;
        self.to_messages(room, rows).await
    }

    /// The models of message rows of one room.
    pub(super) async fn to_messages(
        &self,
        room: &Room,
        rows: Vec<message::Model>,
    ) -> Result<Vec<Arc<Message>>> {
        let floors = room.floors();
        let people = self.senders(room, &rows).await?;
        let model = |row: message::Model| {
            let sender = people.get(&row.sender_id).cloned().unwrap_or_else(Person::nobody);
            Arc::new(to_message(room, row, sender, Some(floors)))
        };
        Ok(rows.into_iter().map(model).collect())
    }

    /// The senders of these messages: from the room in memory, and from the database for users who have left.
    async fn senders(&self, room: &Room, rows: &[message::Model]) -> Result<HashMap<UserId, Person>> {
        let senders: HashSet<UserId> = rows.iter().map(|row| row.sender_id).collect();
        let mut found = HashMap::with_capacity(senders.len());
        let mut unknown = HashSet::new();
        for sender in senders {
            match room.member(sender) {
                Some(entry) => drop(found.insert(sender, entry.person)),
                None => drop(unknown.insert(sender)),
            }
        }
        found.extend(people(self.db.reader(), unknown).await?);
        Ok(found)
    }
}
