//! SQL text of the measured reads. docs/performance.md says what each saves. Ordinary reads and writes use
//! the entities and their scopes. `db::values_list` puts its list in the place of `(rows)`.

use crate::room_view::StoredView;

pub(super) mod history;
pub(super) mod reactions;
pub(super) mod threads;

/// The rooms, without deleted ones. A direct room has its users' names and keys, also of deleted users, whose
/// messages stay.
pub(in crate::chat) const ROOMS: &str = "SELECT rooms.id, rooms.kind, rooms.last_seq, rooms.roster_version, \
    rooms.last_change, low.id, low.username, low.username_key, high.id, high.username, high.username_key, rooms.settings FROM rooms \
    LEFT JOIN users AS low ON low.id = rooms.pair_low LEFT JOIN users AS high ON high.id = rooms.pair_high \
    WHERE rooms.deleted_at IS NULL AND rooms.id IN (rows)";

/// The members of the rooms, each with whether they have marked the room as unread. Their views may be long, and are
/// not read.
pub(in crate::chat) fn members() -> String {
    let marked = StoredView::MARKED;
    format!(
        "SELECT members.room_id, members.user_id, members.role, members.delivered_seq, \
        members.read_seq, members.told_seq, users.username, users.first_name, members.read_at, \
        CASE WHEN members.view LIKE '{marked}%' THEN 1 ELSE 0 END, \
        COALESCE(members.joined_seq, members.delivered_seq) \
        FROM members INNER JOIN users ON users.id = members.user_id WHERE members.room_id IN (rows)"
    )
}

/// The rooms of users, without deleted ones, each with its newest seq, the user's marks, and when the user was
/// last seen.
pub(in crate::chat) const ROOMS_OF: &str = "SELECT members.user_id, members.room_id, rooms.last_seq, members.delivered_seq, \
    members.read_seq, members.told_seq, users.last_seen_at, rooms.last_change \
    FROM members INNER JOIN rooms ON rooms.id = members.room_id INNER JOIN users ON users.id = members.user_id \
    WHERE rooms.deleted_at IS NULL AND members.user_id IN (rows)";

/// The number of a user's own messages within ranges of seqs, by room and user. `NOT … <>` keeps the databases from looking
/// them up by their sender, which would read everything that the user ever wrote in the room.
pub(in crate::chat) const OWN_NEAR: &str = "SELECT asked.column1, asked.column2, COUNT(*) FROM (rows) AS asked INNER JOIN messages \
    ON messages.room_id = asked.column1 AND messages.seq > asked.column3 AND messages.seq <= asked.column4 \
    AND NOT (messages.sender_id <> asked.column2) GROUP BY asked.column1, asked.column2";

/// Up to which seqs of rooms, of those asked for, there are messages of the user after another seq.
pub(in crate::chat) const OWN_UP_TO: &str = "SELECT asked.column1, asked.column4 FROM (rows) AS asked INNER JOIN messages \
    ON messages.room_id = asked.column1 AND messages.seq > asked.column3 AND messages.seq <= asked.column4 \
    AND NOT (messages.sender_id <> asked.column2) GROUP BY asked.column1, asked.column4";

/// The number of messages of others that do not count as unread, within ranges of seqs, by room and user. It repeats the condition of the
/// partial index.
pub(in crate::chat) const UNCOUNTED_OF_OTHERS: &str = "SELECT asked.column1, asked.column2, COUNT(*) FROM (rows) AS asked INNER JOIN messages \
    ON messages.room_id = asked.column1 AND messages.seq > asked.column3 AND messages.seq <= asked.column4 \
    AND (messages.deleted_at IS NOT NULL OR messages.aside IS NOT NULL) AND messages.sender_id <> asked.column2 \
    GROUP BY asked.column1, asked.column2";

/// The most of the user's own messages in a room that [`own_far`] scans. Any others are counted as unread.
const OWN_SCANNED: i64 = 10_000;

/// The same, by the index that contains the sender, for ranges with many messages. `ORDER BY` its last column makes
/// the databases use it.
pub(in crate::chat) fn own_far() -> String {
    format!(
        "SELECT asked.column1, asked.column2, (SELECT COUNT(*) FROM (\
            SELECT messages.seq FROM messages \
            WHERE messages.room_id = asked.column1 AND messages.sender_id = asked.column2 \
            ORDER BY messages.client_message_id LIMIT {OWN_SCANNED}\
        ) AS own WHERE own.seq > asked.column3 AND own.seq <= asked.column4) \
        FROM (rows) AS asked WHERE asked.column1 IS NOT NULL"
    )
}

/// Locks a number until the end of the transaction; PostgreSQL only.
pub(in crate::chat) const ADVISORY_LOCK: &str = "SELECT pg_advisory_xact_lock($1)";
