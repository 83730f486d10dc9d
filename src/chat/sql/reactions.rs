//! Reads which reactions users have to messages.

use entity::{RoomId, Seq, UserId};
use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::db::values_list::{self, Pad};

const OF_USERS: &str = "SELECT reactions.room_id, reactions.seq, reactions.user_id, reactions.key \
    FROM (rows) AS asked INNER JOIN reactions ON reactions.room_id = asked.column1 \
    AND reactions.seq = asked.column2 AND reactions.user_id = asked.column3 \
    ORDER BY reactions.at, reactions.key";

/// A user's reaction to a message.
pub(in crate::chat) struct ReactionOf {
    pub room: RoomId,
    pub seq: Seq,
    pub user: UserId,
    pub key: String,
}

/// The reactions of users to messages, oldest first; there must be at least one pair.
pub(in crate::chat) async fn of_users(
    db: &impl ConnectionTrait,
    asked: impl ExactSizeIterator<Item = (RoomId, Seq, UserId)>,
) -> Result<Vec<ReactionOf>, DbErr> {
    let rows = asked.map(|(room, seq, user)| -> [Value; 3] { [room.0.into(), seq.0.into(), user.0.into()] });
    let asked = values_list::statement(db.get_database_backend(), OF_USERS, rows, Pad::Null);
    let found = db.query_all_raw(asked).await?;
    let reaction = |row: &sea_orm::QueryResult| {
        Ok(ReactionOf {
            room: row.try_get_by_index(0)?,
            seq: row.try_get_by_index(1)?,
            user: row.try_get_by_index(2)?,
            key: row.try_get_by_index(3)?,
        })
    };
    found.iter().map(reaction).collect()
}
