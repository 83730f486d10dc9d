//! Receipts: moved in memory and saved in batches. After each save, the other members are notified of who has
//! read, and senders are notified that their messages were delivered to everyone.
//!
//! A crash loses at most one tick of receipts, and the next acknowledgement repairs it. A sender is notified
//! only of saved receipts, so no notification is ever taken back.

mod sql;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq, UserId, message};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Chat, Core,
    connections::{ConnectionId, connection::Connection, publish::Audience},
    event::Event,
    messages::Place,
    model::Message,
    page_size::{self, PAGE_BYTES},
    retry,
    room::{DeliveryNotice, HasRead, Reader, Room, Unsaved},
    sql::history,
};
use crate::{
    db::HotPath,
    error::{Error, Forbidden, Result},
    identity::Caller,
};

/// The most deliveries that a sender is notified of at once, if their messages fit into a page. The rest
/// follows with the next save. This is a fraction of what a connection's queue holds.
const NOTICES: usize = 200;
/// The time until the next attempt to notify a sender whose client does not read.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The most messages that are read at once to find those whose sender has to be notified.
const PAGE: u64 = 500;

/// Rooms whose receipts have moved, and users who have gone offline, since the last save.
pub(super) struct ReceiptSaver {
    touched: Mutex<BTreeMap<RoomId, Arc<Room>>>,
    /// Rooms with a sender who has to be notified and whose client does not read at the moment.
    late: Mutex<BTreeMap<RoomId, Arc<Room>>>,
    seen: Mutex<HashMap<UserId, DateTime<Utc>>>,
    work: Notify,
    /// One save at a time: the last save at shutdown must not overtake the one before.
    saving: tokio::sync::Mutex<()>,
}

impl ReceiptSaver {
    pub fn new() -> Self {
        Self {
            touched: Mutex::default(),
            late: Mutex::default(),
            seen: Mutex::default(),
            work: Notify::new(),
            saving: tokio::sync::Mutex::default(),
        }
    }

    /// Notes that this room has receipts to save or senders to notify. Keeps it in memory until that is done.
    pub fn touch(&self, room: &Arc<Room>) {
        self.touched.lock().entry(room.id).or_insert_with(|| room.clone());
        self.work.notify_one();
    }

    /// Touches a room after [`RETRY_AFTER`]. One task does this for all rooms that wait.
    fn touch_later(&self, core: &Arc<Core>, room: &Arc<Room>) {
        let is_first = {
            let mut late = self.late.lock();
            let is_first = late.is_empty();
            late.insert(room.id, room.clone());
            is_first
        };
        if !is_first {
            return;
        }
        let (core, begun) = (core.clone(), core.shutdown.clone());
        begun.clone().spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(RETRY_AFTER) => {}
                () = begun.begun() => {}
            }
            let late = std::mem::take(&mut *core.receipts.late.lock());
            for room in late.values() {
                core.receipts.touch(room);
            }
        });
    }

    /// Notes when a user was last seen.
    pub fn saw(&self, user: UserId, at: DateTime<Utc>) {
        self.seen.lock().insert(user, at);
        self.work.notify_one();
    }

    /// When a user was last seen, if this is not saved yet.
    pub fn last_seen(&self, user: UserId) -> Option<DateTime<Utc>> {
        self.seen.lock().get(&user).copied()
    }
}

impl Chat {
    /// Notes that the client of a connection has acknowledged these messages.
    pub fn acknowledge(&self, connection: &Arc<Connection>, messages: &[(RoomId, Seq)]) {
        for messages in messages.chunk_by(|(one, _), (other, _)| one == other) {
            let room = messages.first().and_then(|(room, _)| self.core.rooms.resident(*room));
            let Some(live) = room else { continue };
            if live.acknowledge(connection.id, messages.iter().map(|(_, seq)| *seq)) {
                self.core.receipts.touch(&live);
            }
        }
        connection.acknowledged.notify_waiters();
    }

    /// Notes that the caller has received everything of these rooms up to these seqs. Returns the receipts
    /// after that.
    ///
    /// # Errors
    /// `not_a_member`. The receipts of the rooms before it in the list have moved all the same, because
    /// receipts only move forward.
    pub async fn delivered(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        rooms: Vec<(RoomId, Seq)>,
    ) -> Result<Vec<(RoomId, Seq)>> {
        let mut named = Vec::with_capacity(rooms.len());
        let mut refused = None;
        for (room, seq) in rooms {
            match self.core.room_of(caller, room).await {
                Ok(live) => named.push((live, seq)),
                Err(err) => {
                    refused = Some(err);
                    break;
                }
            }
        }
        self.core.know_up_to(named.iter().map(|(live, seq)| (live, *seq))).await?;
        let mut stand = Vec::with_capacity(named.len());
        for (live, seq) in named {
            let now = self.core.deliver(&live, caller.user, connection, seq);
            stand.push((live.id, now.ok_or(Error::Forbidden(Forbidden::NotAMember))?));
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if let Some(connection) = connection {
            connection.acknowledged.notify_waiters();
        }
        Ok(stand)
    }

    /// Notes that the caller has read up to `seq`. Returns the receipt after that. It is zero in the lobby,
    /// which keeps no receipts, and for a user that the caller has no direct room with.
    pub async fn mark_read(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        seq: Seq,
    ) -> Result<Seq> {
        let Some(room) = self.core.find_place(caller, connection, &place).await? else {
            return Ok(Seq::ZERO);
        };
        if room.id == self.core.rooms.lobby().id {
            return Ok(Seq::ZERO);
        }
        self.core.know_up_to([(&room, seq)]).await?;
        let by = connection.map(|connection| connection.id);
        let read = room
            .read_up_to(caller.user, by, seq, self.core.clock.now())
            .ok_or(Error::Forbidden(Forbidden::NotAMember))?;
        self.core.has_read(&room, caller.user, by, &read);
        Ok(read.upto)
    }
}

impl Core {
    /// Notes what a user has read: the receipt is saved, and the user's other connections are told.
    pub(super) fn has_read(&self, room: &Arc<Room>, user: UserId, by: Option<ConnectionId>, read: &HasRead) {
        if read.has_moved {
            self.receipts.touch(room);
        } else if read.has_cleared {
            self.views.has_cleared(room, user, by);
        }
    }

    pub(super) fn deliver(
        &self,
        room: &Arc<Room>,
        user: UserId,
        connection: Option<&Arc<Connection>>,
        seq: Seq,
    ) -> Option<Seq> {
        let moved = room.deliver_up_to(user, connection.map(|connection| connection.id), seq)?;
        if moved.has_moved {
            self.receipts.touch(room);
        }
        Some(moved.upto)
    }
}

/// Saves the receipts that have gathered, one tick after the first of them.
pub(super) async fn run(core: Arc<Core>) {
    let tick = core.settings.writer.receipts_tick;
    let failed = "could not save receipts; they stay in memory";
    retry::rounds(&core.shutdown, &core.receipts.work, tick, || flush(&core), failed).await;
}

/// Saves all receipts that have moved. Then notifies the other connections of reads, and senders of deliveries.
pub(super) async fn flush(core: &Arc<Core>) -> Result<()> {
    let _saving = core.receipts.saving.lock().await;
    let touched = std::mem::take(&mut *core.receipts.touched.lock());
    // They stay in memory, where they are looked up, until they are saved.
    let seen = core.receipts.seen.lock().clone();
    let moved: Vec<(Arc<Room>, Vec<Unsaved>)> =
        touched.into_values().map(|room| (room.clone(), room.unsaved())).collect();
    if let Err(err) = save(core, &moved, &seen).await {
        for (room, _) in &moved {
            core.receipts.touch(room);
        }
        return Err(err);
    }
    core.receipts.seen.lock().retain(|user, at| seen.get(user) != Some(at));
    for (room, receipts) in &moved {
        let readers = room.saved(receipts);
        show_readers(core, room, readers);
        let mut moved = receipts.iter().filter(|receipt| receipt.has_moved).peekable();
        if moved.peek().is_some() {
            core.cluster.receipts_moved(room.id, moved.map(|receipt| (receipt.user, receipt.marks)));
        }
    }
    let mut failed = None;
    for (room, _) in &moved {
        // An error in one room does not stop the others.
        if let Err(err) = notify_senders(core, room).await {
            core.receipts.touch(room);
            failed = Some(err);
        }
        room.forget_notified();
    }
    failed.map_or(Ok(()), Err)
}

/// Notifies the other members of a room who has read up to where, and the user's own other connections.
pub(super) fn show_readers(core: &Core, live: &Arc<Room>, readers: Vec<Reader>) {
    for Reader { user, username, seq, by, has_cleared } in readers {
        // Most users have one connection: there is nobody to tell.
        if has_cleared || core.hub.has_follower(user, by) {
            core.views.has_read(live, user, (seq, by), has_cleared);
        }
        let read = Event::Read { room: live.id, receiver: live.receiver_from(user), username, seq };
        core.hub.publish(read, Audience::OtherConnections(live, by));
    }
}

/// Notifies the senders of a room which of their messages were delivered to everyone. Uses the recent
/// messages in memory, and reads older ones from the database, one page at a time.
async fn notify_senders(core: &Arc<Core>, room: &Arc<Room>) -> Result<()> {
    let mut older = Vec::new();
    for notice in room.delivery_notices() {
        if core.hub.is_behind(notice.sender, PAGE_BYTES) {
            core.receipts.touch_later(core, room);
            continue;
        }
        match room.recent(notice.after) {
            Some(recent) => drop(notify(core, room, notice, recent)),
            None => older.push(notice),
        }
    }
    let Some(first) = older.iter().map(|notice| notice.after).min() else { return Ok(()) };
    // One page serves all senders that need it. If nearly all messages are of other senders, an index would
    // find the rest sooner, but every stored message would pay for it.
    let select = message::after(room.id, first, PAGE);
    let mut rows = history::read(core.db.reader(), room.id, select).await?;
    let end = rows.last().filter(|_| rows.len() as u64 == PAGE).map_or(Seq(i64::MAX), |last| last.seq);
    let senders: HashSet<UserId> = older.iter().map(|notice| notice.sender).collect();
    rows.retain(|row| senders.contains(&row.sender_id));
    let page = core.to_messages(room, rows).await?;
    let mut goes_on = false;
    for notice in older.into_iter().filter(|notice| notice.after < end) {
        let upto = notice.upto.min(end);
        let since = page.iter().filter(|message| message.row.seq > notice.after).cloned().collect();
        goes_on |= notify(core, room, DeliveryNotice { upto, ..notice }, since);
    }
    if goes_on {
        // The next page follows with the next save.
        core.receipts.touch(room);
    }
    Ok(())
}

/// Notifies a sender that their messages among these were delivered to everyone, as many as fit at once.
/// `messages` has all messages after the last notification. Returns whether the sender's `notified` mark moved,
/// also if there was nothing to notify of.
fn notify(core: &Core, room: &Arc<Room>, notice: DeliveryNotice, mut messages: Vec<Arc<Message>>) -> bool {
    messages.retain(|message| message.row.sender_id == notice.sender && message.row.seq <= notice.upto);
    if messages.is_empty() {
        room.nothing_to_notify(notice);
        return true;
    }
    let fitting = page_size::fitting(messages.iter().map(|message| message.bytes())).min(NOTICES);
    let upto = if fitting < messages.len() {
        messages.truncate(fitting);
        messages.last().map_or(notice.after, |last| last.row.seq)
    } else {
        notice.upto
    };
    let floors = room.floors();
    let mut has_received = false;
    for message in messages {
        let read_by_all = floors.read.of(notice.sender) >= message.row.seq;
        let delivered = Message { delivered_to_all: true, read_by_all, ..(*message).clone() };
        let event = Event::DeliveredToAll(Arc::new(delivered));
        has_received |= core.hub.publish(event, Audience::User(notice.sender));
    }
    // A sender who has disconnected meanwhile is notified after reconnecting.
    if has_received {
        room.notified(DeliveryNotice { upto, ..notice });
        core.receipts.touch(room);
    }
    has_received
}

async fn save(
    core: &Core,
    moved: &[(Arc<Room>, Vec<Unsaved>)],
    seen: &HashMap<UserId, DateTime<Utc>>,
) -> Result<()> {
    let mut receipts: Vec<Row> = moved
        .iter()
        .flat_map(|(room, receipts)| {
            receipts.iter().map(|receipt| {
                let marks = receipt.marks;
                (room.id.0, receipt.user.0, marks.delivered.0, marks.read.0, marks.notified.0, marks.read_at)
            })
        })
        .collect();
    // All code that locks several rows locks them in this order, so that no two wait for each other.
    receipts.sort_unstable();
    let mut seen: Vec<Seen> = seen.iter().map(|(user, at)| (user.0, *at)).collect();
    if receipts.is_empty() && seen.is_empty() {
        return Ok(());
    }
    seen.sort_unstable();
    match core.db.hot_path() {
        HotPath::Sqlite(sqlite) => sql::sqlite::save(sqlite, &receipts, &seen).await,
        HotPath::Postgres(db) => sql::postgres::save(db, &receipts, &seen).await,
    }
}

/// A member's receipts: room, user, delivered, read, notified, and when `read` moved.
type Row = (uuid::Uuid, uuid::Uuid, i64, i64, i64, i64);

/// When a user was last seen.
type Seen = (uuid::Uuid, DateTime<Utc>);
