//! `/api/rooms/{id}/messages`: what was said in a room. Sending is left to the socket gateways.

use axum::{extract::State, response::Response};
use entity::{RoomId, Seq};
use serde::Deserialize;

use super::{
    Rest, answer,
    extract::{At, Wanted},
    openapi::{Always, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing},
};
use crate::{
    chat::{HistoryQuery, Place, caller::Caller},
    error::Result,
    gateway::wire::HistoryView,
};

/// Which messages: the newest, if nothing is said.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// Only those before this seq, the nearest to it.
    before: Option<u64>,
    /// Only those after this seq, the nearest to it.
    after: Option<u64>,
    /// 50 if not given; at most 200.
    limit: Option<u64>,
}

/// Messages of a room of one's own, oldest first.
#[utoipa::path(
    get, path = "/api/rooms/{id}/messages", tag = "rooms", operation_id = "listMessages",
    params(("id" = Uuid, Path, description = "A roomId"), Span),
    responses(
        (status = 200, description = "The messages", body = HistoryView),
        NeedsQuery, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    At(room): At<RoomId>,
    Wanted(span): Wanted<Span>,
) -> Result<Response> {
    // Past the last there can be, which is a way to say "the newest".
    let seq = |at| Seq(i64::try_from(at).unwrap_or(i64::MAX));
    let query = HistoryQuery { before: span.before.map(seq), after: span.after.map(seq), limit: span.limit };
    let page = rest.chat.history(&caller, Place::Room(room), query).await?;
    answer::ok(HistoryView::of(&page))
}
