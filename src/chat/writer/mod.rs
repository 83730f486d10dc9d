//! Group commit: where messages get their seq. Only messages of the server get theirs elsewhere, in the transaction of the
//! change that they tell of (`room::membership::system_messages`); both hold the lock of the room's row.
//!
//! A commit takes the messages that have gathered ([`scheduler`]) and stores them. Then it publishes each
//! message in the order of seq and answers its sender. Until that is done, no other commit contains messages
//! of the same rooms. No timer makes a batch: while one is stored, the next gathers. A full queue refuses
//! messages.
//!
//! The common case is a single request to the database ([`fast_path`]). All other cases are a transaction
//! that reads before it writes ([`transaction`]). It also stores the messages to which rows of other tables belong
//! ([`rows_beside`]).
//!
//! Changes of stored messages ([`changes`]) wait in the same queue, so a room's messages and changes are published in
//! one order.
//!
//! Messages are stored on three paths: a fast one for each database, and the transaction. Without the fast path, a commit on
//! PostgreSQL takes seven round trips instead of one (60 µs a message instead of 38), and a commit on SQLite
//! takes six hand-overs to its thread (0.45 ms to an answer instead of 0.35; docs/performance.md). The fast paths
//! cannot share one text: only PostgreSQL can insert and update in one statement. The transaction has to stay:
//! only it finds out which draft is to be refused, and why.

mod changes;
mod fast_path;
mod longest_wait;
mod request;
mod rows_beside;
mod scheduler;
mod sql;
mod transaction;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, RoomId, Seq, UserId, message, room};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use tokio::sync::oneshot;

pub(super) use self::{
    changes::{QueuedChange, Wanted},
    scheduler::{Queued, Writer, start},
};
use super::{
    Core,
    event::Origin,
    extras::DraftExtras,
    retry,
    room::{Fresh, Heads, Reply, Room, registry::StoredMembership, to_message},
};
use crate::{
    error::{Error, Result, Unavailable},
    identity::Person,
    metrics,
    values::{Body, ClientMessageId},
};

/// A message that waits to be stored. It holds the room, so the room stays in memory until then.
pub(super) struct QueuedDraft {
    pub room: Arc<Room>,
    /// The version of the room's membership when the sender was found to be a member.
    pub roster_version: i64,
    pub sender: UserId,
    /// The sender's name.
    pub person: Person,
    pub body: Body,
    pub client_message_id: Option<ClientMessageId>,
    pub reply_to: Option<MessageId>,
    /// `None` for a message that is sent with nothing else.
    pub extras: Option<Box<DraftExtras>>,
    /// The connection that it came from. It receives its own message before the answer.
    pub origin: Option<Origin>,
    pub reply: Reply,
}

impl QueuedDraft {
    /// About what it takes while it waits.
    fn bytes(&self) -> usize {
        /// Its ids, names and answer.
        const BESIDES: usize = 500;
        BESIDES + self.body.json().len() + self.extras.as_ref().map_or(0, |extras| extras.bytes())
    }

    fn row(&self, id: MessageId, seq: Seq, now: DateTime<Utc>) -> message::Model {
        message::Model {
            room_id: self.room.id,
            seq,
            id,
            sender_id: self.sender,
            kind: self.body.kind,
            content: self.body.json().to_owned(),
            client_message_id: self.client_message_id.as_ref().map(|id| id.as_str().to_owned()),
            reply_to: self.reply_to,
            created_at: now,
            edited_at: None,
            deleted_at: None,
            change: ChangeNumber::ZERO,
            marks: None,
            extras: self.extras_json(now),
        }
    }

    /// What is stored of the extras of a message that is stored now.
    fn extras_json(&self, now: DateTime<Utc>) -> Option<String> {
        self.extras.as_ref()?.at(now).json()
    }
}

/// The result of one draft.
enum Outcome {
    Stored(message::Model),
    /// A message with the same client message id was stored before.
    Repeat(message::Model),
    Refused(Error),
}

/// Rooms that another process has changed, with their membership, or `None` for deleted rooms.
type Stale = HashMap<RoomId, Option<StoredMembership>>;

/// The result of one commit.
struct Outcomes {
    /// In the order of the drafts.
    of_drafts: Vec<Outcome>,
    stale: Stale,
}

/// Drops `storing` as soon as only publishing is left. Returns how many subscribers were written to.
async fn store(core: &Arc<Core>, drafts: Vec<QueuedDraft>, storing: oneshot::Sender<()>) -> usize {
    let changed = changes_before(core, &drafts);
    match commit(core, &drafts).await {
        Ok(outcomes) => {
            fill_gaps(core, &drafts, &outcomes).await;
            drop(storing);
            follow(core, drafts.iter().map(|draft| &draft.room), outcomes.stale);
            settle(core, drafts, outcomes.of_drafts, &changed)
        }
        Err(err) if drafts.len() == 1 || matches!(err, Error::Unavailable(_)) => {
            refuse_all(core, err, drafts.into_iter().map(|draft| (draft.room, draft.reply)));
            0
        }
        // One bad draft must not make the others of its batch fail.
        Err(_) => {
            let mut reached = 0;
            for draft in drafts {
                reached += Box::pin(store(core, vec![draft], oneshot::channel().0)).await;
            }
            reached
        }
    }
}

/// The error of a commit whose answer was lost. Nobody knows whether the commit happened, whatever the database's error
/// is: it must not be tried again before the rows are looked at.
fn answer_lost(err: DbErr) -> Error {
    tracing::warn!(error = %err, "the answer of a commit was lost");
    Error::Unavailable(Unavailable::Database)
}

/// Answers everything of a commit that failed: a single request with its error, several with `unavailable`. The commit
/// may have happened, and only its answer was lost, so the rooms are looked at again.
fn refuse_all(core: &Arc<Core>, err: Error, requests: impl Iterator<Item = (Arc<Room>, Reply)>) {
    let mut own = (!matches!(err, Error::Unavailable(_))).then_some(err);
    let mut rooms: BTreeMap<RoomId, Arc<Room>> = BTreeMap::new();
    for (room, reply) in requests {
        rooms.insert(room.id, room);
        reply(Err(own.take().unwrap_or(Error::Unavailable(Unavailable::Database))));
    }
    core.shutdown.spawn(look_again(core.clone(), rooms));
}

/// Brings rooms that another process has changed up to date before anything is published in them: a member
/// who was removed there must not receive the messages that were just stored.
fn follow<'a>(core: &Arc<Core>, rooms: impl Iterator<Item = &'a Arc<Room>> + Clone, stale: Stale) {
    for (room, stored) in stale {
        let Some(live) = rooms.clone().find(|live| live.id == room) else { continue };
        match stored {
            Some(stored) => core.take_over(live, stored),
            // Nothing was stored there.
            None => core.reread_soon(room),
        }
    }
}

/// Delivers what other nodes have stored before these messages. Otherwise every connection would miss it, and catch up.
/// Before the next commit in these rooms, so that messages are still published in their order. Where another process has
/// changed the membership, the connections do catch up, once memory has followed.
async fn fill_gaps(core: &Arc<Core>, drafts: &[QueuedDraft], outcomes: &Outcomes) {
    if !core.cluster.is_shared() {
        return;
    }
    let mut firsts: BTreeMap<RoomId, (&Arc<Room>, Seq)> = BTreeMap::new();
    for (draft, outcome) in drafts.iter().zip(&outcomes.of_drafts) {
        if let Outcome::Stored(row) = outcome
            && !outcomes.stale.contains_key(&row.room_id)
        {
            let (_, first) = firsts.entry(row.room_id).or_insert((&draft.room, row.seq));
            *first = row.seq.min(*first);
        }
    }
    for (room, first) in firsts.into_values() {
        core.follow_up_to(room, first).await;
    }
}

/// The newest change of each room that is known before the commit, if other nodes are to be told what it stores.
fn changes_before(core: &Core, drafts: &[QueuedDraft]) -> BTreeMap<RoomId, ChangeNumber> {
    let shared = drafts.iter().filter(|_| core.cluster.is_shared());
    shared.map(|draft| (draft.room.id, draft.room.changed())).collect()
}

/// Publishes what was stored, room by room and in the order of seq, and answers the senders. Returns how many
/// subscribers were written to.
fn settle(
    core: &Arc<Core>,
    drafts: Vec<QueuedDraft>,
    outcomes: Vec<Outcome>,
    changed: &BTreeMap<RoomId, ChangeNumber>,
) -> usize {
    let mut reached = 0;
    let mut stored: BTreeMap<RoomId, (Arc<Room>, Vec<Fresh>)> = BTreeMap::new();
    let mut repeats = Vec::new();
    for (draft, outcome) in drafts.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Stored(row) => {
                let QueuedDraft { room, person, origin, reply, .. } = draft;
                let message = Arc::new(to_message(&room, row, person, None));
                let (_, fresh) = stored.entry(room.id).or_insert_with(|| (room, Vec::new()));
                fresh.push(Fresh { message, origin, reply });
            }
            Outcome::Repeat(row) => repeats.push((draft, row)),
            Outcome::Refused(err) => (draft.reply)(Err(err)),
        }
    }
    for (room, fresh) in stored.into_values() {
        metrics::MESSAGES_STORED.add(fresh.len() as u64);
        match changed.get(&room.id) {
            Some(changed) => core.cluster.stored(&room, &fresh, *changed),
            None => core.cluster.stored_in(room.id),
        }
        let published = room.publish(fresh);
        reached += published.reached;
        for connection in published.behind {
            core.bring_up(&connection, &room);
        }
    }
    // Last, because this same commit may have stored the first message.
    for (draft, row) in repeats {
        let QueuedDraft { room, person, origin, reply, .. } = draft;
        // If the answer of the first message's commit was lost, no subscriber has received it yet.
        core.note_stored_up_to(&room, Heads { seq: row.seq, ..Heads::default() });
        let floors = room.floors();
        let message = Arc::new(to_message(&room, row, person, Some(floors)));
        room.answer_repeat(message, origin.map(|origin| origin.connection), reply);
    }
    reached
}

/// Stores all drafts, or none.
async fn commit(core: &Core, drafts: &[QueuedDraft]) -> Result<Outcomes> {
    let begun = Instant::now();
    // A database that no longer answers must not block these rooms for ever.
    let committed = tokio::time::timeout(core.db.patience(), commit_now(core, drafts)).await;
    metrics::COMMIT_TIME.record_time(begun.elapsed());
    committed.unwrap_or(Err(Error::Unavailable(Unavailable::Database)))
}

async fn commit_now(core: &Core, drafts: &[QueuedDraft]) -> Result<Outcomes> {
    let committed = fast_path::commit(core, drafts).await?;
    let path = if committed.is_some() { "fast" } else { "transaction" };
    metrics::COMMITS.one(path);
    match committed {
        Some(outcomes) => Ok(outcomes),
        // Boxed, because nearly all commits are fast: the future of each would reserve space for this.
        None => Box::pin(transaction::commit(core, drafts)).await,
    }
}

/// After a commit whose answer was lost: reads the newest seqs and changes of these rooms as soon as the database
/// answers, so that no subscriber waits for what was stored.
async fn look_again(core: Arc<Core>, rooms: BTreeMap<RoomId, Arc<Room>>) {
    let heads = || {
        room::Entity::find()
            .select_only()
            .columns([room::Column::Id, room::Column::LastSeq, room::Column::LastChange])
            .filter(room::COLUMN.id.is_in(rooms.keys().copied()))
            .into_tuple::<(RoomId, Seq, ChangeNumber)>()
            .all(core.db.reader())
    };
    let heads = retry::until_answered(&core.shutdown, heads).await.unwrap_or_default();
    for (room, seq, change) in heads {
        if let Some(live) = rooms.get(&room) {
            core.note_stored_up_to(live, Heads { seq, change });
        }
    }
}
