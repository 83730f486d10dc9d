//! The usual commit on SQLite: one word to its thread and one turn of it, instead of a transaction's six.

use entity::{MessageId, Seq};
use sea_orm::{DbBackend, Statement, Value};

use super::{Draft, INSERT, Outcome, Outcomes, Stale, columns, usual::Asked};
use crate::{
    chat::Core,
    db::Turns,
    error::{Result, is_refusal},
    listing::{self, Rest},
};

/// Moves each room on, if it is as this node knows it.
const ADVANCE: &str = "
UPDATE rooms SET last_seq = moved.column2, active_at = moved.column3
FROM (rows) AS moved
WHERE rooms.id = moved.column1 AND rooms.last_seq = moved.column4 AND rooms.roster_version = moved.column5
    AND rooms.deleted_at IS NULL";

/// What a draft replies to is there. Asked only where there are replies, for SQLite lays aside all that it
/// writes first where it also reads of the same table.
const REPLIED_TO: &str = "AND (column8 IS NULL OR EXISTS (
        SELECT 1 FROM messages WHERE messages.id = column8 AND messages.room_id = column1
    ))";

/// A message without a seq is refused, and that is what it has where not every room was moved on. A
/// repeat is refused by the unique index.
fn store(has_replies: bool) -> String {
    let replied_to = if has_replies { REPLIED_TO } else { "" };
    format!(
        "{INSERT}
SELECT column1, CASE WHEN changes() = column10 {replied_to} THEN column2 END,
    column3, column4, column5, column6, column7, column8, column9
FROM (rows) AS draft WHERE column1 IS NOT NULL"
    )
}

/// Stores all drafts, or answers nothing where that takes a closer look.
pub(super) async fn commit(
    core: &Core,
    turns: &Turns,
    drafts: &[Draft],
    asked: &Asked,
) -> Result<Option<Outcomes>> {
    let now = core.clock.now();
    let mut rooms: Vec<[Value; 5]> = Vec::with_capacity(drafts.len());
    rooms.extend(asked.rooms.iter().map(|(room, asked)| {
        let next = asked.last.0 + asked.messages;
        [room.0.into(), next.into(), now.into(), asked.last.0.into(), asked.roster_version.into()]
    }));
    if rooms.len() > 1 {
        // As many as there are messages: a text for each number of both would be too many to keep prepared.
        rooms.resize_with(drafts.len(), nothing);
    }
    let moved = asked.rooms.len() as i64;
    let stored: Vec<_> = drafts
        .iter()
        .zip(&asked.places)
        .map(|(draft, place)| {
            let last = asked.rooms.get(&draft.roster.id).map_or(Seq::ZERO, |room| room.last);
            draft.row(MessageId::new(), Seq(last.0 + place), now)
        })
        .collect();
    let rows = stored.iter().map(|row| {
        let [room, seq, id, sender, kind, content, client_message_id, reply_to, created_at] = columns(row);
        [room, seq, id, sender, kind, content, client_message_id, reply_to, created_at, moved.into()]
    });
    let store = store(drafts.iter().any(|draft| draft.reply_to.is_some()));
    let statements = [listed(ADVANCE, rooms.into_iter()), listed(&store, rows)];
    match turns.at_once(statements).await {
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
    listing::statement(DbBackend::Sqlite, text, rows, Rest::Null)
}

/// A row that is none.
fn nothing<const COLUMNS: usize>() -> [Value; COLUMNS] {
    std::array::from_fn(|_| Value::Bytes(None))
}
