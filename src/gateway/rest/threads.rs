//! `/api/rooms/{id}/threads`, `/api/rooms/{id}/read`, and `/api/messages/{id}/{follow,forward}`.

use axum::{extract::State, http::StatusCode, response::Response};
use entity::{MessageId, RoomId, Seq};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Rest, answer,
    changes::{answered, reply},
    extract::{Json, PathParameter, QueryParameters},
    messages::place,
    openapi::{Always, NeedsBody, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing},
};
use crate::{
    chat::{Forward, ListThreads, Place, ReadThreads},
    error::Result,
    gateway::wire::{MessageSchema, MessageView, ThreadsView, bounded::ANSWER_BYTES},
    identity::Caller,
    values::ClientMessageId,
};

/// Which threads to return.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ThreadList {
    /// Only threads that the caller follows, with unread replies.
    unread: Option<bool>,
    /// Only threads whose newest reply is before this seq.
    before: Option<u64>,
    /// The maximum number of threads: 20 by default, at most 100.
    limit: Option<u64>,
}

/// List the threads of a room, those with the newest reply first.
#[utoipa::path(
    get, path = "/api/rooms/{id}/threads", tag = "rooms", operation_id = "listThreads",
    params(("id" = Uuid, Path, description = "A roomId"), ThreadList),
    responses(
        (status = 200, description = "The threads", body = ThreadsView),
        NeedsQuery, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    QueryParameters(ThreadList { unread, before, limit }): QueryParameters<ThreadList>,
) -> Result<Response> {
    let before = before.map(|seq| Seq(i64::try_from(seq).unwrap_or(i64::MAX)));
    let list = ListThreads { unread: unread.unwrap_or(false), before, limit };
    let (threads, more) = rest.chat.threads(&caller, Place::Room(room), list).await?;
    answer::ok(ThreadsView::of(ANSWER_BYTES, &threads, more)?)
}

/// Whether the caller follows the thread now.
#[derive(Serialize, ToSchema)]
pub struct Follows {
    following: bool,
}

/// Follow the thread that a message begins or is in.
#[utoipa::path(
    put, path = "/api/messages/{id}/follow", tag = "rooms", operation_id = "followThread",
    params(("id" = Uuid, Path, description = "A messageId")),
    responses(
        (status = 200, description = "The caller follows it", body = Follows),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn follow(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
) -> Result<Response> {
    answer::ok(Follows { following: rest.chat.follow_thread(&caller, message, true).await? })
}

/// Stop following the thread that a message begins or is in.
#[utoipa::path(
    delete, path = "/api/messages/{id}/follow", tag = "rooms", operation_id = "unfollowThread",
    params(("id" = Uuid, Path, description = "A messageId")),
    responses(
        (status = 200, description = "The caller does not follow it", body = Follows),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn unfollow(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
) -> Result<Response> {
    answer::ok(Follows { following: rest.chat.follow_thread(&caller, message, false).await? })
}

/// How far a room was read, or its threads.
#[derive(Deserialize, ToSchema)]
pub struct ReadMark {
    #[schema(minimum = 0)]
    seq: u64,
    /// The root of a thread, or a message in it: its replies were read, and not the room.
    #[schema(nullable = false, value_type = Option<String>, format = Uuid)]
    thread: Option<MessageId>,
    /// The replies of all threads were read that the caller follows, and not the room.
    #[serde(default)]
    #[schema(required = false)]
    threads: bool,
}

/// The current receipt.
#[derive(Serialize, ToSchema)]
pub struct ReadReceipt {
    #[schema(value_type = i64, minimum = 0)]
    seq: Seq,
}

/// Note that the caller has read everything up to `seq`, or the replies of one thread or of all followed ones.
#[utoipa::path(
    post, path = "/api/rooms/{id}/read", tag = "rooms", operation_id = "markRead",
    params(("id" = Uuid, Path, description = "A roomId")),
    request_body = ReadMark,
    responses(
        (status = 200, description = "The current receipt", body = ReadReceipt),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn read(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    Json(ReadMark { seq, thread, threads }): Json<ReadMark>,
) -> Result<Response> {
    let seq = Seq(i64::try_from(seq).unwrap_or(i64::MAX));
    let place = Place::Room(room);
    let seq = match (thread, threads) {
        (Some(thread), _) => {
            rest.chat.mark_threads_read(&caller, place, ReadThreads::One(thread), seq).await?
        }
        (None, true) => rest.chat.mark_threads_read(&caller, place, ReadThreads::All, seq).await?,
        (None, false) => rest.chat.mark_read(&caller, None, place, seq).await?,
    };
    answer::ok(ReadReceipt { seq })
}

/// Where to forward a message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardMessage {
    /// A username, or a groupId if `group` is true.
    receiver: String,
    #[serde(default)]
    #[schema(required = false)]
    group: bool,
    /// A text that is sent before the copy.
    #[schema(nullable = false)]
    comment: Option<String>,
    /// As for every message; the comment has the same with `:comment` behind it.
    #[schema(nullable = false)]
    client_message_id: Option<String>,
}

/// Send a copy of a message to another room.
#[utoipa::path(
    post, path = "/api/messages/{id}/forward", tag = "rooms", operation_id = "forwardMessage",
    params(("id" = Uuid, Path, description = "A messageId")),
    request_body = ForwardMessage,
    responses(
        (status = 201, description = "The copy", body = MessageSchema),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn forward(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
    Json(ForwardMessage { receiver, group, comment, client_message_id }): Json<ForwardMessage>,
) -> Result<Response> {
    let place = place(Some(receiver), group, false)?;
    let client_message_id = client_message_id.as_deref().map(ClientMessageId::parse).transpose()?;
    let (reply, copied) = reply();
    rest.chat.forward(&caller, None, place, Forward { message, comment, client_message_id }, reply).await;
    answer::json(StatusCode::CREATED, MessageView::of(&*answered(copied).await?))
}
