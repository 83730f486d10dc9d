//! Messages: send and read back.

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
    caller::Caller,
    connection::Connection,
    event::Origin,
    nouns::{HistoryPage, Message, Person},
    page,
    roster::{Reply, Roster, message_noun},
    rosters::people,
    rows,
    text::{Body, ClientMessageId, is_storable},
    writer,
};
use crate::error::{Denial, Error, Noun, Result};

/// Where a message goes, or where history is read.
#[derive(Clone, Debug)]
pub enum Place {
    /// The direct room with the user of that name.
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

/// Which part of a room's history: what follows `after`, or what lies before `before`, or both, or
/// the newest.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryQuery {
    pub before: Option<Seq>,
    pub after: Option<Seq>,
    /// At most 200, which is also meant by more; 50 where nothing is said.
    pub limit: Option<u64>,
}

/// The most messages that are read in one go for front ends that do not page.
const NEWEST_MOST: usize = 2_000;
/// Bytes of content after which no further page of older messages is read for them. Gateways end an answer
/// before it has as many bytes.
const NEWEST_ENOUGH: usize = 1_000_000;
const HISTORY_MOST: u64 = 200;
const HISTORY_USUAL: u64 = 50;

impl Chat {
    /// Sends a message. Returns once it is queued, so what one caller sends in sequence is stored
    /// in sequence; `reply` is called once, when it is committed and published, or refused.
    pub async fn send(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        place: Place,
        draft: Draft,
        reply: Reply,
    ) {
        match self.core.place_to_write(caller, origin, &place).await {
            Ok(roster) => self.core.queue(caller, origin, roster, draft, reply),
            Err(err) => reply(Err(err)),
        }
    }

    /// A page of a place's messages, oldest first. It ends at its limit or at 512 KB, whichever comes first, and
    /// has at least one message where there are any.
    ///
    /// # Errors
    /// `not_a_member` or `not_found` to who is not in the room.
    pub async fn history(&self, caller: &Caller, place: Place, query: HistoryQuery) -> Result<HistoryPage> {
        let core = &self.core;
        let Some(roster) = core.find_place(caller, None, &place).await? else {
            return Ok(HistoryPage { messages: Vec::new(), has_more: false });
        };
        let limit = query.limit.unwrap_or(HISTORY_USUAL).clamp(1, HISTORY_MOST);
        let mut range = rows::Range {
            after: query.after.unwrap_or(Seq::ZERO),
            before: query.before.unwrap_or(Seq(i64::MAX)),
            oldest_first: query.after.is_some(),
            limit: (limit + 1).min(page::FIRST_PART as u64),
        };
        // Never closed.
        let _turn = core.page_reads.acquire().await.map_err(Error::internal)?;
        let is_lobby = roster.kind == room::Kind::Lobby;
        // Memory may not know yet that another process has removed the caller.
        let reader = (!is_lobby).then_some(caller.user);
        let mut rows = rows::page(core.db.reader(), roster.id, range, reader).await?;
        if rows.is_empty() && !is_lobby {
            core.check_membership(caller, roster.id).await?;
        }
        // Whether rows may follow that were not asked for, since they would not fit.
        let mut is_cut_short = rows.len() as u64 == range.limit && range.limit <= limit;
        let room = page::room_for(rows.iter().map(|row| &*row.content)) as u64;
        let wanted = limit + 1 - rows.len() as u64;
        if let Some(last) = rows.last().filter(|_| rows.len() as u64 == range.limit && wanted > 0 && room > 0)
        {
            if range.oldest_first {
                range.after = last.seq;
            } else {
                range.before = last.seq;
            }
            range.limit = wanted.min(room + 1);
            let rest = rows::page(core.db.reader(), roster.id, range, reader).await?;
            is_cut_short = rest.len() as u64 == range.limit && range.limit < wanted;
            rows.extend(rest);
        }
        let found = rows.len();
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        rows.truncate(page::fitting(rows.iter().map(|row| &*row.content)));
        let has_more = rows.len() < found || (found as u64 <= limit && is_cut_short);
        rows.sort_by_key(|row| row.seq);
        let messages = core.nouns(&roster, rows).await?;
        let messages = messages.into_iter().map(Arc::unwrap_or_clone).collect();
        Ok(HistoryPage { messages, has_more })
    }

    /// A place's newest messages, oldest first, for front ends that do not page: 2,000 of them, and fewer where
    /// their contents have 1 MB together. At most a page (512 KB) exceeds that, so the gateway ends its answer at
    /// its own bound. [`Chat::history`] returns older messages.
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
    /// Queues a draft of somebody who was found to be in the room.
    fn queue(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        roster: Arc<Roster>,
        draft: Draft,
        reply: Reply,
    ) {
        let Some(roster_version) = roster.version_with(caller.user) else {
            return reply(Err(Error::Forbidden(Denial::NotAMember)));
        };
        self.writer.queue(writer::Draft {
            roster_version,
            roster,
            sender: caller.user,
            person: caller.person(),
            body: draft.body,
            client_message_id: draft.client_message_id,
            reply_to: draft.reply_to,
            origin: origin.map(|connection| Origin { connection: connection.id, written: draft.written }),
            reply,
        });
    }

    /// The room that a message goes to; a direct one is made with its first message.
    async fn place_to_write(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
    ) -> Result<Arc<Roster>> {
        let roster = match self.find_place(caller, connection, place).await? {
            Some(roster) => roster,
            None => match place {
                Place::User(name) => {
                    let other = self.user_named(name).await?;
                    self.open_direct(caller, &other).await?
                }
                _ => return Err(Error::NotFound(Noun::Room)),
            },
        };
        if roster.kind == room::Kind::Direct && matches!(place, Place::Room(_)) {
            return Err(Error::NotFound(Noun::Group));
        }
        let deleted = |id: UserId| roster.role(id).is_none();
        if roster.pair.as_ref().is_some_and(|pair| pair.iter().any(|peer| deleted(peer.id))) {
            return Err(Error::NotFound(Noun::User));
        }
        Ok(roster)
    }

    /// The room of a place that the caller may read; none for two who never wrote.
    pub(super) async fn find_place(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
    ) -> Result<Option<Arc<Roster>>> {
        match place {
            Place::Lobby => Ok(Some(self.lobby.clone())),
            Place::Room(room) => self.room_by_id(caller, *room).await.map(Some),
            Place::User(name) => {
                let key = username_key(name);
                let known = connection.and_then(|connection| {
                    let rosters = connection.rosters.lock();
                    rosters.iter().find(|roster| roster.is_between(caller.user, &key)).cloned()
                });
                if known.is_some() {
                    return Ok(known);
                }
                self.direct_with(caller, name).await
            }
        }
    }

    async fn room_by_id(self: &Arc<Self>, caller: &Caller, room: RoomId) -> Result<Arc<Roster>> {
        match self.room_of(caller, room).await {
            Err(Error::NotFound(_)) => Err(Error::NotFound(Noun::Group)),
            other => other,
        }
    }

    async fn direct_with(self: &Arc<Self>, caller: &Caller, name: &str) -> Result<Option<Arc<Roster>>> {
        if !is_storable(name) {
            return Err(Error::NotFound(Noun::User));
        }
        // A deleted user's place in what was said stays readable.
        let other = user::Entity::find()
            .filter(user::COLUMN.username_key.eq(username_key(name)))
            .one(self.db.reader())
            .await?
            .ok_or(Error::NotFound(Noun::User))?;
        let Some(row) = room::between(caller.user, other.id).one(self.db.reader()).await? else {
            return if other.deleted_at.is_some() { Err(Error::NotFound(Noun::User)) } else { Ok(None) };
        };
        let roster = self.roster(row.id).await?;
        if !roster.has(caller.user) {
            return Err(Error::Forbidden(Denial::NotAMember));
        }
        Ok(Some(roster))
    }

    /// The messages of a room that follow a seq, oldest first.
    pub(super) async fn page_after(
        &self,
        roster: &Roster,
        after: Seq,
        limit: u64,
    ) -> Result<Vec<Arc<Message>>> {
        let select = message::after(roster.id, after, limit);
        let rows = rows::read(self.db.reader(), roster.id, select).await?;
        self.nouns(roster, rows).await
    }

    /// Rows of one room as nouns.
    pub(super) async fn nouns(
        &self,
        roster: &Roster,
        rows: Vec<message::Model>,
    ) -> Result<Vec<Arc<Message>>> {
        let floors = roster.floors();
        let people = self.senders(roster, &rows).await?;
        let noun = |row: message::Model| {
            let sender = people.get(&row.sender_id).cloned().unwrap_or_else(Person::nobody);
            Arc::new(message_noun(roster, row, sender, Some(floors)))
        };
        Ok(rows.into_iter().map(noun).collect())
    }

    /// Who wrote these: from the roster, and from the database for those who have left.
    async fn senders(&self, roster: &Roster, rows: &[message::Model]) -> Result<HashMap<UserId, Person>> {
        let senders: HashSet<UserId> = rows.iter().map(|row| row.sender_id).collect();
        let mut found = HashMap::with_capacity(senders.len());
        let mut unknown = HashSet::new();
        for sender in senders {
            match roster.member(sender) {
                Some(entry) => drop(found.insert(sender, entry.person)),
                None => drop(unknown.insert(sender)),
            }
        }
        found.extend(people(self.db.reader(), unknown).await?);
        Ok(found)
    }
}
