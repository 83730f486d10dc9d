//! `/api/rooms/{id}/settings`: the caller's own settings of a room.

use axum::{extract::State, response::Response};
use entity::RoomId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Rest, answer,
    extract::{self, Json, PathParameter},
    openapi::{Always, NeedsBody, NeedsCaller, NeedsRight, NeedsThing},
};
use crate::{
    chat::Place,
    error::Result,
    gateway::wire::{ConversationSchema, ConversationView, NewRoomDraft, NotifyName, Time, ViewFields},
    identity::Caller,
};

/// One's own settings of a room. What is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnSettings {
    #[schema(nullable = false)]
    notify: Option<NotifyName>,
    /// null ends it.
    #[serde(default, deserialize_with = "extract::named")]
    #[schema(value_type = Option<Time>)]
    muted_until: Option<Option<String>>,
    #[schema(nullable = false)]
    archived: Option<bool>,
    /// Until the user reads the room, or writes into it.
    #[schema(nullable = false)]
    marked_unread: Option<bool>,
    /// null removes it.
    #[serde(default, deserialize_with = "extract::named")]
    #[schema(value_type = Option<NewRoomDraft>)]
    draft: Option<Option<NewRoomDraft>>,
}

/// Change the caller's own settings of a room. The caller's sockets receive `roomChanged`.
#[utoipa::path(
    patch, path = "/api/rooms/{id}/settings", tag = "rooms", operation_id = "setRoom",
    params(("id" = Uuid, Path, description = "A roomId")),
    request_body = OwnSettings,
    responses(
        (status = 200, description = "The conversation as it is now", body = ConversationSchema),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn set(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    Json(settings): Json<OwnSettings>,
) -> Result<Response> {
    let OwnSettings { notify, muted_until, archived, marked_unread, draft } = settings;
    let fields = ViewFields { notify, muted_until, archived, marked_unread, draft };
    let change = fields.change(rest.chat.content_bytes())?;
    let respond = |room: Result<_>| answer::ok(ConversationView::of(&room?));
    rest.chat.set_view(&caller, None, Place::Room(room), change, respond).await
}
