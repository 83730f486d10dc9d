//! The usual commit on PostgreSQL: one statement, and so one round trip and one waking of the server's
//! process, instead of a transaction's six.

use std::collections::HashMap;

use entity::{MessageId, RoomId, Seq};
use sea_orm::{
    ActiveEnum, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement,
};
use uuid::Uuid;

use super::{Draft, Outcome, Outcomes, Stale, usual::Asked};
use crate::{
    chat::Core,
    error::{Busy, Error, Result, is_refusal},
};

/// The rooms are locked in the order of their ids, so that two nodes never wait for each other, and
/// what is read of them is what the one before has committed.
///
/// Repeats are not looked for: the unique index refuses the whole statement. A look of its own would
/// cost each message more, and PostgreSQL, as long as it has no statistics of a young table, does it
/// by another index, through all that a sender has written.
///
/// Arrays instead of lists of values: the text stays the same for every number of drafts, so it is
/// prepared once. Those that rows are looked up by stand in `(SELECT …)`, which hides their lengths from
/// the planner: it would find a plan for just this length better than the one it has, and plan anew
/// each time.
const STORE: &str = "
WITH room AS MATERIALIZED (
    SELECT rooms.id, rooms.last_seq, asked.messages
    FROM unnest((SELECT $1::uuid[]), (SELECT $2::bigint[]), (SELECT $3::bigint[]))
        AS asked (id, roster_version, messages)
    JOIN rooms ON rooms.id = asked.id
    WHERE rooms.roster_version = asked.roster_version AND rooms.deleted_at IS NULL
    ORDER BY rooms.id
    FOR NO KEY UPDATE OF rooms
), usual AS MATERIALIZED (
    SELECT count(*) = cardinality($1) AND (
        SELECT count(*) FROM unnest((SELECT $4::uuid[]), (SELECT $5::uuid[])) AS reply (room_id, reply_to)
        WHERE (SELECT messages.room_id FROM messages WHERE messages.id = reply.reply_to) = reply.room_id
    ) = cardinality($4) AS yes
    FROM room
), stored AS (
    INSERT INTO messages
        (room_id, seq, id, sender_id, kind, content, client_message_id, reply_to, created_at)
    SELECT room.id, room.last_seq + draft.place, draft.id, draft.sender_id, draft.kind, draft.content,
        nullif(draft.client_message_id, ''), nullif(draft.reply_to, '00000000-0000-0000-0000-000000000000'),
        $14
    FROM unnest(
        $6::uuid[], $7::bigint[], $8::uuid[], $9::uuid[],
        $10::text[], $11::text[], $12::text[], $13::uuid[]
    ) AS draft (room_id, place, id, sender_id, kind, content, client_message_id, reply_to)
    JOIN room ON room.id = draft.room_id
    WHERE (SELECT yes FROM usual)
), advanced AS (
    UPDATE rooms SET last_seq = room.last_seq + room.messages, active_at = $14
    FROM room
    WHERE rooms.id = room.id AND (SELECT yes FROM usual)
)
SELECT id, last_seq FROM room WHERE (SELECT yes FROM usual)";

#[derive(FromQueryResult)]
struct RoomBefore {
    id: RoomId,
    last_seq: Seq,
}

/// Stores all drafts, or answers nothing where that takes a closer look.
pub(super) async fn commit(
    core: &Core,
    db: &DatabaseConnection,
    drafts: &[Draft],
    asked: &Asked,
) -> Result<Option<Outcomes>> {
    let now = core.clock.now();
    let ids: Vec<MessageId> = drafts.iter().map(|_| MessageId::new()).collect();
    let replies = || drafts.iter().filter_map(|draft| Some((draft.roster.id.0, draft.reply_to?.0)));
    let (reply_rooms, replied_to): (Vec<Uuid>, Vec<Uuid>) = replies().unzip();
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        STORE,
        [
            asked.rooms.keys().map(|room| room.0).collect::<Vec<_>>().into(),
            asked.rooms.values().map(|room| room.roster_version).collect::<Vec<_>>().into(),
            asked.rooms.values().map(|room| room.messages).collect::<Vec<_>>().into(),
            reply_rooms.into(),
            replied_to.into(),
            drafts.iter().map(|draft| draft.roster.id.0).collect::<Vec<_>>().into(),
            asked.places.clone().into(),
            ids.iter().map(|id| id.0).collect::<Vec<_>>().into(),
            drafts.iter().map(|draft| draft.sender.0).collect::<Vec<_>>().into(),
            drafts.iter().map(|draft| draft.body.kind.to_value()).collect::<Vec<_>>().into(),
            drafts.iter().map(|draft| draft.body.json().to_owned()).collect::<Vec<_>>().into(),
            // An array has no place for what is missing; no client's id is empty, and no message's nil.
            drafts.iter().map(client_message_id).collect::<Vec<_>>().into(),
            drafts
                .iter()
                .map(|draft| draft.reply_to.map_or(Uuid::nil(), |id| id.0))
                .collect::<Vec<_>>()
                .into(),
            now.into(),
        ],
    );
    let rows = match db.query_all_raw(statement).await {
        Ok(rows) => rows,
        Err(err) => return refused(err),
    };
    let rooms = rows.iter().map(|row| RoomBefore::from_query_result(row, ""));
    let before: HashMap<RoomId, Seq> = rooms
        .map(|room| room.map(|room| (room.id, room.last_seq)))
        .collect::<Result<_, _>>()
        .map_err(lost)?;
    if before.is_empty() {
        return Ok(None);
    }
    let stored = drafts.iter().zip(ids).zip(&asked.places).map(|((draft, id), place)| {
        let last = before.get(&draft.roster.id).copied().unwrap_or_default();
        Outcome::Stored(draft.row(id, Seq(last.0 + place), now))
    });
    Ok(Some(Outcomes { of_drafts: stored.collect(), stale: Stale::new() }))
}

fn client_message_id(draft: &Draft) -> String {
    draft.client_message_id.as_ref().map_or_else(String::new, |id| id.as_str().to_owned())
}

/// A statement that the database refused has changed nothing: the transaction finds out which draft
/// it was. After any other error nobody knows whether it was carried out.
fn refused(err: DbErr) -> Result<Option<Outcomes>> {
    if is_refusal(&err) {
        return Ok(None);
    }
    Err(lost(err))
}

fn lost(err: DbErr) -> Error {
    tracing::warn!(error = %err, "the answer of a commit was lost");
    Error::Unavailable(Busy::Database)
}
