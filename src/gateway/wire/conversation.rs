//! A user's rooms.

use entity::{ChangeNumber, RoomId, Seq};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    GroupView, MessageSchema, MessageView, UserView,
    forms::{AnyForm, Form, Forms, constant},
    message::is_zero,
};
use crate::chat::model::{Conversation, ConversationKind};

/// One of the caller's rooms.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationView<'a> {
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
    /// `direct` or `group`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<GroupView>)]
    group: Option<GroupView<'a>>,
    /// The other user of a direct room. In a room with oneself, this is the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<UserView>)]
    peer: Option<UserView<'a>>,
    #[schema(value_type = i64, minimum = 0)]
    last_seq: Seq,
    /// The newest change of its messages.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(value_type = i64, minimum = 1)]
    last_change: ChangeNumber,
    /// The caller has received everything up to this seq.
    #[schema(value_type = i64, minimum = 0)]
    delivered: Seq,
    /// The caller has read everything up to this seq.
    #[schema(value_type = i64, minimum = 0)]
    read: Seq,
    #[schema(minimum = 0)]
    unread: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<MessageSchema>)]
    last_message: Option<MessageView<'a>>,
}

/// The schema of a conversation.
pub type ConversationSchema = AnyForm<ConversationView<'static>>;

impl Forms for ConversationView<'_> {
    const NAME: &'static str = "Conversation";
    const TOLD_BY: Option<&'static str> = Some("kind");

    fn forms() -> Vec<Form> {
        vec![
            Form::new(
                &["roomId", "kind", "peer", "lastSeq", "delivered", "read", "unread"],
                &["lastChange", "lastMessage"],
            )
            .named("DirectConversation")
            .with("kind", constant(DIRECT)),
            Form::new(
                &["roomId", "kind", "group", "lastSeq", "delivered", "read", "unread"],
                &["lastChange", "lastMessage"],
            )
            .named("GroupConversation")
            .with("kind", constant(GROUP)),
        ]
    }
}

const DIRECT: &str = "direct";
const GROUP: &str = "group";

impl<'a> ConversationView<'a> {
    pub fn of(conversation: &'a Conversation) -> Self {
        let (kind, group, peer) = match &conversation.kind {
            ConversationKind::Direct { peer } => (DIRECT, None, Some(UserView::public(peer))),
            ConversationKind::Group(group) => (GROUP, Some(GroupView::of(group)), None),
        };
        Self {
            room_id: conversation.room.id,
            kind,
            group,
            peer,
            last_seq: conversation.room.last_seq,
            last_change: conversation.room.last_change,
            delivered: conversation.delivered,
            read: conversation.read,
            unread: conversation.unread,
            last_message: conversation.last_message.as_ref().map(MessageView::of),
        }
    }
}
