//! All columns of `messages`: those of [`super::message`], and those that only queries use. What readers need of the latter
//! stands in `extras`, so that a page of messages does not read them.

use sea_orm::entity::prelude::*;

use crate::{
    ids::{ChangeNumber, MessageId, RoomId, Seq, UserId},
    message::Kind,
};

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
    pub content: String,
    pub client_message_id: Option<String>,
    pub reply_to: Option<MessageId>,
    pub created_at: DateTimeUtc,
    pub edited_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    pub change: ChangeNumber,
    pub marks: Option<String>,
    pub extras: Option<String>,
    /// The root of the thread that it is in.
    pub thread_seq: Option<Seq>,
    /// Set if the message never counts as unread: it is in a thread alone, or the server has written it.
    pub aside: Option<i16>,
    /// When it becomes a tombstone.
    pub expires_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
