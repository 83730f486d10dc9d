//! Changes of messages, and pages of them.

use entity::{ChangeNumber, MessageId, RoomId, Seq};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    Time,
    message::{Addressee, addressee, edits},
    raw,
};
use crate::chat::model::{Alteration, ChangesPage, MessageChange, MessageVersion};

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
}

/// What a change has done. `caught-up`: anything, the message is sent as it stands now.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhatChanged {
    Edited,
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
}

impl<'a> MessageChangedView<'a> {
    pub fn of(change: &'a MessageChange) -> Self {
        let message = &*change.message;
        let row = &message.row;
        let (receiver, group) = addressee(message);
        let mut set = ChangedFields::default();
        let what = change.what.iter().map(|what| {
            // An edit is all that can happen to a message so far, so both name the same fields.
            set.content = Some(raw(&row.content));
            set.edited_at = Some(row.edited_at.map(Time));
            set.edits = Some(edits(message));
            match what {
                Alteration::Edited => WhatChanged::Edited,
                Alteration::CaughtUp => WhatChanged::CaughtUp,
            }
        });
        let what = what.collect();
        Self {
            room_id: row.room_id,
            receiver,
            group,
            message_id: row.id,
            seq: row.seq,
            change: change.number,
            at: Time(change.at),
            by: change.by.as_deref(),
            what,
            set,
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
