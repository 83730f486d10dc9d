//! The fast path on SQLite: one request to the thread of the connection, instead of a transaction's six.

use entity::{MessageId, Seq};
use sea_orm::{DbBackend, Statement, Value};

use super::{COLUMNS, columns, expiry};
use crate::{
    chat::{
        Core,
        writer::{Outcome, Outcomes, QueuedDraft, Stale, request::CommitRequest},
    },
    db::{
        SqliteWriter,
        values_list::{self, Pad},
    },
    error::{Result, is_refusal},
};

/// Sets each room's newest seq, if the room is as this node knows it.
const ADVANCE: &str = "
UPDATE rooms SET last_seq = moved.column2, active_at = moved.column3
FROM (rows) AS moved
WHERE rooms.id = moved.column1 AND rooms.last_seq = moved.column4 AND rooms.roster_version = moved.column5
    AND rooms.deleted_at IS NULL";

/// The condition that the message that a draft replies to exists. It is part of the statement only if there
/// are replies: SQLite first stores all new rows in a temporary table if the statement also reads the same
/// table.
const REPLIED_TO: &str = "AND (column8 IS NULL OR EXISTS (
        SELECT 1 FROM messages WHERE messages.id = column8 AND messages.room_id = column1
    ))";

/// If not every room was updated, the messages have no seq, and the database refuses them. The unique index
/// refuses a repeat. Most messages have no extras, and are stored without these columns.
fn store(has_replies: bool, has_extras: bool) -> String {
    let replied_to = if has_replies { REPLIED_TO } else { "" };
    let (extras, values) =
        if has_extras { (", extras, expires_at", ", column11, column12") } else { ("", "") };
    format!(
        "INSERT INTO messages ({COLUMNS}{extras})
SELECT column1, CASE WHEN changes() = column10 {replied_to} THEN column2 END,
    column3, column4, column5, column6, column7, column8, column9{values}
FROM (rows) AS draft WHERE column1 IS NOT NULL"
    )
}

/// Stores all drafts. Returns `None`, and stores nothing, if they need a closer look.
pub(in crate::chat) async fn commit(
    core: &Core,
    sqlite: &SqliteWriter,
    drafts: &[QueuedDraft],
    asked: &CommitRequest,
) -> Result<Option<Outcomes>> {
    let now = core.clock.now();
    let mut rooms: Vec<[Value; 5]> = Vec::with_capacity(drafts.len());
    rooms.extend(asked.rooms.iter().map(|(room, asked)| {
        let next = asked.last.0 + asked.messages;
        [room.0.into(), next.into(), now.into(), asked.last.0.into(), asked.roster_version.into()]
    }));
    if rooms.len() > 1 {
        // As many rows as there are messages: a text for each pair of numbers would be too many prepared
        // statements.
        rooms.resize_with(drafts.len(), nothing);
    }
    let moved = asked.rooms.len() as i64;
    let stored: Vec<_> = drafts
        .iter()
        .zip(&asked.places)
        .map(|(draft, place)| {
            let last = asked.rooms.get(&draft.room.id).map_or(Seq::ZERO, |room| room.last);
            draft.row(MessageId::new(), Seq(last.0 + place), now)
        })
        .collect();
    let has_extras = drafts.iter().any(|draft| draft.extras.is_some());
    let text = store(drafts.iter().any(|draft| draft.reply_to.is_some()), has_extras);
    let rows = stored.iter().map(|row| {
        let [room, seq, id, sender, kind, content, client_message_id, reply_to, created_at] = columns(row);
        [room, seq, id, sender, kind, content, client_message_id, reply_to, created_at, moved.into()]
    });
    let store = if has_extras {
        let rows = rows.zip(drafts.iter().zip(&stored)).map(|(row, (draft, stored))| {
            let mut values = row.into_iter().chain([stored.extras.clone().into(), expiry(draft, now).into()]);
            std::array::from_fn::<Value, 12, _>(|_| values.next().unwrap_or(Value::Bytes(None)))
        });
        listed(&text, rows)
    } else {
        listed(&text, rows)
    };
    let statements = [listed(ADVANCE, rooms.into_iter()), store];
    match sqlite.execute_atomic(statements).await {
        Ok(()) => {}
        Err(err) if is_refusal(&err) => return Ok(None),
        Err(err) => return Err(err.into()),
    }
    let of_drafts = stored.into_iter().map(Outcome::Stored).collect();
    Ok(Some(Outcomes { of_drafts, stale: Stale::new() }))
}

fn listed<const COLUMNS: usize>(
    text: &str,
    rows: impl ExactSizeIterator<Item = [Value; COLUMNS]>,
) -> Statement {
    values_list::statement(DbBackend::Sqlite, text, rows, Pad::Null)
}

/// A row of nulls, which changes nothing.
fn nothing<const COLUMNS: usize>() -> [Value; COLUMNS] {
    std::array::from_fn(|_| Value::Bytes(None))
}
