//! Receipts: moved in memory, saved in batches, and what follows from them: readers are shown, and
//! senders hear that their messages have reached everyone.
//!
//! A crash loses at most one tick of receipts, and the next acknowledgement repairs it. A sender
//! is told only of what is saved, so nothing that was told is ever taken back.

mod postgres;
mod sqlite;

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
    caller::Caller,
    connection::Connection,
    event::Event,
    messages::Place,
    nouns::Message,
    page::{self, PAGE_BYTES},
    roster::{Roster, Telling, Unsaved},
    rows,
};
use crate::{
    db::Steady,
    error::{Denial, Error, Result},
};

/// Rows in one statement, so that its parameters stay within what the databases take.
const ROWS: usize = 1_000;
/// Deliveries that a sender is told of in one go, if their messages fit into a page; the rest follows with the next
/// save. A fraction of what a connection's queue holds.
const TELLINGS: usize = 200;
/// How long a sender who does not read has before the next attempt to tell them.
const LATER: Duration = Duration::from_millis(500);
/// Messages that are looked through in one go for those whose delivery has to be told.
const PAGE: u64 = 500;

/// Rooms whose receipts have moved, and users who have gone offline, since the last save.
pub(super) struct Receipts {
    touched: Mutex<BTreeMap<RoomId, Arc<Roster>>>,
    /// Rooms with a sender who has to be told of deliveries and does not read at the moment.
    late: Mutex<BTreeMap<RoomId, Arc<Roster>>>,
    seen: Mutex<HashMap<UserId, DateTime<Utc>>>,
    work: Notify,
    /// One save at a time: the last one of all must not overtake the one before.
    saving: tokio::sync::Mutex<()>,
}

impl Receipts {
    pub fn new() -> Self {
        Self {
            touched: Mutex::default(),
            late: Mutex::default(),
            seen: Mutex::default(),
            work: Notify::new(),
            saving: tokio::sync::Mutex::default(),
        }
    }

    /// Something of this room is to be saved or told; keeps it in memory until that is done.
    pub fn touch(&self, roster: &Arc<Roster>) {
        self.touched.lock().entry(roster.id).or_insert_with(|| roster.clone());
        self.work.notify_one();
    }

    /// Touches a room after [`LATER`]. One task does it for all rooms that wait.
    fn touch_later(&self, core: &Arc<Core>, roster: &Arc<Roster>) {
        let is_first = {
            let mut late = self.late.lock();
            late.insert(roster.id, roster.clone());
            late.len() == 1
        };
        if !is_first {
            return;
        }
        let (core, begun) = (core.clone(), core.shutdown.clone());
        begun.clone().spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(LATER) => {}
                () = begun.begun() => {}
            }
            let late = std::mem::take(&mut *core.receipts.late.lock());
            for roster in late.values() {
                core.receipts.touch(roster);
            }
        });
    }

    /// A user was last seen then.
    pub fn saw(&self, user: UserId, at: DateTime<Utc>) {
        self.seen.lock().insert(user, at);
        self.work.notify_one();
    }

    /// When a user was last seen, where the database does not know it yet.
    pub fn last_seen(&self, user: UserId) -> Option<DateTime<Utc>> {
        self.seen.lock().get(&user).copied()
    }
}

impl Chat {
    /// The client of a connection has acknowledged these messages.
    pub fn acknowledge(&self, connection: &Arc<Connection>, messages: &[(RoomId, Seq)]) {
        for messages in messages.chunk_by(|(one, _), (other, _)| one == other) {
            let room = messages.first().and_then(|(room, _)| self.core.rosters.resident(*room));
            let Some(roster) = room else { continue };
            if roster.acknowledge(connection.id, messages.iter().map(|(_, seq)| *seq)) {
                self.core.receipts.touch(&roster);
            }
        }
        connection.acknowledged.notify_waiters();
    }

    /// Everything of these rooms up to these seqs has arrived. Answers how the receipts stand then.
    ///
    /// # Errors
    /// `not_a_member`; the rooms named before it have moved all the same, receipts only ever do.
    pub async fn delivered(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        rooms: Vec<(RoomId, Seq)>,
    ) -> Result<Vec<(RoomId, Seq)>> {
        let mut stand = Vec::with_capacity(rooms.len());
        for (room, seq) in rooms {
            let roster = self.core.room_of(caller, room).await?;
            let now = self.core.deliver(&roster, caller.user, connection, seq);
            stand.push((room, now.ok_or(Error::Forbidden(Denial::NotAMember))?));
        }
        if let Some(connection) = connection {
            connection.acknowledged.notify_waiters();
        }
        Ok(stand)
    }

    /// The caller has read up to `seq`. Answers how the receipt stands then; in the lobby, which
    /// keeps none, and with somebody one never wrote with, that is zero.
    pub async fn mark_read(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        seq: Seq,
    ) -> Result<Seq> {
        let Some(roster) = self.core.find_place(caller, connection, &place).await? else {
            return Ok(Seq::ZERO);
        };
        if roster.id == self.core.lobby.id {
            return Ok(Seq::ZERO);
        }
        let (seq, moved) = roster.read_up_to(caller.user, seq).ok_or(Error::Forbidden(Denial::NotAMember))?;
        if moved {
            self.core.receipts.touch(&roster);
        }
        Ok(seq)
    }
}

impl Core {
    pub(super) fn deliver(
        &self,
        roster: &Arc<Roster>,
        user: UserId,
        connection: Option<&Arc<Connection>>,
        seq: Seq,
    ) -> Option<Seq> {
        let (seq, moved) = roster.deliver_up_to(user, connection.map(|connection| connection.id), seq)?;
        if moved {
            self.receipts.touch(roster);
        }
        Some(seq)
    }
}

/// Saves what has gathered, a tick after the first of it.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.receipts.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        tokio::time::sleep(core.settings.receipts_tick).await;
        if let Err(err) = flush(&core).await {
            tracing::warn!(error = ?err, "could not save receipts; they stay in memory");
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => core.receipts.work.notify_one(),
                () = core.shutdown.begun() => return,
            }
        }
    }
}

/// Saves all receipts that have moved, then says what follows from them.
pub(super) async fn flush(core: &Arc<Core>) -> Result<()> {
    let _saving = core.receipts.saving.lock().await;
    let touched = std::mem::take(&mut *core.receipts.touched.lock());
    // They stay where they are asked for until they are saved.
    let seen = core.receipts.seen.lock().clone();
    let moved: Vec<(Arc<Roster>, Vec<Unsaved>)> =
        touched.into_values().map(|roster| (roster.clone(), roster.unsaved())).collect();
    if let Err(err) = save(core, &moved, &seen).await {
        for (roster, _) in &moved {
            core.receipts.touch(roster);
        }
        return Err(err);
    }
    core.receipts.seen.lock().retain(|user, at| seen.get(user) != Some(at));
    for (roster, receipts) in &moved {
        roster.saved(receipts);
        show_readers(roster, receipts);
    }
    let mut failed = None;
    for (roster, _) in &moved {
        // One room's trouble is not another's.
        if let Err(err) = tell_senders(core, roster).await {
            core.receipts.touch(roster);
            failed = Some(err);
        }
        roster.forget_told();
    }
    failed.map_or(Ok(()), Err)
}

/// Tells the others of a room who has read how far.
fn show_readers(roster: &Roster, receipts: &[Unsaved]) {
    for receipt in receipts.iter().filter(|receipt| receipt.read_moved) {
        let read = Event::Read {
            room: roster.id,
            receiver: roster.receiver_from(receipt.user),
            username: receipt.username.clone(),
            seq: receipt.marks.read,
        };
        roster.tell(read, Some(receipt.user));
    }
}

/// Tells the senders of a room which of their messages have reached everyone, as far as the newest ones go
/// that memory has, and further back a page at a time.
async fn tell_senders(core: &Arc<Core>, roster: &Arc<Roster>) -> Result<()> {
    let mut older = Vec::new();
    for telling in roster.tellings() {
        if core.hub.is_behind(telling.sender, PAGE_BYTES) {
            core.receipts.touch_later(core, roster);
            continue;
        }
        match roster.recent(telling.after) {
            Some(recent) => drop(tell(core, roster, telling, recent)),
            None => older.push(telling),
        }
    }
    let Some(first) = older.iter().map(|telling| telling.after).min() else { return Ok(()) };
    // One page serves all who wait for it. Where nearly all are of others, an index would find the rest of them
    // sooner, and every message that is stored would pay for it.
    let select = message::after(roster.id, first, PAGE);
    let mut rows = rows::read(core.db.reader(), roster.id, select).await?;
    let end = rows.last().filter(|_| rows.len() as u64 == PAGE).map_or(Seq(i64::MAX), |last| last.seq);
    let senders: HashSet<UserId> = older.iter().map(|telling| telling.sender).collect();
    rows.retain(|row| senders.contains(&row.sender_id));
    let page = core.nouns(roster, rows).await?;
    let mut goes_on = false;
    for telling in older.into_iter().filter(|telling| telling.after < end) {
        let upto = telling.upto.min(end);
        let since = page.iter().filter(|message| message.row.seq > telling.after).cloned().collect();
        goes_on |= tell(core, roster, Telling { upto, ..telling }, since);
    }
    if goes_on {
        // The next page follows with the next save.
        core.receipts.touch(roster);
    }
    Ok(())
}

/// Tells a sender that their messages among these, all that follow what they were told before, have reached
/// everyone; as many as fit at a time. Returns whether they know more now, be it that there was nothing to hear.
fn tell(core: &Core, roster: &Arc<Roster>, telling: Telling, mut messages: Vec<Arc<Message>>) -> bool {
    messages.retain(|message| message.row.sender_id == telling.sender && message.row.seq <= telling.upto);
    if messages.is_empty() {
        roster.told_nothing(telling);
        return true;
    }
    let fitting = page::fitting(messages.iter().map(|message| message.row.content.as_str())).min(TELLINGS);
    let upto = if fitting < messages.len() {
        messages.truncate(fitting);
        messages.last().map_or(telling.after, |last| last.row.seq)
    } else {
        telling.upto
    };
    let floors = roster.floors();
    let mut heard = false;
    for message in messages {
        let read_by_all = floors.read.of(telling.sender) >= message.row.seq;
        let delivered = Message { delivered_to_all: true, read_by_all, ..(*message).clone() };
        heard |= core.hub.tell_user(telling.sender, Event::DeliveredToAll(Arc::new(delivered)));
    }
    // Who has left meanwhile is told on coming back.
    if heard {
        roster.told(Telling { upto, ..telling });
        core.receipts.touch(roster);
    }
    heard
}

async fn save(
    core: &Core,
    moved: &[(Arc<Roster>, Vec<Unsaved>)],
    seen: &HashMap<UserId, DateTime<Utc>>,
) -> Result<()> {
    let mut receipts: Vec<Row> = moved
        .iter()
        .flat_map(|(roster, receipts)| {
            receipts.iter().map(|receipt| {
                let marks = receipt.marks;
                (roster.id.0, receipt.user.0, marks.delivered.0, marks.read.0, marks.told.0)
            })
        })
        .collect();
    // Whoever locks several rows does it in this order, so that nobody waits for each other.
    receipts.sort_unstable();
    let mut seen: Vec<Seen> = seen.iter().map(|(user, at)| (user.0, *at)).collect();
    if receipts.is_empty() && seen.is_empty() {
        return Ok(());
    }
    seen.sort_unstable();
    match core.db.steady() {
        Steady::Sqlite(turns) => sqlite::save(turns, &receipts, &seen).await,
        Steady::Postgres(db) => postgres::save(db, &receipts, &seen).await,
    }
}

/// A member's receipts: room, user, delivered, read, told.
type Row = (uuid::Uuid, uuid::Uuid, i64, i64, i64);

/// When a user was last seen.
type Seen = (uuid::Uuid, DateTime<Utc>);
