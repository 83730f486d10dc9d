//! `/api/rooms/{id}/settings`: the caller's own settings of a room.

use axum::{extract::State, response::Response};
use entity::RoomId;

use super::{
    Rest, answer,
    extract::{Json, PathParameter},
    openapi::{Always, NeedsBody, NeedsCaller, NeedsRight, NeedsThing},
};
use crate::{
    chat::Place,
    error::Result,
    gateway::wire::{ConversationSchema, ConversationView, OwnSettings},
    identity::Caller,
};

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
    let change = settings.change(rest.chat.content_bytes())?;
    let respond = |room: Result<_>| answer::ok(ConversationView::of(&room?));
    rest.chat.set_view(&caller, None, Place::Room(room), change, respond).await
}
