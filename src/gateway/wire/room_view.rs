//! A user's own settings of a room: as a client sets them, as a conversation shows them, and what differs now.

use chrono::DateTime;
use entity::{MessageId, RoomId, Seq, message};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Time, named_or_null, raw};
use crate::{
    chat::{ViewChange, model::RoomChange},
    error::{Error, Result},
    room_view::{Notify, RoomDraft},
    values::{Body, Lifetime},
};

/// Which messages of a room to notify the user of. The server stores it, and clients act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Notify)]
pub enum NotifyName {
    All,
    Mentions,
    None,
}

impl NotifyName {
    fn notify(self) -> Notify {
        match self {
            Self::All => Notify::All,
            Self::Mentions => Notify::Mentions,
            Self::None => Notify::None,
        }
    }

    /// `None` for the default.
    pub(super) fn beyond_default(notify: Notify) -> Option<Self> {
        match notify {
            Notify::All => None,
            Notify::Mentions => Some(Self::Mentions),
            Notify::None => Some(Self::None),
        }
    }
}

/// A message that the user has begun to write.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoomDraft)]
pub struct RoomDraftView<'a> {
    #[schema(value_type = String)]
    content: &'a RawValue,
    /// The messageId of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    reply_to: Option<&'a str>,
}

impl<'a> RoomDraftView<'a> {
    pub(super) fn of(draft: &'a RoomDraft) -> Self {
        Self { content: raw(&draft.content), reply_to: draft.reply_to.as_deref() }
    }
}

/// A draft to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewRoomDraft)]
pub struct NewRoomDraft {
    /// A text, limited like that of a message.
    #[schema(value_type = String)]
    content: Box<RawValue>,
    /// The messageId of the message that it answers. The server does not look for it.
    #[schema(nullable = false, format = Uuid)]
    reply_to: Option<String>,
}

impl NewRoomDraft {
    fn draft(self, limit: usize) -> Result<RoomDraft> {
        let body = Body::parse(message::Kind::Text, self.content.get(), limit)?;
        let reply_to = self.reply_to.map(|id| id.parse::<MessageId>()).transpose();
        let reply_to = reply_to.map_err(|_| Error::invalid("replyTo", "must be a messageId"))?;
        Ok(RoomDraft { content: body.json().to_owned(), reply_to: reply_to.map(|id| id.to_string()) })
    }
}

/// One's own settings of a room. What is not given stays.
// Gateways say which room.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnSettings {
    #[schema(nullable = false)]
    pub notify: Option<NotifyName>,
    /// null ends it.
    #[serde(default, deserialize_with = "named_or_null")]
    #[schema(value_type = Option<Time>)]
    pub muted_until: Option<Option<String>>,
    #[schema(nullable = false)]
    pub archived: Option<bool>,
    /// Until the user reads the room, or writes into it.
    #[schema(nullable = false)]
    pub marked_unread: Option<bool>,
    /// null removes it.
    #[serde(default, deserialize_with = "named_or_null")]
    #[schema(value_type = Option<NewRoomDraft>)]
    pub draft: Option<Option<NewRoomDraft>>,
}

impl OwnSettings {
    /// The change of it, with at most so many bytes of a draft's content.
    ///
    /// # Errors
    /// `bad_request`, `too_large`.
    pub fn change(self, limit: usize) -> Result<ViewChange> {
        let time = |text: String| {
            let time = DateTime::parse_from_rfc3339(&text);
            time.map(|time| time.to_utc()).map_err(|_| {
                Error::invalid("mutedUntil", "must be null or a time such as 2026-11-21T12:00:00.000Z")
            })
        };
        Ok(ViewChange {
            notify: self.notify.map(NotifyName::notify),
            muted_until: self.muted_until.map(|until| until.map(time).transpose()).transpose()?,
            archived: self.archived,
            is_marked_unread: self.marked_unread,
            draft: self.draft.map(|draft| draft.map(|new| new.draft(limit)).transpose()).transpose()?,
        })
    }
}

/// Something differs in one of the user's rooms.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoomChanged)]
pub struct RoomChangedView<'a> {
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
    #[schema(value_type = RoomFieldsView)]
    set: RoomFieldsView<'a>,
}

/// The fields of the conversation that differ now, whole. `null`: back at the default, or no longer there.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RoomFields)]
pub struct RoomFieldsView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<i64>, minimum = 0)]
    read: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    unread: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    unread_mentions: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    unread_threads: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    marked_unread: Option<Option<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    archived: Option<Option<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NotifyName>)]
    notify: Option<Option<NotifyName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    muted_until: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RoomDraftView>)]
    draft: Option<Option<RoomDraftView<'a>>>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    disappear_after: Option<Option<u32>>,
}

impl<'a> RoomChangedView<'a> {
    pub fn of(room: RoomId, change: &'a RoomChange) -> Self {
        let set = RoomFieldsView {
            read: change.read,
            unread: change.unread,
            unread_mentions: change.unread_mentions.map(|count| Some(count).filter(|count| *count > 0)),
            unread_threads: change.unread_threads.map(|count| Some(count).filter(|count| *count > 0)),
            marked_unread: change.is_marked_unread.map(|is_set| is_set.then_some(true)),
            archived: change.archived.map(|is_set| is_set.then_some(true)),
            notify: change.notify.map(NotifyName::beyond_default),
            muted_until: change.muted_until.map(muted_until),
            draft: change.draft.as_ref().map(|draft| draft.as_ref().map(RoomDraftView::of)),
            disappear_after: change.disappear_after.map(|after| after.map(Lifetime::seconds)),
        };
        Self { room_id: room, set }
    }
}

pub(super) fn muted_until(until: Option<i64>) -> Option<Time> {
    until.and_then(DateTime::from_timestamp_millis).map(Time)
}
