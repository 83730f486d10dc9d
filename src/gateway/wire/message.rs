//! Messages, and pages of them.

use chrono::DateTime;
use entity::{ChangeNumber, MessageId, RoomId, Seq, message};
use serde::{Serialize, Serializer};
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
    /// The seq of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<i64>, minimum = 1)]
    reply_seq: Option<Seq>,
    /// The messageId of the root of its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = Uuid)]
    thread: Option<MessageId>,
    /// A message of a thread is for the room, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    also_in_room: bool,
    /// The replies of the thread that it begins; only in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replies: Option<RepliesView<'a>>,
    /// Who has written it first, and when; it was forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    forwarded_from: Option<ForwardedFromView<'a>>,
    /// The usernames that its sender has named.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    mentions: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    mentions_all: bool,
    /// What its sender's client has added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    data: Option<&'a RawValue>,
    /// When it disappears: from then on it is as if it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Time>,
}

/// The replies of a thread, without deleted ones.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Replies)]
pub struct RepliesView<'a> {
    #[schema(minimum = 0)]
    count: i64,
    /// The newest; the root's seq if there are none.
    #[schema(value_type = i64, minimum = 1)]
    last_seq: Seq,
    /// The usernames of the first who have answered, at most 5.
    users: &'a [String],
}

/// Who has written a forwarded message first, and when.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ForwardedFrom)]
pub struct ForwardedFromView<'a> {
    /// The username.
    sender: &'a str,
    timestamp: Time,
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
                    "replySeq",
                    "thread",
                    "alsoInRoom",
                    "replies",
                    "forwardedFrom",
                    "mentions",
                    "mentionsAll",
                    "data",
                    "expiresAt",
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
        let extras = message.extras.as_deref();
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
            reply_seq: extras.and_then(|extras| extras.reply_seq),
            thread: extras.and_then(|extras| extras.thread).map(|root| root.id),
            also_in_room: extras.is_some_and(|extras| extras.also_in_room),
            replies: message.replies.as_deref().map(|replies| RepliesView {
                count: replies.count,
                last_seq: replies.last_seq,
                users: &replies.users,
            }),
            forwarded_from: forwarded_from(message),
            mentions: mentions(message),
            mentions_all: mentions_all(message),
            data: data(message),
            expires_at: expires_at(message),
        }
    }
}

pub(super) fn mentions(message: &Message) -> &[String] {
    message.extras.as_ref().map_or(&[], |extras| &extras.mentions)
}

pub(super) fn mentions_all(message: &Message) -> bool {
    message.extras.as_ref().is_some_and(|extras| extras.mentions_all)
}

pub(super) fn data(message: &Message) -> Option<&RawValue> {
    message.extras.as_ref()?.data.as_deref()
}

pub(super) fn expires_at(message: &Message) -> Option<Time> {
    DateTime::from_timestamp_millis(message.extras.as_ref()?.expires_at?).map(Time)
}

pub(super) fn forwarded_from(message: &Message) -> Option<ForwardedFromView<'_>> {
    let from = message.extras.as_ref()?.forwarded_from.as_ref()?;
    let timestamp = DateTime::from_timestamp_millis(from.at).map(Time)?;
    Some(ForwardedFromView { sender: &from.sender, timestamp })
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
    #[serde(serialize_with = "views")]
    #[schema(value_type = Vec<MessageSchema>)]
    messages: &'a [Message],
    /// Whether there are more messages in the requested direction; with `around`, before these.
    has_more: bool,
    /// The messages that these answer and that are not among them, as far as the page has room for them; only for who
    /// asks for changes.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "views")]
    #[schema(required = false, value_type = Vec<MessageSchema>)]
    referenced: &'a [Message],
    /// The messages show every change up to this one; only for who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<i64>, minimum = 0)]
    change: Option<ChangeNumber>,
}

/// One view after the other: a view is large.
fn views<S: Serializer>(messages: &[Message], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(messages.iter().map(MessageView::of))
}

impl<'a> HistoryView<'a> {
    pub fn of(page: &'a HistoryPage) -> Self {
        Self {
            messages: &page.messages,
            has_more: page.has_more,
            referenced: &page.referenced,
            change: page.change,
        }
    }
}
