//! The fast path on PostgreSQL: one statement. It takes one round trip and wakes the server's process once; a
//! transaction takes seven.

use std::collections::HashMap;

use entity::{MessageId, RoomId, Seq};
use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::expiry;
use crate::{
    chat::{
        Core,
        writer::{Outcome, Outcomes, QueuedDraft, Stale, answer_lost, request::CommitRequest},
    },
    db::PostgresPool,
    error::{Result, is_refusal},
};

/// The rooms are locked in the order of their ids, so that two nodes never deadlock, and the statement reads
/// what the commit before has written.
///
/// The statement does not look for repeats: the unique index refuses the whole statement. A lookup would make
/// each message more expensive. And as long as PostgreSQL has no statistics of a new table, it would do the
/// lookup by another index, through everything that a sender has written.
///
/// Arrays instead of lists of values: the text is the same for every number of drafts, so it is prepared
/// once. The arrays that rows are looked up by are in `(SELECT …)`, which hides their lengths from the
/// planner. Otherwise it would find a plan for exactly this length better than the one that it has, and plan
/// again each time.
macro_rules! store {
    ($columns:literal, $values:literal, $arrays:literal, $names:literal) => {
        concat!(
            "
WITH room AS MATERIALIZED (
    SELECT rooms.id, rooms.last_seq, asked.messages
    FROM unnest((SELECT $1::uuid[]), (SELECT $2::bigint[]), (SELECT $3::bigint[]))
        AS asked (id, roster_version, messages)
    JOIN rooms ON rooms.id = asked.id
    WHERE rooms.roster_version = asked.roster_version AND rooms.deleted_at IS NULL
    ORDER BY rooms.id
    FOR NO KEY UPDATE OF rooms
), possible AS MATERIALIZED (
    SELECT count(*) = cardinality($1) AND (
        SELECT count(*) FROM unnest((SELECT $4::uuid[]), (SELECT $5::uuid[])) AS reply (room_id, reply_to)
        WHERE (SELECT messages.room_id FROM messages WHERE messages.id = reply.reply_to) = reply.room_id
    ) = cardinality($4) AS yes
    FROM room
), stored AS (
    INSERT INTO messages
        (room_id, seq, id, sender_id, kind, content, client_message_id, reply_to, created_at", $columns, ")
    SELECT room.id, room.last_seq + draft.place, draft.id, draft.sender_id, draft.kind, draft.content,
        nullif(draft.client_message_id, ''), nullif(draft.reply_to, '00000000-0000-0000-0000-000000000000'),
        $14", $values, "
    FROM unnest(
        $6::uuid[], $7::bigint[], $8::uuid[], $9::uuid[],
        $10::text[], $11::text[], $12::text[], $13::uuid[]", $arrays, "
    ) AS draft (room_id, place, id, sender_id, kind, content, client_message_id, reply_to", $names, ")
    JOIN room ON room.id = draft.room_id
    WHERE (SELECT yes FROM possible)
), advanced AS (
    UPDATE rooms SET last_seq = room.last_seq + room.messages, active_at = $14
    FROM room
    WHERE rooms.id = room.id AND (SELECT yes FROM possible)
)
SELECT id, last_seq FROM room WHERE (SELECT yes FROM possible)"
        )
    };
}

/// Stores nearly all messages.
const STORE: &str = store!("", "", "", "");
/// Stores messages of which some have extras. An empty text stands for none.
const STORE_WITH_EXTRAS: &str = store!(
    ", extras, expires_at",
    ", nullif(draft.extras, ''), nullif(draft.expires_at, '')::timestamptz",
    ", $15::text[], $16::text[]",
    ", extras, expires_at"
);

#[derive(FromQueryResult)]
struct RoomBefore {
    id: RoomId,
    last_seq: Seq,
}

/// Stores all drafts. Returns `None`, and stores nothing, if they need a closer look.
pub(in crate::chat) async fn commit(
    core: &Core,
    db: &PostgresPool,
    drafts: &[QueuedDraft],
    asked: &CommitRequest,
) -> Result<Option<Outcomes>> {
    let now = core.clock.now();
    let ids: Vec<MessageId> = drafts.iter().map(|_| MessageId::new()).collect();
    let replies = || drafts.iter().filter_map(|draft| Some((draft.room.id.0, draft.reply_to?.0)));
    let (reply_rooms, replied_to): (Vec<Uuid>, Vec<Uuid>) = replies().unzip();
    let mut values: Vec<Value> = vec![
        asked.rooms.keys().map(|room| room.0).collect::<Vec<_>>().into(),
        asked.rooms.values().map(|room| room.roster_version).collect::<Vec<_>>().into(),
        asked.rooms.values().map(|room| room.messages).collect::<Vec<_>>().into(),
        reply_rooms.into(),
        replied_to.into(),
        drafts.iter().map(|draft| draft.room.id.0).collect::<Vec<_>>().into(),
        asked.places.clone().into(),
        ids.iter().map(|id| id.0).collect::<Vec<_>>().into(),
        drafts.iter().map(|draft| draft.sender.0).collect::<Vec<_>>().into(),
        drafts.iter().map(|draft| draft.body.kind.to_value()).collect::<Vec<_>>().into(),
        drafts.iter().map(|draft| draft.body.json().to_owned()).collect::<Vec<_>>().into(),
        // Arrays here have no nulls: an empty id or a nil UUID stands for none. No client's id is empty,
        // and no message's id is nil.
        drafts.iter().map(client_message_id).collect::<Vec<_>>().into(),
        drafts.iter().map(|draft| draft.reply_to.map_or(Uuid::nil(), |id| id.0)).collect::<Vec<_>>().into(),
        now.into(),
    ];
    let has_extras = drafts.iter().any(|draft| draft.extras.is_some());
    if has_extras {
        let extras = drafts.iter().map(|draft| draft.extras_json(now).unwrap_or_default());
        let expiries =
            drafts.iter().map(|draft| expiry(draft, now).map(|at| at.to_rfc3339()).unwrap_or_default());
        values.extend([extras.collect::<Vec<_>>().into(), expiries.collect::<Vec<_>>().into()]);
    }
    let text = if has_extras { STORE_WITH_EXTRAS } else { STORE };
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, text, values);
    let rows = match db.query_all_raw(statement).await {
        Ok(rows) => rows,
        Err(err) => return refused(err),
    };
    let rooms = rows.iter().map(|row| RoomBefore::from_query_result(row, ""));
    let before: HashMap<RoomId, Seq> = rooms
        .map(|room| room.map(|room| (room.id, room.last_seq)))
        .collect::<Result<_, _>>()
        .map_err(answer_lost)?;
    if before.is_empty() {
        return Ok(None);
    }
    let stored = drafts.iter().zip(ids).zip(&asked.places).map(|((draft, id), place)| {
        let last = before.get(&draft.room.id).copied().unwrap_or_default();
        Outcome::Stored(draft.row(id, Seq(last.0 + place), now))
    });
    Ok(Some(Outcomes { of_drafts: stored.collect(), stale: Stale::new() }))
}

fn client_message_id(draft: &QueuedDraft) -> String {
    draft.client_message_id.as_ref().map_or_else(String::new, |id| id.as_str().to_owned())
}

/// A statement that the database refused has changed nothing: the transaction finds the draft that caused it.
/// After any other error nobody knows whether the statement was executed.
fn refused(err: DbErr) -> Result<Option<Outcomes>> {
    if is_refusal(&err) {
        return Ok(None);
    }
    Err(answer_lost(err))
}
