//! Reads pages of messages of one room by column position, directly from the driver. SeaORM looks up every
//! column by its name, and formats an error for every null.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, RoomId, Seq, UserId, message};
use sea_orm::{
    ActiveEnum, ConnectionTrait, DbErr, FromQueryResult, QueryResult, QuerySelect, RuntimeErr, Select,
    Statement, Value,
    sqlx::{self, ColumnIndex, Database, Decode, Row, Type},
};
use uuid::Uuid;

/// Without the room's id, which the caller knows.
const COLUMNS: [message::Column; 13] = [
    message::Column::Seq,
    message::Column::Id,
    message::Column::SenderId,
    message::Column::Kind,
    message::Column::Content,
    message::Column::ClientMessageId,
    message::Column::ReplyTo,
    message::Column::CreatedAt,
    message::Column::EditedAt,
    message::Column::DeletedAt,
    message::Column::Change,
    message::Column::Marks,
    message::Column::Extras,
];

/// True if user `$5` is a member of room `$1`; both databases accept `$N`. A scalar subquery is evaluated once. SQLite
/// would make a join of an `EXISTS`, and look the member up again for each message.
const IS_MEMBER: &str =
    " AND (SELECT 1 FROM members WHERE members.room_id = $1 AND members.user_id = $5) IS NOT NULL";

/// True for pinned messages.
const IS_PINNED: &str = " AND seq IN (SELECT pins.seq FROM pins WHERE pins.room_id = $1)";

/// The messages of one room that a query finds.
pub(in crate::chat) async fn read(
    db: &impl ConnectionTrait,
    room: RoomId,
    messages: Select<message::Entity>,
) -> Result<Vec<message::Model>, DbErr> {
    let rows: Vec<MessageRow> = messages.select_only().columns(COLUMNS).into_model().all(db).await?;
    Ok(rows.into_iter().map(|MessageRow(row)| message::Model { room_id: room, ..row }).collect())
}

/// The messages of a room that a page of history is taken from.
#[derive(Clone, Copy, Debug)]
pub(in crate::chat) struct Range {
    /// The seqs between these two, without both.
    pub after: Seq,
    pub before: Seq,
    /// Whether the page begins with the oldest of them.
    pub oldest_first: bool,
    /// Whether only pinned messages are read.
    pub pinned: bool,
    /// Whether only this message and the messages of its thread are read.
    pub thread: Option<Seq>,
    pub limit: u64,
}

/// A page of a room's history for its member `reader`; it is empty for any other user. `reader` is `None` for
/// the lobby, which has no members.
///
/// The text is written by hand: SeaORM would build it again for each page.
pub(in crate::chat) async fn page(
    db: &impl ConnectionTrait,
    room: RoomId,
    range: Range,
    reader: Option<UserId>,
) -> Result<Vec<message::Model>, DbErr> {
    let backend = db.get_database_backend();
    let order = if range.oldest_first { "ASC" } else { "DESC" };
    let is_pinned = if range.pinned { IS_PINNED } else { "" };
    let is_member = if reader.is_some() { IS_MEMBER } else { "" };
    let in_thread = range.thread.map(|root| in_thread(root, order)).unwrap_or_default();
    let text = format!(
        "SELECT seq, id, sender_id, kind, content, client_message_id, reply_to, created_at, edited_at, deleted_at, \
         change, marks, extras FROM messages WHERE room_id = $1 AND seq > $2 AND seq < $3{is_pinned}{in_thread}{is_member} ORDER BY seq {order} LIMIT $4"
    );
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let values: [Value; 4] = [room.0.into(), range.after.0.into(), range.before.0.into(), limit.into()];
    let values = values.into_iter().chain(reader.map(|reader| reader.0.into()));
    let asked = Statement::from_sql_and_values(backend, text, values);
    let rows: Vec<MessageRow> = MessageRow::find_by_statement(asked).all(db).await?;
    Ok(rows.into_iter().map(|MessageRow(row)| message::Model { room_id: room, ..row }).collect())
}

/// True for a root, and for as many messages of its thread as a page has, which their index finds. A seq is a number, so
/// that it can stand in the text.
fn in_thread(root: Seq, order: &str) -> String {
    format!(
        " AND seq IN (SELECT {root} UNION ALL SELECT seq FROM (SELECT reply.seq FROM messages AS reply \
         WHERE reply.room_id = $1 AND reply.thread_seq = {root} AND reply.thread_seq IS NOT NULL \
         AND reply.seq > $2 AND reply.seq < $3 ORDER BY reply.seq {order} LIMIT $4) AS replies)"
    )
}

/// A row without its room.
struct MessageRow(message::Model);

impl FromQueryResult for MessageRow {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let stored = if let Some(row) = row.try_as_sqlite_row() {
            stored(row)
        } else if let Some(row) = row.try_as_pg_row() {
            stored(row)
        } else {
            return Err(DbErr::Type("a row of another database".to_owned()));
        };
        stored.map(Self).map_err(|err| DbErr::Query(RuntimeErr::SqlxError(Arc::new(err))))
    }
}

/// The columns of [`COLUMNS`].
fn stored<R, D>(row: &R) -> Result<message::Model, sqlx::Error>
where
    D: Database,
    R: Row<Database = D>,
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, D> + Type<D>,
    for<'r> Uuid: Decode<'r, D> + Type<D>,
    for<'r> String: Decode<'r, D> + Type<D>,
    for<'r> &'r str: Decode<'r, D> + Type<D>,
    for<'r> DateTime<Utc>: Decode<'r, D> + Type<D>,
{
    let kind = row.try_get::<&str, _>(3)?;
    Ok(message::Model {
        room_id: RoomId(Uuid::nil()),
        seq: Seq(row.try_get(0)?),
        id: MessageId(row.try_get(1)?),
        sender_id: UserId(row.try_get(2)?),
        kind: kind_of(kind)?,
        content: row.try_get(4)?,
        client_message_id: row.try_get(5)?,
        reply_to: row.try_get::<Option<Uuid>, _>(6)?.map(MessageId),
        created_at: row.try_get(7)?,
        edited_at: row.try_get(8)?,
        deleted_at: row.try_get(9)?,
        change: ChangeNumber(row.try_get(10)?),
        marks: row.try_get(11)?,
        extras: row.try_get(12)?,
    })
}

/// A kind without a copy of its name, which is the same for nearly all rows.
fn kind_of(name: &str) -> Result<message::Kind, sqlx::Error> {
    if name == "text" {
        return Ok(message::Kind::Text);
    }
    message::Kind::try_from_value(&name.to_owned()).map_err(|err| sqlx::Error::Decode(err.into()))
}
