//! Messages, and pages of them.

use entity::{MessageId, RoomId, Seq, message};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Time, raw};
use crate::chat::model::{HistoryPage, Message, Receiver};

/// A message in a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageView<'a> {
    #[schema(value_type = String, format = Uuid)]
    message_id: MessageId,
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
    /// Its position in the room: 1, 2, 3, ... without gaps.
    #[schema(value_type = i64, minimum = 1)]
    seq: Seq,
    /// The sender's username.
    sender: &'a str,
    /// A username for a direct room, the groupId for a group, the roomId for the lobby.
    #[schema(value_type = String)]
    receiver: Addressee<'a>,
    /// Whether `receiver` is a room's id instead of a username.
    group: bool,
    /// A string for `text` and `system`; any JSON for `encrypted`.
    #[schema(value_type = Value)]
    content: &'a RawValue,
    #[schema(value_type = MessageKind)]
    kind: &'static str,
    timestamp: Time,
    delivered_to_all: bool,
    read_by_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = Uuid)]
    reply_to: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    edited_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<Time>,
}

/// The receiver of a message, without a copy of the name.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Addressee<'a> {
    User(&'a str),
    Room(RoomId),
}

/// The schema of [`MessageView::kind`]. The values themselves come from [`kind`].
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum MessageKind {
    Text,
    Encrypted,
    System,
}

impl<'a> MessageView<'a> {
    pub fn of(message: &'a Message) -> Self {
        let row = &message.row;
        let (receiver, group) = match &message.receiver {
            Receiver::User(username) => (Addressee::User(username), false),
            Receiver::Group(room) | Receiver::Lobby(room) => (Addressee::Room(*room), true),
        };
        Self {
            message_id: row.id,
            room_id: row.room_id,
            seq: row.seq,
            sender: &message.sender.username,
            receiver,
            group,
            content: raw(&row.content),
            kind: kind(row.kind),
            timestamp: Time(row.created_at),
            delivered_to_all: message.delivered_to_all,
            read_by_all: message.read_by_all,
            client_message_id: row.client_message_id.as_deref(),
            reply_to: row.reply_to,
            edited_at: row.edited_at.map(Time),
            deleted_at: row.deleted_at.map(Time),
        }
    }
}

fn kind(kind: message::Kind) -> &'static str {
    match kind {
        message::Kind::Text => "text",
        message::Kind::Encrypted => "encrypted",
        message::Kind::System => "system",
    }
}

/// A page of a room's messages, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = History)]
pub struct HistoryView<'a> {
    #[schema(value_type = Vec<MessageView>)]
    messages: Vec<MessageView<'a>>,
    /// Whether there are more messages in the requested direction.
    has_more: bool,
}

impl<'a> HistoryView<'a> {
    pub fn of(page: &'a HistoryPage) -> Self {
        Self { messages: page.messages.iter().map(MessageView::of).collect(), has_more: page.has_more }
    }
}
