//! Messages of one room as they are read by the page: by position, straight from the driver. SeaORM's own
//! way looks every column up by its name, and writes the text of an error for every one that is null.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, Seq, UserId, message};
use sea_orm::{
    ActiveEnum, ConnectionTrait, DbErr, FromQueryResult, QueryResult, QuerySelect, RuntimeErr, Select,
    Statement, Value,
    sqlx::{self, ColumnIndex, Database, Decode, Row, Type},
};
use uuid::Uuid;

/// The room's id is known to who asks.
const COLUMNS: [message::Column; 10] = [
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
];

/// Holds where user 5 is in room 1; both databases know `$N`.
const IS_MEMBER: &str =
    " AND EXISTS (SELECT 1 FROM members WHERE members.room_id = $1 AND members.user_id = $5)";

/// What a query for messages of one room finds.
pub(super) async fn read(
    db: &impl ConnectionTrait,
    room: RoomId,
    messages: Select<message::Entity>,
) -> Result<Vec<message::Model>, DbErr> {
    let rows: Vec<Stored> = messages.select_only().columns(COLUMNS).into_model().all(db).await?;
    Ok(rows.into_iter().map(|Stored(row)| message::Model { room_id: room, ..row }).collect())
}

/// Which messages of a room a page of history is taken from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// The seqs between these two, both left out.
    pub after: Seq,
    pub before: Seq,
    /// Whether the page begins with the oldest of them.
    pub oldest_first: bool,
    pub limit: u64,
}

/// A page of a room's history, as its member `reader` may read it: nobody else finds anything. The lobby has no
/// members, and `reader` is none there.
///
/// The text is written by hand: SeaORM would put it together anew for each page.
pub(super) async fn page(
    db: &impl ConnectionTrait,
    room: RoomId,
    range: Range,
    reader: Option<UserId>,
) -> Result<Vec<message::Model>, DbErr> {
    let backend = db.get_database_backend();
    let order = if range.oldest_first { "ASC" } else { "DESC" };
    let is_member = if reader.is_some() { IS_MEMBER } else { "" };
    let text = format!(
        "SELECT seq, id, sender_id, kind, content, client_message_id, reply_to, created_at, edited_at, deleted_at \
         FROM messages WHERE room_id = $1 AND seq > $2 AND seq < $3{is_member} ORDER BY seq {order} LIMIT $4"
    );
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let values: [Value; 4] = [room.0.into(), range.after.0.into(), range.before.0.into(), limit.into()];
    let values = values.into_iter().chain(reader.map(|reader| reader.0.into()));
    let asked = Statement::from_sql_and_values(backend, text, values);
    let rows: Vec<Stored> = Stored::find_by_statement(asked).all(db).await?;
    Ok(rows.into_iter().map(|Stored(row)| message::Model { room_id: room, ..row }).collect())
}

/// A row but for its room.
struct Stored(message::Model);

impl FromQueryResult for Stored {
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
    for<'r> DateTime<Utc>: Decode<'r, D> + Type<D>,
{
    let kind = row.try_get::<String, _>(3)?;
    Ok(message::Model {
        room_id: RoomId(Uuid::nil()),
        seq: Seq(row.try_get(0)?),
        id: MessageId(row.try_get(1)?),
        sender_id: UserId(row.try_get(2)?),
        kind: message::Kind::try_from_value(&kind).map_err(|err| sqlx::Error::Decode(err.into()))?,
        content: row.try_get(4)?,
        client_message_id: row.try_get(5)?,
        reply_to: row.try_get::<Option<Uuid>, _>(6)?.map(MessageId),
        created_at: row.try_get(7)?,
        edited_at: row.try_get(8)?,
        deleted_at: row.try_get(9)?,
    })
}
