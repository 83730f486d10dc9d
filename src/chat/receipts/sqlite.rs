//! Saving receipts on SQLite, where what is written in one go is one word to its thread. Each go stands by
//! itself: what is saved twice, because what came after it failed, stays as it is.

use sea_orm::{DbBackend, Value};

use super::{ROWS, Row, Seen};
use crate::{
    db::Turns,
    error::Result,
    listing::{self, Rest},
};

/// Never an insert: a receipt must not bring back a member who has left.
const RECEIPTS: &str = "
UPDATE members SET
    delivered_seq = max(delivered_seq, moved.column3),
    read_seq = max(read_seq, moved.column4),
    told_seq = max(told_seq, moved.column5)
FROM (rows) AS moved
WHERE members.room_id = moved.column1 AND members.user_id = moved.column2";

const SEEN: &str = "
UPDATE users SET last_seen_at = moved.column2
FROM (rows) AS moved
WHERE users.id = moved.column1";

pub(super) async fn save(turns: &Turns, receipts: &[Row], seen: &[Seen]) -> Result<()> {
    for rows in receipts.chunks(ROWS) {
        let rows = rows.iter().map(|(room, user, delivered, read, told)| -> [Value; 5] {
            [(*room).into(), (*user).into(), (*delivered).into(), (*read).into(), (*told).into()]
        });
        turns.at_once([listing::statement(DbBackend::Sqlite, RECEIPTS, rows, Rest::Last)]).await?;
    }
    for rows in seen.chunks(ROWS) {
        let rows = rows.iter().map(|(user, at)| -> [Value; 2] { [(*user).into(), (*at).into()] });
        turns.at_once([listing::statement(DbBackend::Sqlite, SEEN, rows, Rest::Last)]).await?;
    }
    Ok(())
}
