//! SQL text of the writer: the fast path, by one statement for each database, and the statements of the
//! transaction. docs/performance.md says what each saves. `db::values_list` puts its list in the place of
//! `(rows)`.

pub(super) mod postgres;
pub(super) mod sqlite;

use chrono::{DateTime, Utc};
use entity::message;
use sea_orm::{ActiveEnum, Value};

use super::QueuedDraft;

/// The columns of nearly all messages, in the order of [`columns`].
const COLUMNS: &str = "room_id, seq, id, sender_id, kind, content, client_message_id, reply_to, created_at";

/// Stores a list of rows: [`columns`], and then `extras`, `expires_at`, `thread_seq` and `aside`. It passes over rows
/// that only pad the list.
pub(super) fn insert_rows() -> String {
    format!(
        "INSERT INTO messages ({COLUMNS}, extras, expires_at, thread_seq, aside) \
         SELECT * FROM (rows) AS stored WHERE column1 IS NOT NULL"
    )
}

/// The values of [`COLUMNS`].
pub(super) fn columns(row: &message::Model) -> [Value; 9] {
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

/// All values of [`insert_rows`].
pub(super) fn all_columns(draft: &QueuedDraft, row: &message::Model, now: DateTime<Utc>) -> [Value; 13] {
    let extras = draft.extras.as_ref();
    let aside = extras.filter(|extras| extras.stored().is_aside()).map(|_| 1_i16);
    let beside: [Value; 4] = [
        row.extras.clone().into(),
        expiry(draft, now).into(),
        extras.and_then(|extras| extras.thread()).map(|root| root.0).into(),
        aside.into(),
    ];
    let mut values = columns(row).into_iter().chain(beside);
    std::array::from_fn(|_| values.next().unwrap_or(Value::Bytes(None)))
}

/// When a draft that is stored now becomes a tombstone.
pub(super) fn expiry(draft: &QueuedDraft, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    draft.extras.as_ref()?.expires_at(now)
}

/// The state of rooms. PostgreSQL locks them in one order, so that two nodes never deadlock. SQLite has
/// locked everything.
pub(super) const LOCK_ROOMS_POSTGRES: &str = "SELECT id, last_seq, last_change, roster_version, deleted_at FROM rooms WHERE id IN (rows) ORDER BY id FOR UPDATE";
/// See [`LOCK_ROOMS_POSTGRES`].
pub(super) const LOCK_ROOMS_SQLITE: &str =
    "SELECT id, last_seq, last_change, roster_version, deleted_at FROM rooms WHERE id IN (rows)";
/// Messages by room, sender and client message id. A join with the list, so that each one is a single lookup
/// in the unique index.
pub(super) const REPEATS: &str = "SELECT messages.* FROM (rows) AS asked INNER JOIN messages ON messages.room_id = asked.column1 \
     AND messages.sender_id = asked.column2 AND messages.client_message_id = asked.column3";
/// Sets the newest seqs of rooms. A join with the list: a `CASE` would compare every room with every other.
pub(super) const ADVANCE_ROOMS: &str = "UPDATE rooms SET last_seq = moved.column2, active_at = moved.column3 FROM (rows) AS moved \
     WHERE rooms.id = moved.column1";
/// Writes the marks and the newest changes of messages: by room and seq, in one statement.
pub(super) const MARK_MESSAGES: &str = "UPDATE messages SET change = marked.column3, marks = marked.column4 \
     FROM (rows) AS marked WHERE messages.room_id = marked.column1 AND messages.seq = marked.column2";
