//! Group commit: the one place where messages get their seq.
//!
//! A commit takes whatever has gathered ([`lanes`]), stores it, and then, itself and in seq order,
//! publishes each message and answers its sender; until that is done, nothing else of its rooms is
//! committed. No timer makes a batch: while one is stored, the next gathers. A full queue refuses.
//!
//! Storing is one word to the database where all is as usual ([`usual`]), and else a transaction that looks
//! before it writes ([`transaction`]).

mod lanes;
mod postgres;
mod sqlite;
mod transaction;
mod usual;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, Seq, UserId, message, room};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Value};
use tokio::sync::oneshot;

pub(super) use self::lanes::{Writer, run};
use super::{
    Core,
    event::Origin,
    nouns::Person,
    roster::{Fresh, Reply, Roster, message_noun},
    rosters::Membership,
    text::{Body, ClientMessageId},
};
use crate::error::{Busy, Error, Result};

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

impl Draft {
    fn row(&self, id: MessageId, seq: Seq, now: DateTime<Utc>) -> message::Model {
        message::Model {
            room_id: self.roster.id,
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
        }
    }
}

/// How a list of rows of [`columns`] is stored; a query of them follows.
const INSERT: &str = "INSERT INTO messages (room_id, seq, id, sender_id, kind, content, client_message_id, reply_to, \
                      created_at)";

/// What is stored of a message, in the order in which [`INSERT`] names the columns.
fn columns(row: &message::Model) -> [Value; 9] {
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
}

/// What became of one draft.
enum Outcome {
    Stored(message::Model),
    /// Its client message id was stored before.
    Repeat(message::Model),
    Refused(Error),
}

/// Rooms that another process has changed, with who is in them; none for deleted ones.
type Stale = HashMap<RoomId, Option<Membership>>;

/// What one transaction came to.
struct Outcomes {
    /// In the order of the drafts.
    of_drafts: Vec<Outcome>,
    stale: Stale,
}

/// Drops `storing` as soon as what is left to do is to publish. Returns how many listeners were written to.
async fn store(core: &Arc<Core>, drafts: Vec<Draft>, storing: oneshot::Sender<()>) -> usize {
    match commit(core, &drafts).await {
        Ok(outcomes) => {
            drop(storing);
            follow(core, &drafts, outcomes.stale);
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
                reached += Box::pin(store(core, vec![draft], oneshot::channel().0)).await;
            }
            reached
        }
    }
}

/// Brings rooms that another process has changed up to date before anything is published in them: a member who was
/// removed there must not be sent what was just stored.
fn follow(core: &Arc<Core>, drafts: &[Draft], stale: Stale) {
    for (room, stored) in stale {
        let Some(draft) = drafts.iter().find(|draft| draft.roster.id == room) else { continue };
        match stored {
            Some(stored) => core.take_over(&draft.roster, stored),
            // Nothing was stored there.
            None => core.reread_soon(room),
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
        core.is_stored_up_to(&roster, row.seq);
        let floors = roster.floors();
        let message = Arc::new(message_noun(&roster, row, person, Some(floors)));
        roster.answer_repeat(message, origin.map(|origin| origin.connection), reply);
    }
    reached
}

/// Stores all drafts for good, or none.
async fn commit(core: &Core, drafts: &[Draft]) -> Result<Outcomes> {
    // A database that has gone without a word must not hold up these rooms for ever.
    let committed = tokio::time::timeout(core.db.patience(), commit_now(core, drafts)).await;
    committed.unwrap_or(Err(Error::Unavailable(Busy::Database)))
}

async fn commit_now(core: &Core, drafts: &[Draft]) -> Result<Outcomes> {
    let usual = usual::commit(core, drafts).await?;
    let way = if usual.is_some() { "usual" } else { "transaction" };
    metrics::counter!("parlor_commits_total", "way" => way).increment(1);
    match usual {
        Some(outcomes) => Ok(outcomes),
        None => transaction::commit(core, drafts).await,
    }
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
                core.is_stored_up_to(roster, seq);
            }
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
            () = core.shutdown.begun() => {}
        }
    }
}
