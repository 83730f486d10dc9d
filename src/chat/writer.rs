//! Group commit: the one place where messages get their seq.
//!
//! A commit takes whatever has gathered ([`lanes`]), stores it, and then, itself and in seq order,
//! publishes each message and answers its sender; until that is done, nothing else of its rooms is
//! committed. No timer makes a batch: while one commit runs, the next gathers. A full queue refuses.
//!
//! Storing is one transaction ([`transaction`]), or on PostgreSQL, where every word to the server
//! costs, one statement for all that is as usual ([`at_once`]).

mod at_once;
mod lanes;
mod transaction;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, Seq, UserId, message, room};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

pub(super) use self::lanes::{Writer, run};
use super::{
    Core,
    event::Origin,
    nouns::Person,
    roster::{Reply, Roster, message_noun},
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

async fn store(core: &Arc<Core>, drafts: Vec<Draft>) {
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
            for (draft, outcome) in drafts.into_iter().zip(outcomes.of_drafts) {
                settle(core, draft, outcome);
            }
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
        }
        // One bad draft must not fail its neighbours.
        Err(_) => {
            for draft in drafts {
                Box::pin(store(core, vec![draft])).await;
            }
        }
    }
}

/// Tells everyone about a stored message and then answers its sender, in the order of seq.
fn settle(core: &Arc<Core>, draft: Draft, outcome: Outcome) {
    let Draft { roster, person, origin, reply, .. } = draft;
    match outcome {
        Outcome::Stored(row) => {
            metrics::counter!("parlor_messages_stored_total").increment(1);
            let message = Arc::new(message_noun(&roster, row, person, None));
            for connection in roster.publish(message, origin, reply) {
                core.fall_behind(&connection, &roster);
            }
        }
        Outcome::Repeat(row) => {
            // Where the first one's commit lost its answer, nobody has seen it yet.
            for connection in roster.stored_up_to(row.seq) {
                core.fall_behind(&connection, &roster);
            }
            let floors = roster.floors();
            let message = Arc::new(message_noun(&roster, row, person, Some(floors)));
            let connection = origin.map(|origin| origin.connection);
            roster.answer_repeat(message, connection, reply);
        }
        Outcome::Refused(err) => reply(Err(err)),
    }
}

/// Stores all drafts for good, or none.
async fn commit(core: &Core, drafts: &[Draft]) -> Result<Outcomes> {
    if !core.db.is_sqlite()
        && let Some(outcomes) = at_once::commit(core, drafts).await?
    {
        return Ok(outcomes);
    }
    transaction::commit(core, drafts).await
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
