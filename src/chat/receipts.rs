//! Receipts: moved in memory, saved in batches, and what follows from them: readers are shown, and
//! senders hear that their messages have reached everyone.
//!
//! A crash loses at most one tick of receipts, and the next acknowledgement repairs it. A sender
//! is told only of what is saved, so nothing that was told is ever taken back.

mod postgres;
mod sqlite;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq, UserId, message};
use parking_lot::Mutex;
use sea_orm::QuerySelect;
use tokio::sync::Notify;

use super::{
    Chat, Core,
    caller::Caller,
    connection::Connection,
    event::Event,
    messages::Place,
    nouns::Message,
    roster::{Roster, Telling, Unsaved},
};
use crate::error::{Denial, Error, Result};

/// Rows in one statement, so that its parameters stay within what the databases take.
const ROWS: usize = 1_000;
/// Deliveries that a sender is told of in one go; the rest follows with the next save. A fraction of
/// what a connection's queue holds.
const TELLINGS: usize = 200;

/// Rooms whose receipts have moved, and users who have gone offline, since the last save.
pub(super) struct Receipts {
    touched: Mutex<BTreeMap<RoomId, Arc<Roster>>>,
    seen: Mutex<HashMap<UserId, DateTime<Utc>>>,
    work: Notify,
    /// One save at a time: the last one of all must not overtake the one before.
    saving: tokio::sync::Mutex<()>,
}

impl Receipts {
    pub fn new() -> Self {
        Self {
            touched: Mutex::default(),
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
            let roster = self.core.roster(room).await?;
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
        for telling in roster.tellings() {
            // One room's trouble is not another's.
            if let Err(err) = tell(core, roster, telling).await {
                core.receipts.touch(roster);
                failed = Some(err);
            }
        }
        roster.forget_delivered();
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

/// Tells a sender which of their messages have reached everyone, as many as fit at a time.
async fn tell(core: &Arc<Core>, roster: &Arc<Roster>, telling: Telling) -> Result<()> {
    let mut messages = own_messages(core, roster, telling).await?;
    if messages.is_empty() {
        roster.told_nothing(telling);
        return Ok(());
    }
    let upto = match messages.get(TELLINGS) {
        None => telling.upto,
        Some(_) => {
            messages.truncate(TELLINGS);
            messages.last().map_or(telling.after, |last| last.row.seq)
        }
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
    Ok(())
}

/// The sender's messages that the telling is about; one more than is told in one go, if there are.
async fn own_messages(core: &Core, roster: &Roster, telling: Telling) -> Result<Vec<Arc<Message>>> {
    if let Some(mut recent) = roster.recent(telling.after) {
        recent.retain(|message| message.row.sender_id == telling.sender && message.row.seq <= telling.upto);
        return Ok(recent);
    }
    let rows = message::sent_by(telling.sender, roster.id, telling.after, telling.upto)
        .limit(TELLINGS as u64 + 1)
        .all(core.db.reader())
        .await?;
    core.nouns(roster, rows).await
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
    if core.db.is_sqlite() {
        sqlite::save(&core.db, &receipts, &seen).await
    } else {
        postgres::save(&core.db, &receipts, &seen).await
    }
}

/// A member's receipts: room, user, delivered, read, told.
type Row = (uuid::Uuid, uuid::Uuid, i64, i64, i64);

/// When a user was last seen.
type Seen = (uuid::Uuid, DateTime<Utc>);
