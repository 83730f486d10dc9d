//! `/api/messages/{id}` and `/api/rooms/{id}/changes`: what is done to messages after they were sent.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use entity::{ChangeNumber, MessageId, RoomId, Seq};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::{
    Rest, answer,
    extract::{Json, PathParameter, QueryParameters},
    openapi::{Always, NeedsBody, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing},
};
use crate::{
    chat::{ChangesQuery, DeleteMessages, Reply, model::Message},
    error::{Error, Result, Unavailable},
    gateway::wire::{ChangesView, Deleted, EditsView, MessageSchema, MessageView, edit_of},
    identity::Caller,
};

/// What to replace in a message. What is left out stays.
#[derive(Deserialize, ToSchema)]
pub struct MessageEdit {
    /// As in the message: a string; for `encrypted` any JSON.
    #[schema(nullable = false, value_type = Option<Value>)]
    content: Option<Box<RawValue>>,
    /// The usernames of at most 50 members. Without them, `@username` in a new text mentions.
    #[schema(nullable = false)]
    mentions: Option<Vec<String>>,
    /// A JSON object of at most 4 KiB.
    #[schema(nullable = false, value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
}

/// Edit one's own message. The same content again changes nothing.
#[utoipa::path(
    patch, path = "/api/messages/{id}", tag = "rooms", operation_id = "editMessage",
    params(("id" = Uuid, Path, description = "A messageId")),
    request_body = MessageEdit,
    responses(
        (status = 200, description = "The message as it stands now", body = MessageSchema),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn edit(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
    Json(MessageEdit { content, mentions, data }): Json<MessageEdit>,
) -> Result<Response> {
    let edit = edit_of(content, mentions, data)?;
    let (reply, edited) = reply();
    rest.chat.edit_message(&caller, None, message, edit, reply).await;
    answer::ok(MessageView::of(&*answered(edited).await?))
}

/// Why messages are deleted.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeletionReason {
    /// For the server's log, at most 500 bytes.
    reason: Option<String>,
}

/// Delete one's own message, or as a moderator anyone's. To delete it again changes nothing.
#[utoipa::path(
    delete, path = "/api/messages/{id}", tag = "rooms", operation_id = "deleteMessage",
    params(("id" = Uuid, Path, description = "A messageId"), DeletionReason),
    responses(
        (status = 200, description = "The message as it stands now", body = MessageSchema),
        NeedsQuery, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn delete(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
    QueryParameters(DeletionReason { reason }): QueryParameters<DeletionReason>,
) -> Result<Response> {
    let (reply, deleted) = reply();
    rest.chat.delete_messages(&caller, None, DeleteMessages { messages: vec![message], reason }, reply).await;
    answer::ok(MessageView::of(&*answered(deleted).await?))
}

/// Pin a message. To do it again changes nothing.
#[utoipa::path(
    put, path = "/api/messages/{id}/pin", tag = "rooms", operation_id = "pinMessage",
    params(("id" = Uuid, Path, description = "A messageId")),
    responses(
        (status = 200, description = "The message as it stands now", body = MessageSchema),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn pin(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
) -> Result<Response> {
    set_pin(&rest, &caller, message, true).await
}

/// Take the pin away from a message. To do it again changes nothing.
#[utoipa::path(
    delete, path = "/api/messages/{id}/pin", tag = "rooms", operation_id = "unpinMessage",
    params(("id" = Uuid, Path, description = "A messageId")),
    responses(
        (status = 200, description = "The message as it stands now", body = MessageSchema),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn unpin(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
) -> Result<Response> {
    set_pin(&rest, &caller, message, false).await
}

async fn set_pin(rest: &Rest, caller: &Caller, message: MessageId, on: bool) -> Result<Response> {
    let (reply, changed) = reply();
    rest.chat.pin_message(caller, None, message, on, reply).await;
    answer::ok(MessageView::of(&*answered(changed).await?))
}

/// Which messages to delete.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeletion {
    /// Up to 100 messages of one room.
    #[schema(value_type = Vec<uuid::Uuid>)]
    message_ids: Vec<MessageId>,
    /// For the server's log, at most 500 bytes.
    reason: Option<String>,
}

/// Delete up to 100 messages of a room, all of them or none.
#[utoipa::path(
    post, path = "/api/messages/delete", tag = "rooms", operation_id = "deleteMessages",
    request_body = MessageDeletion,
    responses(
        (status = 200, description = "How many were named; they are all deleted now", body = Deleted),
        NeedsBody, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn delete_several(
    State(rest): State<Rest>,
    caller: Caller,
    Json(MessageDeletion { message_ids: messages, reason }): Json<MessageDeletion>,
) -> Result<Response> {
    let (reply, deleted) = reply();
    let count = messages.len();
    rest.chat.delete_messages(&caller, None, DeleteMessages { messages, reason }, reply).await;
    answered(deleted).await?;
    answer::ok(Deleted { deleted: count })
}

/// A reply that is waited for.
pub(super) fn reply() -> (Reply, oneshot::Receiver<Result<Arc<Message>>>) {
    let (reply, replied) = oneshot::channel();
    (Box::new(move |message| drop(reply.send(message))), replied)
}

pub(super) async fn answered(replied: oneshot::Receiver<Result<Arc<Message>>>) -> Result<Arc<Message>> {
    replied.await.map_err(|_| Error::Unavailable(Unavailable::Draining))?
}

/// Read what a message said before it was edited.
#[utoipa::path(
    get, path = "/api/messages/{id}/edits", tag = "rooms", operation_id = "listEdits",
    params(("id" = Uuid, Path, description = "A messageId")),
    responses(
        (status = 200, description = "The earlier contents, oldest first", body = EditsView),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn edits(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
) -> Result<Response> {
    answer::ok(EditsView::of(&rest.chat.edits(&caller, message).await?))
}

/// Which changes to return.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesSpan {
    /// Only changes after this one. By default 0.
    #[serde(default)]
    after: u64,
    /// Only of messages from this seq on.
    from: Option<u64>,
    /// The maximum number of messages: 50 by default, at most 200.
    limit: Option<u64>,
}

/// List the changed messages of one of the caller's rooms, each once and as it stands now, ascending by their newest
/// change.
#[utoipa::path(
    get, path = "/api/rooms/{id}/changes", tag = "rooms", operation_id = "listChanges",
    params(("id" = Uuid, Path, description = "A roomId"), ChangesSpan),
    responses(
        (status = 200, description = "The changed messages", body = ChangesView),
        NeedsQuery, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(room): PathParameter<RoomId>,
    QueryParameters(span): QueryParameters<ChangesSpan>,
) -> Result<Response> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let query = ChangesQuery {
        after: ChangeNumber(number(span.after)),
        from: Seq(number(span.from.unwrap_or(0))),
        limit: span.limit,
    };
    let page = rest.chat.changes(&caller, room, query).await?;
    answer::ok(ChangesView::of(&page))
}
