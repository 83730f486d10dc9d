//! A user's rooms.

use entity::{ChangeNumber, RoomId, Seq};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    GroupView, MessageSchema, MessageView, Time, UserView,
    forms::{AnyForm, Form, Forms, constant},
    message::is_zero,
    room_view::{NotifyName, RoomDraftView, muted_until},
};
use crate::{
    chat::model::{Conversation, ConversationKind},
    values::Lifetime,
};

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
    /// The user has marked it as unread, and has not read it since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    marked_unread: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    archived: bool,
    /// `all` if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    notify: Option<NotifyName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    muted_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<RoomDraftView>)]
    draft: Option<RoomDraftView<'a>>,
    /// How many of the unread messages mention the caller, or everyone.
    #[serde(skip_serializing_if = "is_none")]
    #[schema(required = false, minimum = 1)]
    unread_mentions: i64,
    /// How many threads with unread replies the caller follows.
    #[serde(skip_serializing_if = "is_none")]
    #[schema(required = false, minimum = 1)]
    unread_threads: i64,
    /// After how many seconds messages disappear that are sent without saying so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 5)]
    disappear_after: Option<u32>,
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
            Form::new(&["roomId", "kind", "peer", "lastSeq", "delivered", "read", "unread"], OPTIONAL)
                .named("DirectConversation")
                .with("kind", constant(DIRECT)),
            Form::new(&["roomId", "kind", "group", "lastSeq", "delivered", "read", "unread"], OPTIONAL)
                .named("GroupConversation")
                .with("kind", constant(GROUP)),
        ]
    }
}

/// The fields that are left out at their defaults.
const OPTIONAL: &[&str] = &[
    "lastChange",
    "markedUnread",
    "archived",
    "notify",
    "mutedUntil",
    "draft",
    "lastMessage",
    "unreadMentions",
    "unreadThreads",
    "disappearAfter",
];

fn is_none(count: &i64) -> bool {
    *count == 0
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
            marked_unread: conversation.is_marked_unread,
            archived: conversation.view.archived,
            notify: NotifyName::beyond_default(conversation.view.notify),
            muted_until: muted_until(conversation.view.muted_until),
            draft: conversation.view.draft.as_ref().map(RoomDraftView::of),
            unread_mentions: conversation.unread_mentions,
            unread_threads: conversation.unread_threads,
            disappear_after: conversation.disappear_after.map(Lifetime::seconds),
            last_message: conversation.last_message.as_ref().map(MessageView::of),
        }
    }
}
