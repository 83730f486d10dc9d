//! Changes of messages, and pages of them.

use std::borrow::Cow;

use entity::{ChangeNumber, MessageId, RoomId, Seq};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{OneOfBuilder, Schema},
    },
};

use super::{
    Time,
    message::{
        Addressee, ForwardedFromView, MessageSchema, MessageView, ReactionView, addressee, data, deleted_by,
        edits, mentions, pinned_at, pinned_by, reactions,
    },
    raw,
};
use crate::chat::model::{Alteration, ChangesPage, Message, MessageChange, MessageVersion, Page, Reaction};

/// A message was changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageChanged)]
pub struct MessageChangedView<'a> {
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
    /// As in the message: a username for a direct room, the groupId for a group, the roomId for the lobby.
    #[schema(value_type = String)]
    receiver: Addressee<'a>,
    group: bool,
    #[schema(value_type = String, format = Uuid)]
    message_id: MessageId,
    /// The message's.
    #[schema(value_type = i64, minimum = 1)]
    seq: Seq,
    /// The position of this change among the changes of its room: 1, 2, 3, ...
    #[schema(value_type = i64, minimum = 1)]
    change: ChangeNumber,
    at: Time,
    /// The username of who has made it; not in a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<&'a str>,
    what: Vec<WhatChanged>,
    set: ChangedFields<'a>,
    /// Everyone who has reacted in this change, or has withdrawn a reaction.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reacted: Vec<ReactedView<'a>>,
    /// The usernames of those whom an edit mentions and who were not mentioned before.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    mentioned: &'a [String],
}

/// A user has reacted with a key, or has withdrawn that.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Reacted)]
pub struct ReactedView<'a> {
    username: &'a str,
    key: &'a str,
    on: bool,
}

/// What a change has done. `caught-up`: anything, the message is sent as it stands now.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhatChanged {
    Edited,
    Deleted,
    Reactions,
    Pinned,
    CaughtUp,
}

/// The fields of the message that may differ now, whole. `null`: no longer there.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangedFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Value>)]
    content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    edited_at: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    edits: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<Time>,
    /// The username.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = true, value_type = Option<Vec<ReactionView>>)]
    reactions: Option<Option<Vec<ReactionView<'a>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    pinned_at: Option<Option<Time>>,
    /// The username.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pinned_by: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    mentions: Option<Option<&'a [String]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Option<&'a RawValue>>,
    /// Only `null`, of a deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    mentions_all: Option<()>,
    /// Only `null`, of a deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ForwardedFromView>)]
    forwarded_from: Option<()>,
    /// Only `null`, of a deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    expires_at: Option<()>,
    /// Only `null`, of a deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    reply_seq: Option<()>,
    /// Only `null`, of a deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reply_to: Option<()>,
    /// Only `null`, of a deleted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    client_message_id: Option<()>,
}

impl<'a> ChangedFields<'a> {
    /// The fields that these changes may have touched.
    fn of(message: &'a Message, what: &[Alteration], extras_changed: bool) -> Self {
        let row = &message.row;
        let is_deleted = row.deleted_at.is_some();
        let is_any = what.contains(&Alteration::CaughtUp) || is_deleted;
        let mut fields = Self::default();
        if is_any || what.contains(&Alteration::Edited) {
            fields.content = Some(raw(&row.content));
            fields.edited_at = Some(row.edited_at.map(Time));
            fields.edits = Some(edits(message));
            if is_any || extras_changed {
                fields.mentions = Some(Some(mentions(message)).filter(|mentions| !mentions.is_empty()));
                fields.data = Some(data(message));
            }
        }
        if is_any || what.contains(&Alteration::Reactions) {
            fields.reactions = Some(Some(reactions(message)).filter(|reactions| !reactions.is_empty()));
        }
        if is_any || what.contains(&Alteration::Pinned) {
            (fields.pinned_at, fields.pinned_by) = (Some(pinned_at(message)), Some(pinned_by(message)));
        }
        if is_deleted {
            fields.deleted_at = row.deleted_at.map(Time);
            fields.deleted_by = deleted_by(message);
            fields.reply_to = Some(());
            fields.client_message_id = Some(());
            fields.reply_seq = Some(());
            fields.mentions_all = Some(());
            fields.forwarded_from = Some(());
            fields.expires_at = Some(());
        }
        fields
    }
}

impl<'a> MessageChangedView<'a> {
    pub fn of(change: &'a MessageChange) -> Self {
        let message = &*change.message;
        let row = &message.row;
        let (receiver, group) = addressee(message);
        let what = change.what.iter().map(|what| match what {
            Alteration::Edited => WhatChanged::Edited,
            Alteration::Deleted => WhatChanged::Deleted,
            Alteration::Reactions => WhatChanged::Reactions,
            Alteration::Pinned => WhatChanged::Pinned,
            Alteration::CaughtUp => WhatChanged::CaughtUp,
        });
        let reacted = change.reacted.iter().map(|reacted| ReactedView {
            username: &reacted.username,
            key: &reacted.key,
            on: reacted.on,
        });
        Self {
            room_id: row.room_id,
            receiver,
            group,
            message_id: row.id,
            seq: row.seq,
            change: change.number,
            at: Time(change.at),
            by: change.by.as_deref(),
            what: what.collect(),
            set: ChangedFields::of(message, &change.what, change.extras_changed),
            reacted: reacted.collect(),
            mentioned: &change.mentioned,
        }
    }
}

/// Changed messages of a room, each once and as it stands now, ascending by `change`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Changes)]
pub struct ChangesView<'a> {
    #[schema(value_type = Vec<MessageChangedView>)]
    changes: Vec<MessageChangedView<'a>>,
    /// With this page, the reader has everything up to this change.
    #[schema(value_type = i64, minimum = 0)]
    change: ChangeNumber,
    /// Whether there are more.
    more: bool,
}

impl<'a> ChangesView<'a> {
    pub fn of(page: &'a ChangesPage) -> Self {
        let changes = page.changes.iter().map(MessageChangedView::of).collect();
        Self { changes, change: page.change, more: page.has_more }
    }
}

/// A content that a message had before an edit.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MessageVersion)]
pub struct VersionView<'a> {
    /// As in the message.
    #[schema(value_type = Value)]
    content: &'a RawValue,
    /// When this content was written.
    at: Time,
}

/// The contents that a message had before its edits, oldest first; at most 50.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Edits)]
pub struct EditsView<'a> {
    #[schema(value_type = Vec<VersionView>)]
    versions: Vec<VersionView<'a>>,
}

impl<'a> EditsView<'a> {
    pub fn of(versions: &'a [MessageVersion]) -> Self {
        let view = |version: &'a MessageVersion| VersionView {
            content: raw(&version.content),
            at: Time(version.at),
        };
        Self { versions: versions.iter().map(view).collect() }
    }
}

/// A user's reaction to a message.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UserReaction)]
pub struct UserReactionView<'a> {
    username: &'a str,
    key: &'a str,
    at: Time,
}

/// Who has reacted to a message, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = UserReactions)]
pub struct UserReactionsView<'a> {
    #[schema(value_type = Vec<UserReactionView>)]
    users: Vec<UserReactionView<'a>>,
    /// Where the next part begins; left out in the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    after: Option<&'a str>,
}

impl<'a> UserReactionsView<'a> {
    pub fn of(page: &'a Page<Reaction>) -> Self {
        let view = |reaction: &'a Reaction| UserReactionView {
            username: &reaction.username,
            key: &reaction.key,
            at: Time(reaction.at),
        };
        Self { users: page.items.iter().map(view).collect(), after: page.next.as_deref() }
    }
}

/// What was deleted: the one message, as it stands now, or how many.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum DeletedView<'a> {
    One(Box<MessageView<'a>>),
    Several(Deleted),
}

impl PartialSchema for DeletedView<'_> {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(MessageSchema::name()))
            .item(Ref::from_schema_name(Deleted::name()))
            .into()
    }
}

impl ToSchema for DeletedView<'_> {
    fn name() -> Cow<'static, str> {
        "DeletedMessages".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((MessageSchema::name().into_owned(), MessageSchema::schema()));
        MessageSchema::schemas(schemas);
        schemas.push((Deleted::name().into_owned(), Deleted::schema()));
    }
}

/// How many messages were named. They are all deleted now.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Deleted {
    #[schema(minimum = 1)]
    pub deleted: usize,
}
