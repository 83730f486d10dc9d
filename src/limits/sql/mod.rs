//! Wrong passwords that all nodes count together. Each login asks two of these; a password hash costs far more.

/// The wrong passwords of these keys (`$1`) that other nodes than `$2` have counted and that count at `$3`, the first to
/// be forgotten first, and whether each may still turn out to be right.
pub const COUNTED_ELSEWHERE: &str = "
SELECT key, until, made_at > now() - make_interval(secs => $4) FROM guesses
WHERE key IN (SELECT unnest($1::uuid[])) AND node <> $2 AND until > $3
ORDER BY until LIMIT 1000";

/// Counts attempt `$1` of node `$2` for the keys `$3`, each until `$4`. Deletes some that no longer count, whatever the
/// clock of a node says.
pub const COUNT: &str = "
WITH over AS (
    SELECT ctid FROM guesses WHERE until < now() - interval '1 hour' LIMIT 100 FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM guesses WHERE ctid IN (SELECT ctid FROM over)
)
INSERT INTO guesses (key, attempt, node, until)
SELECT part.key, $1, $2, part.until FROM unnest($3::uuid[], $4::timestamptz[]) AS part (key, until)";

/// Forgets attempt `$1`, which was for the keys `$2`, and all attempts for the keys `$3`, which are some of them.
pub const FORGET: &str = "
DELETE FROM guesses WHERE key IN (SELECT unnest($2::uuid[])) AND (attempt = $1 OR key IN (SELECT unnest($3::uuid[])))";
