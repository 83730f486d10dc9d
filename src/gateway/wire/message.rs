//! Messages, and pages of them.

use chrono::DateTime;
use entity::{ChangeNumber, MessageId, RoomId, Seq, message};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    Time,
    forms::{AnyForm, Form, Forms, constant, text},
    raw,
};
use crate::chat::model::{HistoryPage, Message, Receiver};

/// A message in a room.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
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
    /// A string for `text` and `system`; any JSON for `encrypted`, which the server does not read.
    #[schema(value_type = Value)]
    content: &'a RawValue,
    kind: &'static str,
    timestamp: Time,
    /// Every member has received it.
    delivered_to_all: bool,
    /// Every member has read it.
    read_by_all: bool,
    /// The id that its sender has given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_message_id: Option<&'a str>,
    /// The messageId of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = Uuid)]
    reply_to: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    edited_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<Time>,
    /// The room's change that touched it last.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(value_type = i64, minimum = 1)]
    change: ChangeNumber,
    /// How often it was edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    edits: Option<u32>,
    /// The username of who has deleted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_by: Option<&'a str>,
    /// The oldest key comes first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionView<'a>>,
    /// The keys with which the user has reacted who reads this; only in answers to that user.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>)]
    my_reactions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pinned_at: Option<Time>,
    /// The username of who has pinned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pinned_by: Option<&'a str>,
}

/// Who has reacted to a message with one key.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reactions)]
pub struct ReactionView<'a> {
    key: &'a str,
    #[schema(minimum = 1)]
    count: u32,
    /// The usernames of the first 20.
    users: &'a [String],
}

pub(super) fn is_zero(change: &ChangeNumber) -> bool {
    *change == ChangeNumber::ZERO
}

/// The receiver of a message, without a copy of the name.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Addressee<'a> {
    User(&'a str),
    Room(RoomId),
}

/// The schema of a message.
pub type MessageSchema = AnyForm<MessageView<'static>>;

impl Forms for MessageView<'_> {
    const NAME: &'static str = "Message";
    const TOLD_BY: Option<&'static str> = Some("kind");

    fn forms() -> Vec<Form> {
        let form = || {
            Form::new(
                &[
                    "messageId",
                    "roomId",
                    "seq",
                    "sender",
                    "receiver",
                    "group",
                    "content",
                    "kind",
                    "timestamp",
                    "deliveredToAll",
                    "readByAll",
                ],
                &[
                    "clientMessageId",
                    "replyTo",
                    "editedAt",
                    "deletedAt",
                    "change",
                    "edits",
                    "deletedBy",
                    "reactions",
                    "myReactions",
                    "pinnedAt",
                    "pinnedBy",
                ],
            )
        };
        vec![
            form().named("TextMessage").with("kind", constant(TEXT)).with("content", text()),
            form().named("EncryptedMessage").with("kind", constant(ENCRYPTED)),
            form().named("SystemMessage").with("kind", constant(SYSTEM)).with("content", text()),
        ]
    }
}

/// The kinds of messages on the wire.
pub const TEXT: &str = "text";
pub const ENCRYPTED: &str = "encrypted";
const SYSTEM: &str = "system";

impl<'a> MessageView<'a> {
    pub fn of(message: &'a Message) -> Self {
        let row = &message.row;
        let (receiver, group) = addressee(message);
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
            client_message_id: row.client_message_id.as_deref().filter(|_| row.deleted_at.is_none()),
            reply_to: row.reply_to,
            edited_at: row.edited_at.map(Time),
            deleted_at: row.deleted_at.map(Time),
            change: row.change,
            edits: edits(message),
            deleted_by: deleted_by(message),
            reactions: reactions(message),
            my_reactions: &message.my_reactions,
            pinned_at: pinned_at(message),
            pinned_by: pinned_by(message),
        }
    }
}

pub(super) fn addressee(message: &Message) -> (Addressee<'_>, bool) {
    match &message.receiver {
        Receiver::User(username) => (Addressee::User(username), false),
        Receiver::Group(room) | Receiver::Lobby(room) => (Addressee::Room(*room), true),
    }
}

pub(super) fn edits(message: &Message) -> Option<u32> {
    message.marks.as_ref().map(|marks| marks.edits).filter(|edits| *edits > 0)
}

pub(super) fn deleted_by(message: &Message) -> Option<&str> {
    message.marks.as_ref()?.deleted_by.as_deref()
}

pub(super) fn pinned_at(message: &Message) -> Option<Time> {
    DateTime::from_timestamp_millis(message.marks.as_ref()?.pin.as_ref()?.at).map(Time)
}

pub(super) fn pinned_by(message: &Message) -> Option<&str> {
    Some(&message.marks.as_ref()?.pin.as_ref()?.by)
}

pub(super) fn reactions(message: &Message) -> Vec<ReactionView<'_>> {
    let marks = message.marks.iter().flat_map(|marks| &marks.reactions);
    marks.map(|marks| ReactionView { key: &marks.key, count: marks.count, users: &marks.users }).collect()
}

fn kind(kind: message::Kind) -> &'static str {
    match kind {
        message::Kind::Text => TEXT,
        message::Kind::Encrypted => ENCRYPTED,
        message::Kind::System => SYSTEM,
    }
}

/// A page of a room's messages, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = History)]
pub struct HistoryView<'a> {
    #[schema(value_type = Vec<MessageSchema>)]
    messages: Vec<MessageView<'a>>,
    /// Whether there are more messages in the requested direction; with `around`, before these.
    has_more: bool,
    /// The messages that these answer and that are not among them, as far as the page has room for them; only for who
    /// asks for changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<MessageSchema>)]
    referenced: Vec<MessageView<'a>>,
    /// The messages show every change up to this one; only for who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<i64>, minimum = 0)]
    change: Option<ChangeNumber>,
}

impl<'a> HistoryView<'a> {
    pub fn of(page: &'a HistoryPage) -> Self {
        Self {
            messages: page.messages.iter().map(MessageView::of).collect(),
            has_more: page.has_more,
            referenced: page.referenced.iter().map(MessageView::of).collect(),
            change: page.change,
        }
    }
}
