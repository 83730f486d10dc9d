//! `/api/rooms/{id}/messages` and `/api/messages`: reads and sends messages.

use axum::{extract::State, http::StatusCode, response::Response};
use entity::{RoomId, Seq};
use serde::Deserialize;

use super::{
    Rest, answer,
    changes::{answered, reply},
    extract::{Json, PathParameter, QueryParameters},
    openapi::{Always, NeedsBody, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing},
};
use crate::{
    chat::{HistoryQuery, Place},
    error::{Entity, Error, Result},
    gateway::wire::{
        HistoryView, MessageSchema, MessageView,
        bounded::{ANSWER_BYTES, Bounded},
        draft_fields::draft,
    },
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
    /// The message with this seq, with messages before and after it, and without `before` and `after`.
    around: Option<u64>,
    /// Only pinned messages.
    pinned: Option<bool>,
    /// The messageId of the root of a thread, or of a message in it: only the root and its replies.
    #[param(value_type = Option<Uuid>)]
    thread: Option<String>,
    /// The maximum number of messages: 50 by default, at most 200.
    limit: Option<u64>,
    /// Whether the answer says up to which change it shows everything, and has the messages that these answer.
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
    let thread = span.thread.map(|id| id.parse());
    let query = HistoryQuery {
        before: span.before.map(seq),
        after: span.after.map(seq),
        around: span.around.map(seq),
        pinned: span.pinned.unwrap_or(false),
        thread: thread.transpose().map_err(|_| Error::NotFound(Entity::Message))?,
        limit: span.limit,
        changes: span.changes.unwrap_or(false),
    };
    let page = rest.chat.history(&caller, Place::Room(room), query).await?;
    answer::ok(HistoryView::of(&page))
}

/// Which messages to return.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessagesWanted {
    /// At most 100 messageIds, separated by commas.
    ids: String,
}

/// Read messages by their ids: those that exist and that the caller may read, in this order.
#[utoipa::path(
    get, path = "/api/messages", tag = "rooms", operation_id = "getMessages",
    params(MessagesWanted),
    responses(
        (status = 200, description = "The messages; they end at 512 KB", body = [MessageSchema]),
        NeedsQuery, NeedsCaller, Always
    )
)]
pub async fn get(
    State(rest): State<Rest>,
    caller: Caller,
    QueryParameters(MessagesWanted { ids }): QueryParameters<MessagesWanted>,
) -> Result<Response> {
    // Text that is not an id names no message.
    let ids = ids.split(',').filter_map(|id| id.parse().ok()).collect();
    let messages = rest.chat.messages(&caller, ids).await?;
    answer::ok(Bounded::of(ANSWER_BYTES, messages.iter().map(MessageView::of))?)
}

draft! {
    /// A message, and where it goes.
    pub struct MessageToSend {
        /// A username, or a groupId if `group` is true. Not in the lobby.
        #[schema(nullable = false)]
        receiver: Option<String>,
        #[serde(default)]
        #[schema(required = false)]
        group: bool,
        /// Writes to everyone, and needs no receiver.
        #[serde(default)]
        #[schema(required = false)]
        lobby: bool,
    }
}

/// Where a message goes.
pub(super) fn place(receiver: Option<String>, group: bool, lobby: bool) -> Result<Place> {
    match (lobby, receiver) {
        (true, _) => Ok(Place::Lobby),
        (false, Some(receiver)) if group => {
            Ok(Place::Room(receiver.parse().map_err(|_| Error::NotFound(Entity::Group))?))
        }
        (false, Some(receiver)) => Ok(Place::User(receiver)),
        (false, None) => Err(Error::invalid("receiver", "is needed, except in the lobby")),
    }
}

/// Send a message. It is stored and delivered when the answer comes.
#[utoipa::path(
    post, path = "/api/messages", tag = "rooms", operation_id = "sendMessage",
    request_body = MessageToSend,
    responses(
        (status = 201, description = "The stored message", body = MessageSchema),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn send(
    State(rest): State<Rest>,
    caller: Caller,
    Json(new): Json<MessageToSend>,
) -> Result<Response> {
    let ((receiver, group, lobby), fields) = new.parts();
    let place = place(receiver, group, lobby)?;
    let draft = fields.draft(rest.chat.content_bytes())?;
    let (reply, stored) = reply();
    rest.chat.send(&caller, None, place, draft, reply).await;
    answer::json(StatusCode::CREATED, MessageView::of(&*answered(stored).await?))
}
