//! What a node asks PostgreSQL at each look. The beats use the clock of the database alone.

/// Notes that node `$1` is alive, has written its presences up to version `$4`, and hears `$6` nodes (null without a
/// bus). Returns the others whose beat is less than `$3` seconds old, each with its version, whether the row of `$1` is new,
/// whether the beat is less than `$5` seconds old, how many nodes it hears, and the present time. What nodes have
/// left that are gone for an hour is deleted.
pub const BEAT: &str = "
WITH beat AS (
    INSERT INTO nodes (id, version, presence, seen_at, hears) VALUES ($1, $2, $4, now(), $6)
    ON CONFLICT (id) DO UPDATE SET seen_at = now(), presence = $4, hears = $6
    RETURNING xmax = 0 AS is_new
), old AS (
    DELETE FROM nodes WHERE seen_at < now() - interval '1 hour' RETURNING id
), left_over AS (
    DELETE FROM presences WHERE node IN (SELECT id FROM old)
), old_probes AS (
    DELETE FROM probes WHERE at < now() - interval '1 hour'
)
SELECT nodes.id, nodes.presence, beat.is_new, nodes.seen_at > now() - make_interval(secs => $5), nodes.hears,
    clock_timestamp()
FROM nodes, beat
WHERE nodes.id <> $1 AND nodes.seen_at > now() - make_interval(secs => $3)";

pub const LEAVE: &str = "
WITH left_over AS (DELETE FROM presences WHERE node = $1), probed AS (DELETE FROM probes WHERE node = $1)
DELETE FROM nodes WHERE id = $1";

/// Deletes the rows of node `$1` before version `$3`: all of them if `$2`, or else those of users who have gone.
pub const FORGET_PRESENCES: &str = "
DELETE FROM presences WHERE node = $1 AND version < $3 AND ($2 OR NOT online)";

/// Writes that the users `$2` of node `$1` are online or have gone, as `$3` says, with `$5` connections, in version `$4`.
pub const WRITE_PRESENCES: &str = "
INSERT INTO presences (node, user_id, online, version, connections)
SELECT $1, changed.user_id, changed.online, $4, changed.connections
FROM unnest($2::uuid[], $3::boolean[], $5::integer[]) AS changed (user_id, online, connections)
ON CONFLICT (node, user_id) DO UPDATE
SET online = excluded.online, version = excluded.version, connections = excluded.connections";

/// What node `$1` has written after version `$2`.
pub const READ_PRESENCES: &str = "
SELECT user_id, online, connections FROM presences WHERE node = $1 AND version > $2";

/// The marks of the members of the rooms `$1`.
pub const MARKS: &str = "
SELECT room_id, user_id, delivered_seq, read_seq, read_at FROM members WHERE room_id IN (SELECT unnest($1::uuid[]))";

/// The newest message, change and version of the membership of the rooms `$1`, of deleted ones, too.
pub const HEADS: &str = "
SELECT id, last_seq, last_change, roster_version FROM rooms WHERE id IN (SELECT unnest($1::uuid[]))";

pub const SNAPSHOT: &str = "SELECT pg_current_snapshot()::text";

/// At most `$2` of the notices that the snapshot `$1` does not show, in the order of their ids, each with the present
/// snapshot: those of transactions that began after it, and of those that had not ended.
pub const NOTICES: &str = "
SELECT node, kind, room_id, user_id, pg_current_snapshot()::text FROM notices
WHERE writer >= pg_snapshot_xmax($1::pg_snapshot) OR writer = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot)))
ORDER BY id LIMIT $2";

/// The members of the rooms `$1`.
pub const MEMBERS: &str = "
SELECT room_id, user_id FROM members WHERE room_id IN (SELECT unnest($1::uuid[]))";

/// The rooms of the users `$1`.
pub const ROOMS_OF_USERS: &str = "
SELECT room_id, user_id FROM members WHERE user_id IN (SELECT unnest($1::uuid[]))";
