//! Group commit: the one place where messages get their seq.
//!
//! A room belongs to one shard task. The task takes whatever has gathered, stores it in one
//! transaction, and then, itself and in seq order, publishes each message and answers its sender.
//! No timer makes a batch: while one commit runs, the next gathers. A full queue refuses.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use entity::{MessageId, RoomId, Seq, UserId, message, room};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult,
    QueryFilter, QuerySelect, Value,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Core,
    event::Origin,
    listing::{self, Rest},
    nouns::Person,
    roster::{Fresh, Reply, Roster, message_noun},
    text::{Body, ClientMessageId},
};
use crate::error::{Busy, Denial, Error, Noun, Result};

/// A message on its way to be stored. Holding the roster keeps the room in memory until then.
pub(super) struct Draft {
    pub roster: Arc<Roster>,
    /// The roster's version when the sender was found to be in it.
    pub roster_version: i64,
    pub sender: UserId,
    /// What the sender is called.
    pub person: Person,
    pub body: Body,
    pub client_message_id: Option<ClientMessageId>,
    pub reply_to: Option<MessageId>,
    /// The connection it came from; hears its own message before the answer.
    pub origin: Option<Origin>,
    pub reply: Reply,
}

/// The way into the shards.
pub(super) struct Writer {
    shards: Vec<mpsc::Sender<Job>>,
}

/// What waits in a shard's queue.
enum Job {
    Store(Draft),
    /// Somebody waits until everything before this is stored.
    Tell(oneshot::Sender<()>),
}

/// The other end of one shard's queue; [`run`] it in a task of its own.
pub(super) struct Shard {
    queue: mpsc::Receiver<Job>,
    batch: usize,
}

impl Writer {
    /// `shards` tasks, each with a queue of `queue` drafts and commits of at most `batch`.
    pub fn new(shards: usize, queue: usize, batch: usize) -> (Self, Vec<Shard>) {
        let (senders, receivers) = (0..shards)
            .map(|_| {
                let (sender, queue) = mpsc::channel(queue);
                (sender, Shard { queue, batch })
            })
            .unzip();
        (Self { shards: senders }, receivers)
    }

    /// Queues a draft, or answers it at once that there is no room.
    pub fn queue(&self, draft: Draft) {
        let (job, busy) = match self.shard_of(draft.roster.id).try_send(Job::Store(draft)) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(job)) => (job, Busy::WriterFull),
            Err(mpsc::error::TrySendError::Closed(job)) => (job, Busy::Draining),
        };
        if let Job::Store(draft) = job {
            (draft.reply)(Err(Error::Unavailable(busy)));
        }
    }

    /// Waits until what was queued for a room up to now is stored or refused: who writes to a group
    /// and then leaves it means it in this order.
    pub async fn caught_up(&self, room: RoomId) {
        let (tell, told) = oneshot::channel();
        if self.shard_of(room).send(Job::Tell(tell)).await.is_ok() {
            // Nobody tells only where the shard has stopped, and then nothing waits in it.
            drop(told.await);
        }
    }

    fn shard_of(&self, room: RoomId) -> &mpsc::Sender<Job> {
        let shard = usize::try_from(room.0.as_u128() % self.shards.len() as u128).unwrap_or(0);
        &self.shards[shard]
    }

    /// Drafts that wait.
    pub fn waiting(&self) -> usize {
        self.shards.iter().map(|shard| shard.max_capacity() - shard.capacity()).sum()
    }
}

/// Stores and publishes until the server goes down; what was queued before that is still stored.
pub(super) async fn run(core: Arc<Core>, mut shard: Shard) {
    let mut batch = Vec::with_capacity(shard.batch);
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            taken = shard.queue.recv_many(&mut batch, shard.batch) => {
                if taken == 0 {
                    return;
                }
            }
            () = core.shutdown.settling(), if !closing => {
                closing = true;
                shard.queue.close();
                continue;
            }
        }
        let mut drafts = Vec::with_capacity(batch.len());
        let mut waiting = Vec::new();
        for job in batch.drain(..) {
            match job {
                Job::Store(draft) => drafts.push(draft),
                Job::Tell(tell) => waiting.push(tell),
            }
        }
        if !drafts.is_empty() {
            metrics::histogram!("parlor_commit_messages").record(drafts.len() as f64);
            let reached = store(&core, drafts).await;
            step_back(reached).await;
        }
        for tell in waiting {
            // Who does not wait any more need not know.
            let _ = tell.send(());
        }
    }
}

/// Lets the sockets that were written to send before more is stored. Their messages would leave no earlier
/// otherwise, and what arrives meanwhile, the senders' next ones first of all, goes into one commit and
/// out in one write.
async fn step_back(reached: usize) {
    // About as many tasks run between two looks of a worker at what was put off.
    const TURN: usize = 64;
    for _ in 0..reached.div_ceil(TURN) {
        tokio::task::yield_now().await;
    }
}

/// What became of one draft.
enum Outcome {
    Stored(message::Model),
    /// Its client message id was stored before.
    Repeat(message::Model),
    Refused(Error),
}

/// What one transaction came to.
struct Outcomes {
    /// In the order of the drafts.
    of_drafts: Vec<Outcome>,
    /// Rooms whose roster in memory is older than the database's.
    stale: BTreeSet<RoomId>,
}

/// Returns how many listeners were written to.
async fn store(core: &Arc<Core>, drafts: Vec<Draft>) -> usize {
    match commit(core, &drafts).await {
        Ok(outcomes) => {
            for room in outcomes.stale {
                let core = core.clone();
                core.shutdown.clone().spawn(async move {
                    if let Err(err) = core.reread(room).await {
                        tracing::warn!(error = ?err, room.id = %room, "could not read a room again");
                    }
                });
            }
            settle(core, drafts, outcomes.of_drafts)
        }
        Err(err) if drafts.len() == 1 || matches!(err, Error::Unavailable(_)) => {
            let busy = matches!(err, Error::Unavailable(_));
            let rooms: BTreeMap<RoomId, Arc<Roster>> =
                drafts.iter().map(|draft| (draft.roster.id, draft.roster.clone())).collect();
            let mut first = Some(err);
            for draft in drafts {
                let err = match first.take() {
                    Some(err) if !busy => err,
                    _ => Error::Unavailable(Busy::Database),
                };
                (draft.reply)(Err(err));
            }
            // The commit may have happened all the same, with its answer lost on the way.
            core.shutdown.spawn(look_again(core.clone(), rooms));
            0
        }
        // One bad draft must not fail its neighbours.
        Err(_) => {
            let mut reached = 0;
            for draft in drafts {
                reached += Box::pin(store(core, vec![draft])).await;
            }
            reached
        }
    }
}

/// Tells everyone about what was stored, room by room and in the order of seq, and answers the senders.
/// Returns how many listeners were written to.
fn settle(core: &Arc<Core>, drafts: Vec<Draft>, outcomes: Vec<Outcome>) -> usize {
    let mut reached = 0;
    let mut stored: BTreeMap<RoomId, (Arc<Roster>, Vec<Fresh>)> = BTreeMap::new();
    let mut repeats = Vec::new();
    for (draft, outcome) in drafts.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Stored(row) => {
                let Draft { roster, person, origin, reply, .. } = draft;
                let message = Arc::new(message_noun(&roster, row, person, None));
                let (_, fresh) = stored.entry(roster.id).or_insert_with(|| (roster, Vec::new()));
                fresh.push(Fresh { message, origin, reply });
            }
            Outcome::Repeat(row) => repeats.push((draft, row)),
            Outcome::Refused(err) => (draft.reply)(Err(err)),
        }
    }
    for (roster, fresh) in stored.into_values() {
        metrics::counter!("parlor_messages_stored_total").increment(fresh.len() as u64);
        let published = roster.publish(fresh);
        reached += published.reached;
        for connection in published.behind {
            core.fall_behind(&connection, &roster);
        }
    }
    // Last, for the first may have been stored by this very commit.
    for (draft, row) in repeats {
        let Draft { roster, person, origin, reply, .. } = draft;
        // Where the first one's commit lost its answer, nobody has seen it yet.
        for connection in roster.stored_up_to(row.seq) {
            core.fall_behind(&connection, &roster);
        }
        let floors = roster.floors();
        let message = Arc::new(message_noun(&roster, row, person, Some(floors)));
        roster.answer_repeat(message, origin.map(|origin| origin.connection), reply);
    }
    reached
}

#[derive(FromQueryResult)]
struct RoomHead {
    id: RoomId,
    last_seq: Seq,
    roster_version: i64,
    deleted_at: Option<sea_orm::prelude::DateTimeUtc>,
}

/// One transaction for all drafts.
async fn commit(core: &Core, drafts: &[Draft]) -> Result<Outcomes> {
    let tx = core.db.begin().await?;
    let rooms = lock_rooms(&tx, drafts).await?;
    let repeats = find_repeats(&tx, drafts).await?;
    let replied_to = find_replied_to(&tx, drafts).await?;
    let now = core.clock.now();

    let mut next: HashMap<RoomId, Seq> = HashMap::new();
    let mut fresh: HashMap<(RoomId, UserId, &ClientMessageId), usize> = HashMap::new();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(drafts.len());
    let mut stale = BTreeSet::new();
    for draft in drafts {
        let room = draft.roster.id;
        let Some(head) = rooms.get(&room).filter(|head| head.deleted_at.is_none()) else {
            stale.insert(room);
            outcomes.push(Outcome::Refused(Error::NotFound(Noun::Room)));
            continue;
        };
        if head.roster_version > draft.roster_version {
            stale.insert(room);
        }
        let id = draft.client_message_id.as_ref();
        if let Some(id) = id {
            let key = (room, draft.sender, id);
            let stored = repeats.get(&(room, draft.sender, id.as_str().to_owned()));
            let earlier = fresh.get(&key).and_then(|at| outcomes.get(*at));
            let repeat = match (stored, earlier) {
                (Some(row), _) | (None, Some(Outcome::Stored(row))) => Some(row.clone()),
                _ => None,
            };
            if let Some(row) = repeat {
                outcomes.push(Outcome::Repeat(row));
                continue;
            }
            fresh.insert(key, outcomes.len());
        }
        if head.roster_version != draft.roster_version && !is_member(&tx, draft).await? {
            outcomes.push(Outcome::Refused(Error::Forbidden(Denial::NotAMember)));
            continue;
        }
        if draft.reply_to.is_some_and(|reply_to| !replied_to.contains(&(room, reply_to))) {
            outcomes.push(Outcome::Refused(Error::NotFound(Noun::Message)));
            continue;
        }
        let seq = next.get(&room).copied().unwrap_or(head.last_seq).next();
        next.insert(room, seq);
        outcomes.push(Outcome::Stored(message::Model {
            room_id: room,
            seq,
            id: MessageId::new(),
            sender_id: draft.sender,
            kind: draft.body.kind,
            content: draft.body.json().to_owned(),
            client_message_id: id.map(|id| id.as_str().to_owned()),
            reply_to: draft.reply_to,
            created_at: now,
            edited_at: None,
            deleted_at: None,
        }));
    }
    insert(&tx, &outcomes).await?;
    advance_rooms(&tx, &next, now).await?;
    tx.commit().await.map_err(|err| {
        // Whether it happened is not known, whatever kind of error this is: not to be tried again here.
        tracing::warn!(error = %err, "the answer of a commit was lost");
        Error::Unavailable(Busy::Database)
    })?;
    Ok(Outcomes { of_drafts: outcomes, stale })
}

/// Reads where each room stands, and keeps other nodes out of it until the commit.
async fn lock_rooms(tx: &DatabaseTransaction, drafts: &[Draft]) -> Result<HashMap<RoomId, RoomHead>> {
    let ids: BTreeSet<RoomId> = drafts.iter().map(|draft| draft.roster.id).collect();
    let backend = tx.get_database_backend();
    // In one order for all, so that two nodes never wait for each other. SQLite has locked everything.
    let text = match backend {
        DbBackend::Postgres => {
            "SELECT id, last_seq, roster_version, deleted_at FROM rooms WHERE id IN (rows) ORDER BY id FOR UPDATE"
        }
        _ => "SELECT id, last_seq, roster_version, deleted_at FROM rooms WHERE id IN (rows)",
    };
    let ids: Vec<[Value; 1]> = ids.into_iter().map(|id| [id.0.into()]).collect();
    let asked = listing::statement(backend, text, ids.into_iter(), Rest::Last);
    let heads = RoomHead::find_by_statement(asked).all(tx).await?;
    Ok(heads.into_iter().map(|head| (head.id, head)).collect())
}

type RepeatKey = (RoomId, UserId, String);

/// The messages that are stored under the drafts' client message ids.
async fn find_repeats(
    tx: &DatabaseTransaction,
    drafts: &[Draft],
) -> Result<HashMap<RepeatKey, message::Model>> {
    let asked: Vec<[Value; 3]> = drafts
        .iter()
        .filter_map(|draft| {
            let id = draft.client_message_id.as_ref()?;
            Some([draft.roster.id.0.into(), draft.sender.0.into(), id.as_str().into()])
        })
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    // A join with the list of values, so that each is one look into the unique index.
    let text = "SELECT messages.* FROM (rows) AS asked INNER JOIN messages ON messages.room_id = asked.column1 \
                AND messages.sender_id = asked.column2 AND messages.client_message_id = asked.column3";
    let asked = listing::statement(tx.get_database_backend(), text, asked.into_iter(), Rest::Last);
    let rows = message::Model::find_by_statement(asked).all(tx).await?;
    let keyed = rows.into_iter().filter_map(|row| {
        let id = row.client_message_id.clone()?;
        Some(((row.room_id, row.sender_id, id), row))
    });
    Ok(keyed.collect())
}

/// The messages that drafts reply to, as far as they exist.
async fn find_replied_to(
    tx: &DatabaseTransaction,
    drafts: &[Draft],
) -> Result<std::collections::HashSet<(RoomId, MessageId)>> {
    let ids: Vec<MessageId> = drafts.iter().filter_map(|draft| draft.reply_to).collect();
    if ids.is_empty() {
        return Ok(Default::default());
    }
    let rows: Vec<(RoomId, MessageId)> = message::Entity::find()
        .select_only()
        .columns([message::Column::RoomId, message::Column::Id])
        .filter(message::COLUMN.id.is_in(ids))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Asked again where the roster has changed since the draft was queued.
async fn is_member(tx: &DatabaseTransaction, draft: &Draft) -> Result<bool> {
    if draft.roster.kind == room::Kind::Lobby {
        return Ok(true);
    }
    let row = entity::member::Entity::find_by_id((draft.roster.id, draft.sender)).one(tx).await?;
    Ok(row.is_some())
}

async fn insert(tx: &DatabaseTransaction, outcomes: &[Outcome]) -> Result<()> {
    let stored = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Stored(row) => Some(row),
        _ => None,
    });
    let rows: Vec<[Value; 9]> = stored
        .map(|row| {
            [
                row.room_id.0.into(),
                row.seq.0.into(),
                row.id.0.into(),
                row.sender_id.0.into(),
                row.kind.to_value().into(),
                row.content.as_str().into(),
                row.client_message_id.clone().into(),
                row.reply_to.map(|id| id.0).into(),
                row.created_at.into(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO messages (room_id, seq, id, sender_id, kind, content, client_message_id, reply_to, \
                created_at) SELECT * FROM (rows) AS stored WHERE column1 IS NOT NULL";
    tx.execute_raw(listing::statement(tx.get_database_backend(), text, rows.into_iter(), Rest::Null)).await?;
    Ok(())
}

async fn advance_rooms(
    tx: &DatabaseTransaction,
    next: &HashMap<RoomId, Seq>,
    now: sea_orm::prelude::DateTimeUtc,
) -> Result<()> {
    if next.is_empty() {
        return Ok(());
    }
    // A join once more: a `CASE` would compare every room with every other.
    let text = "UPDATE rooms SET last_seq = moved.column2, active_at = moved.column3 FROM (rows) AS moved \
                WHERE rooms.id = moved.column1";
    let rows = next.iter().map(|(room, seq)| [room.0.into(), seq.0.into(), now.into()]);
    tx.execute_raw(listing::statement(tx.get_database_backend(), text, rows, Rest::Last)).await?;
    Ok(())
}

/// After a commit whose answer was lost: reads, as soon as the database answers, what these rooms
/// really hold, so that nobody waits for a message that was stored.
async fn look_again(core: Arc<Core>, rooms: BTreeMap<RoomId, Arc<Roster>>) {
    let mut pause = Duration::from_millis(200);
    while !core.shutdown.has_begun() {
        let heads: Result<Vec<(RoomId, Seq)>, _> = room::Entity::find()
            .select_only()
            .columns([room::Column::Id, room::Column::LastSeq])
            .filter(room::COLUMN.id.is_in(rooms.keys().copied()))
            .into_tuple()
            .all(core.db.reader())
            .await;
        if let Ok(heads) = heads {
            for (room, seq) in heads {
                let Some(roster) = rooms.get(&room) else { continue };
                for connection in roster.stored_up_to(seq) {
                    core.fall_behind(&connection, roster);
                }
            }
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
            () = core.shutdown.begun() => {}
        }
    }
}
