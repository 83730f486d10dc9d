//! `/api/rooms/{id}/messages`: the messages of a room. The socket gateways send messages.

use axum::{extract::State, response::Response};
use entity::{RoomId, Seq};
use serde::Deserialize;

use super::{
    Rest, answer,
    extract::{PathParameter, QueryParameters},
    openapi::{Always, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing},
};
use crate::{
    chat::{HistoryQuery, Place},
    error::Result,
    gateway::wire::HistoryView,
    identity::Caller,
};

/// Which messages to return. Without parameters, the newest.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// Only messages before this seq. The newest of them are returned.
    before: Option<u64>,
    /// Only messages after this seq. The oldest of them are returned.
    after: Option<u64>,
    /// The maximum number of messages: 50 by default, at most 200.
    limit: Option<u64>,
    /// Whether the answer says up to which change it shows everything.
    changes: Option<bool>,
}

/// List the messages of one of the caller's rooms, oldest first.
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
    PathParameter(room): PathParameter<RoomId>,
    QueryParameters(span): QueryParameters<Span>,
) -> Result<Response> {
    // A larger number means "the newest": no seq can be greater than the maximum.
    let seq = |at| Seq(i64::try_from(at).unwrap_or(i64::MAX));
    let query = HistoryQuery {
        before: span.before.map(seq),
        after: span.after.map(seq),
        limit: span.limit,
        changes: span.changes.unwrap_or(false),
    };
    let page = rest.chat.history(&caller, Place::Room(room), query).await?;
    answer::ok(HistoryView::of(&page))
}
