//! Saves receipts on PostgreSQL: one statement for all of them. Its text is always the same, so it is
//! prepared once. Each statement is independent: if a later one fails, and all are saved again, the earlier
//! ones change nothing.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::{
    chat::receipts::{Row, Seen},
    db::{PostgresPool, ROWS},
    error::Result,
};

/// Locks the rows in ascending order first. The update alone would lock them in any order, and could deadlock
/// with another node. Never an insert: a receipt must not add a member again who has left.
///
/// `(SELECT …)` hides the arrays' lengths from the planner: otherwise it would plan again for each length.
const RECEIPTS: &str = "
WITH moved AS MATERIALIZED (
    SELECT members.room_id, members.user_id, said.delivered, said.read, said.notified, said.read_at
    FROM unnest(
        (SELECT $1::uuid[]), (SELECT $2::uuid[]),
        (SELECT $3::bigint[]), (SELECT $4::bigint[]), (SELECT $5::bigint[]), (SELECT $6::bigint[])
    ) AS said (room_id, user_id, delivered, read, notified, read_at)
    JOIN members ON members.room_id = said.room_id AND members.user_id = said.user_id
    ORDER BY members.room_id, members.user_id
    FOR NO KEY UPDATE OF members
)
UPDATE members SET
    delivered_seq = greatest(delivered_seq, moved.delivered),
    read_seq = greatest(read_seq, moved.read),
    told_seq = greatest(told_seq, moved.notified),
    read_at = greatest(members.read_at, moved.read_at)
FROM moved
WHERE members.room_id = moved.room_id AND members.user_id = moved.user_id";

const SEEN: &str = "
WITH seen AS MATERIALIZED (
    SELECT users.id, said.at
    FROM unnest((SELECT $1::uuid[]), (SELECT $2::timestamptz[])) AS said (id, at)
    JOIN users ON users.id = said.id
    ORDER BY users.id
    FOR NO KEY UPDATE OF users
)
UPDATE users SET last_seen_at = greatest(last_seen_at, seen.at) FROM seen WHERE users.id = seen.id";

pub(in crate::chat) async fn save(db: &PostgresPool, receipts: &[Row], seen: &[Seen]) -> Result<()> {
    for rows in receipts.chunks(ROWS) {
        let columns = [
            array(rows, |row| row.0),
            array(rows, |row| row.1),
            array(rows, |row| row.2),
            array(rows, |row| row.3),
            array(rows, |row| row.4),
            array(rows, |row| row.5),
        ];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, RECEIPTS, columns);
        db.execute_raw(statement).await?;
    }
    for rows in seen.chunks(ROWS) {
        let columns = [array(rows, |row| row.0), array(rows, |row| row.1)];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, SEEN, columns);
        db.execute_raw(statement).await?;
    }
    Ok(())
}

/// One column of all rows.
fn array<Row, T>(rows: &[Row], column: impl Fn(&Row) -> T) -> Value
where
    Vec<T>: Into<Value>,
{
    rows.iter().map(column).collect::<Vec<T>>().into()
}
