//! Saves receipts on SQLite, with one request to the thread of the connection for each statement. Each
//! statement is independent: if a later one fails, and all are saved again, the earlier ones change nothing.

use sea_orm::{DbBackend, Value};

use crate::{
    chat::receipts::{Row, Seen},
    db::{
        ROWS, SqliteWriter,
        values_list::{self, Pad},
    },
    error::Result,
};

/// Never an insert: a receipt must not add a member again who has left.
const RECEIPTS: &str = "
UPDATE members SET
    delivered_seq = max(delivered_seq, moved.column3),
    read_seq = max(read_seq, moved.column4),
    told_seq = max(told_seq, moved.column5),
    read_at = max(read_at, moved.column6)
FROM (rows) AS moved
WHERE members.room_id = moved.column1 AND members.user_id = moved.column2";

const SEEN: &str = "
UPDATE users SET last_seen_at = moved.column2
FROM (rows) AS moved
WHERE users.id = moved.column1";

pub(in crate::chat) async fn save(sqlite: &SqliteWriter, receipts: &[Row], seen: &[Seen]) -> Result<()> {
    for rows in receipts.chunks(ROWS) {
        let rows = rows.iter().map(|(room, user, delivered, read, notified, read_at)| -> [Value; 6] {
            let marks = [delivered, read, notified, read_at].map(|mark| (*mark).into());
            let [delivered, read, notified, read_at] = marks;
            [(*room).into(), (*user).into(), delivered, read, notified, read_at]
        });
        sqlite.execute_atomic([values_list::statement(DbBackend::Sqlite, RECEIPTS, rows, Pad::Last)]).await?;
    }
    for rows in seen.chunks(ROWS) {
        let rows = rows.iter().map(|(user, at)| -> [Value; 2] { [(*user).into(), (*at).into()] });
        sqlite.execute_atomic([values_list::statement(DbBackend::Sqlite, SEEN, rows, Pad::Last)]).await?;
    }
    Ok(())
}
