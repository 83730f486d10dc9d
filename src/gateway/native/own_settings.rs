//! `setRoom`.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall, place};
use crate::{
    error::Result,
    gateway::wire::{self, ConversationView, NewRoomDraft, NotifyName, OwnSettings, Time},
};

/// One's own settings of a room. What is not given stays.
// It has the fields of `OwnSettings` itself: with `flatten`, serde cannot read the content of a draft, a `RawValue`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetRoom {
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    #[schema(nullable = false)]
    notify: Option<NotifyName>,
    /// null ends it.
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<Time>)]
    muted_until: Option<Option<String>>,
    #[schema(nullable = false)]
    archived: Option<bool>,
    /// Until the user reads the room, or writes into it.
    #[schema(nullable = false)]
    marked_unread: Option<bool>,
    /// null removes it.
    #[serde(default, deserialize_with = "wire::named_or_null")]
    #[schema(value_type = Option<NewRoomDraft>)]
    draft: Option<Option<NewRoomDraft>>,
}

pub async fn set(call: NativeCall<'_, SetRoom>, answer: NativeAnswer<ConversationView<'static>>) {
    let SetRoom { receiver, group, notify, muted_until, archived, marked_unread, draft } = call.payload;
    let settings = OwnSettings { notify, muted_until, archived, marked_unread, draft };
    let socket = call.socket;
    let parsed = place(receiver, group)
        .and_then(|place| settings.change(socket.chat.content_bytes()).map(|change| (place, change)));
    let (place, change) = match parsed {
        Ok(parsed) => parsed,
        Err(err) => return answer.fail(&err),
    };
    let give = |room: Result<_>| match room {
        Ok(room) => answer.succeed(ConversationView::of(&room)),
        Err(err) => answer.fail(&err),
    };
    socket.chat.set_view(&socket.caller(), Some(&socket.connection), place, change, give).await;
}
