//! History: reads the stored messages of a room, a page at a time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, Seq, UserId, member, message, room};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Chat, Core,
    extras::{expire_model, read_extras},
    messages::Place,
    model::{HistoryPage, Message},
    page_size::{self, read_with_more},
    room::{Room, registry::people, to_message, watermark::Floors},
    sql::history::{self, Range},
};
use crate::{
    error::{Error, Result},
    identity::{Caller, Person},
};

/// Pages that are read at the same time: their rows are in memory until they are rendered. Others wait for
/// their turn; the database's connections would make them wait in any case.
const PAGES_AT_ONCE: usize = 16;

/// See [`PAGES_AT_ONCE`].
pub(super) struct PageTurns(Semaphore);

impl PageTurns {
    pub fn new() -> Self {
        Self(Semaphore::new(PAGES_AT_ONCE))
    }
}

/// The part of a room's history: the messages after `after`, or before `before`, or between both, or those around
/// `around`, or the newest.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryQuery {
    pub before: Option<Seq>,
    pub after: Option<Seq>,
    pub around: Option<Seq>,
    /// Only pinned messages.
    pub pinned: bool,
    /// Only the thread that this message begins or is in: its root and its replies.
    pub thread: Option<MessageId>,
    /// At most 200; a greater number means 200. The default is 50.
    pub limit: Option<u64>,
    /// Whether the page says up to which change it shows everything, and has the messages that its messages answer.
    pub changes: bool,
}

/// The most messages that are read for front ends that do not page.
const NEWEST_MOST: usize = 2_000;
/// Once this many bytes of content are read, no further page of older messages is read for them. Gateways end
/// an answer before it has as many bytes.
const NEWEST_ENOUGH: usize = 1_000_000;
const HISTORY_MOST: u64 = 200;
const HISTORY_DEFAULT: u64 = 50;
/// The most messages that are read by their ids at once.
const BY_ID_MOST: usize = 100;

impl Chat {
    /// A page of a place's messages, oldest first. It ends at its limit or at 512 KB, whichever comes first,
    /// and has at least one message if there are any.
    ///
    /// # Errors
    /// `not_a_member` or `not_found` for a caller who is not a member of the room.
    pub async fn history(&self, caller: &Caller, place: Place, query: HistoryQuery) -> Result<HistoryPage> {
        let core = &self.core;
        let Some(room) = core.find_place(caller, None, &place).await? else {
            return Ok(HistoryPage::default());
        };
        let _turn = core.page_turn().await?;
        // Before the messages are read: they may show later changes, and none is missing.
        let change = query.changes.then(|| room.changed());
        let is_lobby = room.kind == room::Kind::Lobby;
        // Memory may not know yet that another process has removed the caller.
        let reader = (!is_lobby).then_some(caller.user);
        let thread = match query.thread {
            Some(_) => core.pointed_at(&room, query.thread, None).await?.thread_seq(),
            None => None,
        };
        let (mut rows, has_more) = core.rows_of(room.id, query, thread, reader).await?;
        if rows.is_empty() && !is_lobby {
            core.check_membership(caller, room.id).await?;
        }
        rows.sort_by_key(|row| row.seq);
        let referenced = if query.changes { core.referenced(&rows).await? } else { Vec::new() };
        let mut page = [Vec::new(), Vec::new()];
        for (models, rows) in page.iter_mut().zip([rows, referenced]) {
            let found = core.to_messages(&room, rows).await?;
            *models = found.into_iter().map(Arc::unwrap_or_clone).collect();
            core.complete_for(caller, models).await?;
        }
        let [messages, referenced] = page;
        Ok(HistoryPage { messages, referenced, has_more, change })
    }

    /// Messages by their ids, in this order, without those that do not exist or that the caller may not read. They end
    /// at 512 KB; the caller asks for the rest again.
    ///
    /// # Errors
    /// `bad_request` for more than 100 ids.
    pub async fn messages(&self, caller: &Caller, ids: Vec<MessageId>) -> Result<Vec<Message>> {
        let core = &self.core;
        if ids.len() > BY_ID_MOST {
            return Err(Error::invalid("messageIds", "must have at most 100 ids"));
        }
        let _turn = core.page_turn().await?;
        let db = core.db.reader();
        let rows =
            message::Entity::find().filter(message::COLUMN.id.is_in(ids.iter().copied())).all(db).await?;
        let rooms: HashSet<RoomId> = rows.iter().map(|row| row.room_id).collect();
        let own = member::of_rooms(rooms).filter(member::COLUMN.user_id.eq(caller.user));
        let own = own.select_only().column(member::Column::RoomId).into_tuple::<RoomId>().all(db).await?;
        let readable: HashSet<RoomId> = own.into_iter().chain([core.rooms.lobby().id]).collect();
        let mut found: HashMap<MessageId, message::Model> =
            rows.into_iter().filter(|row| readable.contains(&row.room_id)).map(|row| (row.id, row)).collect();
        let mut rows: Vec<message::Model> = ids.iter().filter_map(|id| found.remove(id)).collect();
        rows.truncate(page_size::fitting(rows.iter().map(message::Model::bytes)));
        let mut of_rooms: HashMap<RoomId, Vec<message::Model>> = HashMap::new();
        for row in rows {
            of_rooms.entry(row.room_id).or_default().push(row);
        }
        let mut found: HashMap<MessageId, Message> = HashMap::new();
        for room in core.rooms_in_memory(of_rooms.keys().copied().collect()).await? {
            let models = core.to_messages(&room, of_rooms.remove(&room.id).unwrap_or_default()).await?;
            found.extend(models.into_iter().map(|model| (model.row.id, Arc::unwrap_or_clone(model))));
        }
        let mut messages: Vec<Message> = ids.iter().filter_map(|id| found.remove(id)).collect();
        core.complete_for(caller, &mut messages).await?;
        Ok(messages)
    }

    /// A place's newest messages without deleted ones and those of the server, oldest first, for front ends that do not page: 2,000 messages, or fewer if
    /// their contents have more than 1 MB together. Their contents exceed 1 MB by at most one page (512 KB),
    /// so the gateway ends its answer at its own limit. [`Chat::history`] returns older messages.
    pub async fn newest(&self, caller: &Caller, place: Place) -> Result<Vec<Message>> {
        let mut newest_first = Vec::new();
        let mut bytes = 0;
        let mut before = None;
        loop {
            let query = HistoryQuery { before, limit: Some(HISTORY_MOST), ..HistoryQuery::default() };
            let page = self.history(caller, place.clone(), query).await?;
            before = page.messages.first().map(|message| message.row.seq);
            bytes += page.messages.iter().map(|message| message.row.content.len()).sum::<usize>();
            let is_shown = |message: &Message| message.row.deleted_at.is_none() && !message.is_system();
            let shown = page.messages.into_iter().rev().filter(is_shown);
            newest_first.extend(shown);
            if !page.has_more || newest_first.len() >= NEWEST_MOST || bytes >= NEWEST_ENOUGH {
                newest_first.reverse();
                return Ok(newest_first);
            }
        }
    }
}

impl Core {
    /// The rows of a query, and whether there are more in its direction.
    async fn rows_of(
        &self,
        room: RoomId,
        query: HistoryQuery,
        thread: Option<Seq>,
        reader: Option<UserId>,
    ) -> Result<(Vec<message::Model>, bool)> {
        let limit = query.limit.unwrap_or(HISTORY_DEFAULT).clamp(1, HISTORY_MOST);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let range = Range {
            after: query.after.unwrap_or(Seq::ZERO),
            before: query.before.unwrap_or(Seq(i64::MAX)),
            oldest_first: query.after.is_some(),
            pinned: query.pinned,
            thread,
            limit: 0,
        };
        let Some(around) = query.around else { return self.part(room, range, limit, reader).await };
        let upto = Range { before: around.next(), oldest_first: false, ..range };
        let past = Range { after: around, oldest_first: true, ..range };
        // At least one of each; the message itself is in the first part.
        let (older, has_more) = self.part(room, upto, limit.div_ceil(2), reader).await?;
        let (newer, _) = self.part(room, past, (limit / 2).max(1), reader).await?;
        let all = older.len();
        let mut nearest = interleaved(older, newer);
        nearest.truncate(page_size::fitting(nearest.iter().map(message::Model::bytes)).min(limit));
        let has_more = has_more || nearest.iter().filter(|row| row.seq <= around).count() < all;
        Ok((nearest, has_more))
    }

    /// The rows of a range, as many as fit into a page, and whether there are more.
    async fn part(
        &self,
        room: RoomId,
        mut range: Range,
        limit: usize,
        reader: Option<UserId>,
    ) -> Result<(Vec<message::Model>, bool)> {
        let read = read_with_more(limit, message::Model::bytes, |last, rows| {
            match last {
                Some(last) if range.oldest_first => range.after = last.seq,
                Some(last) => range.before = last.seq,
                None => {}
            }
            range.limit = rows as u64;
            history::page(self.db.reader(), room, range, reader)
        })
        .await;
        Ok(read?)
    }

    /// The messages that those of a page point at and that are not on it: those that they answer, and the roots of their
    /// threads; as many as the page has room for.
    async fn referenced(&self, page: &[message::Model]) -> Result<Vec<message::Model>> {
        let there: HashSet<MessageId> = page.iter().map(|row| row.id).collect();
        let wanted: HashSet<MessageId> =
            page.iter().flat_map(pointed_at).filter(|id| !there.contains(id)).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let found = message::Entity::find()
            .filter(message::COLUMN.id.is_in(wanted))
            .order_by_desc(message::COLUMN.seq);
        let mut rows = found.all(self.db.reader()).await?;
        let bytes = page.iter().chain(&rows).map(message::Model::bytes);
        rows.truncate(page_size::fitting(bytes).saturating_sub(page.len()));
        rows.reverse();
        Ok(rows)
    }

    /// Waits for a turn to read a page.
    pub(super) async fn page_turn(&self) -> Result<SemaphorePermit<'_>> {
        // Never closed.
        self.page_turns.0.acquire().await.map_err(Error::internal)
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
        let now = self.clock.now();
        let people = self.senders(room, &rows).await?;
        let model = |row: message::Model| {
            let sender = people.get(&row.sender_id).cloned().unwrap_or_else(Person::nobody);
            self.to_message(room, row, sender, floors, now)
        };
        Ok(rows.into_iter().map(model).collect())
    }

    /// The model of a message row: a tombstone if its time is over at `now`.
    pub(super) fn to_message(
        &self,
        room: &Room,
        row: message::Model,
        sender: Person,
        floors: Floors,
        now: DateTime<Utc>,
    ) -> Arc<Message> {
        let mut message = to_message(room, row, sender, Some(floors));
        expire_model(&mut message, now, &self.settings.messages);
        Arc::new(message)
    }

    /// The senders of these messages: from the room in memory, and from the database for users who have left.
    async fn senders(&self, room: &Room, rows: &[message::Model]) -> Result<HashMap<UserId, Person>> {
        let senders: HashSet<UserId> = rows.iter().map(|row| row.sender_id).collect();
        let mut found = HashMap::with_capacity(senders.len());
        let mut unknown = HashSet::new();
        for sender in senders {
            match room.person(sender) {
                Some(person) => drop(found.insert(sender, person)),
                None => drop(unknown.insert(sender)),
            }
        }
        found.extend(people(self.db.reader(), unknown).await?);
        Ok(found)
    }
}

/// The messages that a message answers, and in whose thread it is.
fn pointed_at(row: &message::Model) -> impl Iterator<Item = MessageId> {
    let extras = row.extras.as_deref().map(read_extras);
    let thread = extras.and_then(|extras| extras.thread).map(|root| root.id);
    [row.reply_to, thread].into_iter().flatten()
}

/// One of the first, one of the second, and so on.
fn interleaved<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let next = [first.next(), second.next()];
        if next.iter().all(Option::is_none) {
            return all;
        }
        all.extend(next.into_iter().flatten());
    }
}
