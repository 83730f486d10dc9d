//! A user's rooms.

use entity::{RoomId, Seq};
use serde::Serialize;
use utoipa::ToSchema;

use super::{GroupView, MessageView, UserView};
use crate::chat::model::{Conversation, ConversationKind};

/// One of the caller's rooms.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Conversation)]
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
    /// The caller has received everything up to this seq.
    #[schema(value_type = i64, minimum = 0)]
    delivered: Seq,
    /// The caller has read everything up to this seq.
    #[schema(value_type = i64, minimum = 0)]
    read: Seq,
    #[schema(minimum = 0)]
    unread: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<MessageView>)]
    last_message: Option<MessageView<'a>>,
}

impl<'a> ConversationView<'a> {
    pub fn of(conversation: &'a Conversation) -> Self {
        let (kind, group, peer) = match &conversation.kind {
            ConversationKind::Direct { peer } => ("direct", None, Some(UserView::public(peer))),
            ConversationKind::Group(group) => ("group", Some(GroupView::of(group)), None),
        };
        Self {
            room_id: conversation.room.id,
            kind,
            group,
            peer,
            last_seq: conversation.room.last_seq,
            delivered: conversation.delivered,
            read: conversation.read,
            unread: conversation.unread,
            last_message: conversation.last_message.as_ref().map(MessageView::of),
        }
    }
}
