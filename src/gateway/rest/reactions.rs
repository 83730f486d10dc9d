//! `/api/messages/{id}/reactions`: who has reacted to a message.

use axum::{extract::State, response::Response};
use entity::MessageId;
use serde::Deserialize;

use super::{
    Rest, answer,
    changes::{answered, reply},
    extract::{PathParameter, QueryParameters},
    openapi::{Always, NeedsCaller, NeedsQuery, NeedsRight, NeedsThing},
};
use crate::{
    chat::{React, ReactionsQuery},
    error::Result,
    gateway::wire::{MessageSchema, MessageView, UserReactionsView},
    identity::Caller,
    values::ReactionKey,
};

/// React to a message. To do it again changes nothing.
#[utoipa::path(
    put, path = "/api/messages/{id}/reactions/{key}", tag = "rooms", operation_id = "react",
    params(
        ("id" = Uuid, Path, description = "A messageId"),
        ("key" = String, Path, description = "Such as an emoji: 1 to 64 bytes, URL-encoded")
    ),
    responses(
        (status = 200, description = "The message as it stands now", body = MessageSchema),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn add(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter((message, key)): PathParameter<(MessageId, String)>,
) -> Result<Response> {
    set(&rest, &caller, message, &key, true).await
}

/// Withdraw a reaction. To do it again changes nothing.
#[utoipa::path(
    delete, path = "/api/messages/{id}/reactions/{key}", tag = "rooms", operation_id = "withdrawReaction",
    params(
        ("id" = Uuid, Path, description = "A messageId"),
        ("key" = String, Path, description = "Such as an emoji: 1 to 64 bytes, URL-encoded")
    ),
    responses(
        (status = 200, description = "The message as it stands now", body = MessageSchema),
        NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn withdraw(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter((message, key)): PathParameter<(MessageId, String)>,
) -> Result<Response> {
    set(&rest, &caller, message, &key, false).await
}

async fn set(rest: &Rest, caller: &Caller, message: MessageId, key: &str, on: bool) -> Result<Response> {
    let (reply, changed) = reply();
    let react = React { key: ReactionKey::parse(key)?, on };
    rest.chat.react(caller, None, message, react, reply).await;
    answer::ok(MessageView::of(&*answered(changed).await?))
}

/// Whose reactions to return.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReactionList {
    /// Only reactions with this key.
    key: Option<String>,
    /// `after` of the part before.
    after: Option<String>,
    /// The maximum number of reactions: 50 by default, at most 200.
    limit: Option<u64>,
}

/// List who has reacted to a message, oldest first.
#[utoipa::path(
    get, path = "/api/messages/{id}/reactions", tag = "rooms", operation_id = "listReactions",
    params(("id" = Uuid, Path, description = "A messageId"), ReactionList),
    responses(
        (status = 200, description = "The reactions", body = UserReactionsView),
        NeedsQuery, NeedsCaller, NeedsRight, NeedsThing, Always
    )
)]
pub async fn list(
    State(rest): State<Rest>,
    caller: Caller,
    PathParameter(message): PathParameter<MessageId>,
    QueryParameters(ReactionList { key, after, limit }): QueryParameters<ReactionList>,
) -> Result<Response> {
    let page = rest.chat.reactions(&caller, message, ReactionsQuery { key, after, limit }).await?;
    answer::ok(UserReactionsView::of(&page))
}
