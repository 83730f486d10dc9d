//! The JSON forms of docs/events.md, shared by every gateway that speaks the native form. The gateways
//! decide which form to send where. The core decides what a caller may see.

pub mod bounded;
pub mod forms;

mod conversation;
pub mod draft_fields;
mod error;
mod group;
mod member;
mod message;
mod message_change;
mod room_view;
#[cfg(test)]
mod tests;
mod thread;
mod time;
mod user;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub use self::{
    conversation::{ConversationSchema, ConversationView},
    draft_fields::{DraftFields, edit_of},
    error::{ErrorCode, Refusal, counted},
    group::{GroupPageView, GroupView},
    member::{MemberPageView, MemberView, RoleName},
    message::{ENCRYPTED, HistoryView, MessageSchema, MessageView, TEXT},
    message_change::{ChangesView, Deleted, DeletedView, EditsView, MessageChangedView, UserReactionsView},
    room_view::{NewRoomDraft, NotifyName, OwnSettings, RoomChangedView},
    thread::ThreadsView,
    time::Time,
    user::{UserPageView, UserRef, UserView},
};

/// Stored JSON, unchanged. It was checked when it was received. If it is broken anyway, null is better than a
/// whole page that a client cannot read.
/// For a field that may be null: distinguishes null from a missing field.
pub fn named_or_null<'de, D, T>(input: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(input).map(Some)
}

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}
