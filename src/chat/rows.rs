//! Messages of one room as they are read by the page: by position, straight from the driver. SeaORM's own
//! way looks every column up by its name, and writes the text of an error for every one that is null.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, Seq, UserId, message};
use sea_orm::{
    ActiveEnum, ConnectionTrait, DbErr, FromQueryResult, QueryResult, QuerySelect, RuntimeErr, Select,
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

/// What a query for messages of one room finds.
pub(super) async fn read(
    db: &impl ConnectionTrait,
    room: RoomId,
    messages: Select<message::Entity>,
) -> Result<Vec<message::Model>, DbErr> {
    let rows: Vec<Stored> = messages.select_only().columns(COLUMNS).into_model().all(db).await?;
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
