//! Numbers and commits changes of messages, and publishes them. Everything that one commit does to one message is one
//! change. A number is given under the room's row lock, in the transaction that stores the change.
//!
//! - this file: the queued request, the transaction from its beginning to its end, and publishing
//! - `batch`: the messages of one transaction, what is done to them, and how they are stored
//! - `altered`: one message of a transaction, and how it is written
//! - `expiry`: makes tombstones of messages whose time is over
//! - `reactions`: the reactions of one transaction

mod altered;
mod batch;
mod expiry;
mod reactions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use entity::{MessageId, RoomId, Seq, UserId, room};

use self::batch::Batch;

use super::{Stale, answer_lost, follow, refuse_all, transaction};
use crate::{
    chat::{
        Core,
        changes::{Edit, React},
        connections::ConnectionId,
        model::{Message, MessageChange},
        room::{ChangeAnswer, DelayedReply, Heads, Reply, Room},
    },
    error::{Entity, Error, Forbidden, Result, Unavailable},
    metrics,
};

/// A transaction takes requests until they name this many messages. It reads the messages, which are bounded in bytes.
const AT_ONCE: usize = 100;

/// A change of a message that waits to be made. It holds the room, so the room stays in memory until then.
pub(in crate::chat) struct QueuedChange {
    pub room: Arc<Room>,
    /// The version of the room's membership when the user was found to be a member.
    pub roster_version: i64,
    pub user: UserId,
    pub username: Arc<str>,
    /// Whether the user moderates the room, in that version of the membership.
    pub moderates: bool,
    /// All of them are changed, or none. They have to be in the room.
    pub messages: Vec<MessageId>,
    pub wanted: Wanted,
    /// The connection that it came from. It is told of the change before the answer.
    pub origin: Option<ConnectionId>,
    pub reply: Reply,
}

/// What is to be done to a message.
pub(in crate::chat) enum Wanted {
    Edit(Edit),
    Delete,
    React(React),
    Pin { on: bool },
}

impl QueuedChange {
    /// About what it takes while it waits.
    pub fn bytes(&self) -> usize {
        /// Its ids and answer.
        const BESIDES: usize = 500;
        let wanted = match &self.wanted {
            Wanted::Edit(edit) => edit.bytes(),
            Wanted::Delete | Wanted::React(_) | Wanted::Pin { .. } => 0,
        };
        BESIDES + wanted + self.messages.len() * size_of::<MessageId>()
    }
}

/// The result of one transaction.
struct Committed {
    /// For each request in its order: the message as it stands now, or the refusal.
    answers: Vec<Result<Arc<Message>>>,
    /// The changes of each room, ascending.
    of_rooms: BTreeMap<RoomId, Vec<Arc<MessageChange>>>,
    stale: Stale,
}

/// Makes changes in their order, and publishes them.
pub(super) async fn carry_out(core: &Arc<Core>, changes: Vec<QueuedChange>) {
    let mut part = Vec::new();
    let mut messages = 0;
    for change in changes {
        messages += change.messages.len();
        part.push(change);
        if messages >= AT_ONCE {
            make(core, std::mem::take(&mut part)).await;
            messages = 0;
        }
    }
    if !part.is_empty() {
        make(core, part).await;
    }
}

async fn make(core: &Arc<Core>, changes: Vec<QueuedChange>) {
    let begun = Instant::now();
    // A database that no longer answers must not block these rooms for ever.
    let committed = tokio::time::timeout(core.db.patience(), commit(core, &changes)).await;
    metrics::COMMIT_TIME.record_time(begun.elapsed());
    match committed.unwrap_or(Err(Error::Unavailable(Unavailable::Database))) {
        Ok(committed) => publish(core, changes, committed).await,
        Err(err) if changes.len() == 1 || matches!(err, Error::Unavailable(_)) => {
            refuse_all(core, err, changes.into_iter().map(|change| (change.room, change.reply)));
        }
        // One bad change must not make the others of its transaction fail.
        Err(_) => {
            for change in changes {
                Box::pin(make(core, vec![change])).await;
            }
        }
    }
}

async fn publish(core: &Arc<Core>, changes: Vec<QueuedChange>, committed: Committed) {
    let Committed { answers, mut of_rooms, stale } = committed;
    follow(core, changes.iter().map(|change| &change.room), stale);
    let mut rooms: BTreeMap<RoomId, (Arc<Room>, Vec<ChangeAnswer>)> = BTreeMap::new();
    for (change, answer) in changes.into_iter().zip(answers) {
        let QueuedChange { room, origin, reply, .. } = change;
        match answer {
            Ok(message) => {
                let (_, answers) = rooms.entry(room.id).or_insert_with(|| (room, Vec::new()));
                answers.push(ChangeAnswer { message, origin, reply });
            }
            Err(err) => reply(Err(err)),
        }
    }
    for (id, (room, answers)) in rooms {
        let changes = of_rooms.remove(&id).unwrap_or_default();
        metrics::CHANGES_STORED.add(changes.len() as u64);
        core.cluster.changed(&room, &changes);
        let before = room.changed();
        if changes.first().is_some_and(|first| first.number != before.next()) {
            // Another node has made those in between.
            core.rooms.forget_messages(&room);
            core.views.has_missed(&room, before);
        }
        let messages: Vec<_> = changes.iter().map(|change| change.message.clone()).collect();
        let told_of = messages.iter().chain(answers.iter().map(|answer| &answer.message));
        deliver_first(core, &room, told_of.map(|message| message.row.seq).max().unwrap_or_default()).await;
        core.rooms.replace(&room, &messages);
        core.views.has_changed(&room, &changes);
        let known = changes.last().map_or(room.changed(), |last| last.number.max(room.changed()));
        let answered = answers.iter().map(|answer| answer.message.row.change).max();
        if let Some(change) = answered.filter(|answered| *answered > known) {
            // Another process has changed the message so. Its change is told before the answer.
            core.note_stored_up_to(&room, Heads { change, ..Heads::default() });
        }
        let published = room.publish_changes(changes, answers);
        for connection in published.behind {
            core.bring_up(&connection, &room);
        }
        published.answers.into_iter().for_each(DelayedReply::give);
    }
}

/// Another node may have stored a message that is changed here, and it may not have been delivered here yet: a change
/// never arrives before the message.
async fn deliver_first(core: &Arc<Core>, room: &Arc<Room>, seq: Seq) {
    if seq > room.published() {
        core.follow_up_to(room, seq.next()).await;
        // Whoever still lacks it catches up, and is told of the change after it.
        core.note_stored_up_to(room, Heads { seq, ..Heads::default() });
    }
}

/// Makes all changes, or none.
async fn commit(core: &Core, changes: &[QueuedChange]) -> Result<Committed> {
    let tx = core.db.begin().await?;
    let rooms: BTreeSet<RoomId> = changes.iter().map(|change| change.room.id).collect();
    let heads = transaction::lock_rooms(&tx, rooms).await?;
    let now = core.clock.now();
    let mut batch = Batch::read(&tx, changes, &core.settings.messages, now).await?;
    let mut outcomes: Vec<Result<()>> = Vec::with_capacity(changes.len());
    let mut stale = BTreeSet::new();
    for change in changes {
        let Some(head) = heads.get(&change.room.id).filter(|head| head.deleted_at.is_none()) else {
            stale.insert(change.room.id);
            outcomes.push(Err(Error::NotFound(Entity::Message)));
            continue;
        };
        if head.roster_version > change.roster_version {
            stale.insert(change.room.id);
        }
        let is_known = head.roster_version == change.roster_version || change.room.kind == room::Kind::Lobby;
        let moderates = match is_known {
            true => Some(change.moderates),
            false => transaction::moderates_now(&tx, &change.room, change.user).await?,
        };
        outcomes.push(match moderates {
            Some(moderates) => batch.apply(&core.settings.messages, change, moderates, now),
            None => Err(Error::Forbidden(Forbidden::NotAMember)),
        });
    }
    let last_changes = heads.into_iter().map(|(room, head)| (room, head.last_change)).collect();
    batch.store(&core.settings.messages, &tx, last_changes, now).await?;
    let stale = transaction::read_stale(core, &tx, stale).await?;
    let committed = batch.committed(core, changes, outcomes, stale, now).await?;
    tx.commit().await.map_err(answer_lost)?;
    Ok(committed)
}
