//! A message in a room.

use sea_orm::{
    QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};

use crate::ids::{ChangeNumber, MessageId, RoomId, Seq, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(9))")]
pub enum Kind {
    #[sea_orm(string_value = "text")]
    Text,
    /// Encrypted by the client. The server never reads the content.
    #[sea_orm(string_value = "encrypted")]
    Encrypted,
    /// Written by the server.
    #[sea_orm(string_value = "system")]
    System,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub room_id: RoomId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: Seq,
    #[sea_orm(unique)]
    pub id: MessageId,
    pub sender_id: UserId,
    pub kind: Kind,
    /// The content as the JSON text that the client sent, so that every JSON value is returned unchanged.
    /// This includes U+0000, which PostgreSQL's `text` would refuse unescaped.
    pub content: String,
    /// Unique per room and sender: a repeated send finds this row instead of creating another.
    pub client_message_id: Option<String>,
    pub reply_to: Option<MessageId>,
    pub created_at: DateTimeUtc,
    pub edited_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    /// The room's change that touched this message last; zero if none has.
    pub change: ChangeNumber,
    /// What changes have done to it, as JSON; `None` for a message that was never changed.
    pub marks: Option<String>,
    /// What it was sent with beyond its content, as JSON; `None` for most messages. Some of it also stands in the
    /// columns of [`super::stored_message`].
    pub extras: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The bytes of the parts that have no fixed size: the content, what it was sent with, and what changes have added.
    pub fn bytes(&self) -> usize {
        let beside = [&self.marks, &self.extras].into_iter().flatten().map(String::len).sum::<usize>();
        self.content.len() + beside
    }
}

/// The messages after `seq`, oldest first.
pub fn after(room: RoomId, seq: Seq, limit: u64) -> Select<Entity> {
    Entity::find()
        .filter(COLUMN.room_id.eq(room))
        .filter(COLUMN.seq.gt(seq))
        .order_by_asc(COLUMN.seq)
        .limit(limit)
}

/// Messages that were changed after `change`, ascending by their change. It names the literal condition of the partial
/// index, which SQLite ignores otherwise.
pub fn changed_after(room: RoomId, change: ChangeNumber) -> Select<Entity> {
    Entity::find()
        .filter(COLUMN.room_id.eq(room))
        .filter(Expr::col((Entity, Column::Change)).gt(Expr::cust("0")))
        .filter(COLUMN.change.gt(change))
        .order_by_asc(COLUMN.change)
}
