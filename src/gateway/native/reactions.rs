//! `react` and `reactions`.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    NativeAnswer, NativeCall,
    changes::{message_id, message_reply},
};
use crate::{
    chat::{React, ReactionsQuery},
    gateway::wire::{MessageView, UserReactionsView},
    values::ReactionKey,
};

/// A reaction, or its withdrawal.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReactRequest {
    #[schema(format = Uuid)]
    message_id: String,
    /// Such as an emoji: 1 to 64 bytes.
    key: String,
    /// `false` withdraws the reaction.
    on: bool,
}

/// Whose reactions to return.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReactionsRequest {
    #[schema(format = Uuid)]
    message_id: String,
    /// Only reactions with this key.
    #[schema(nullable = false)]
    key: Option<String>,
    /// `after` of the part before.
    #[schema(nullable = false)]
    after: Option<String>,
    /// The most reactions: 50 by default, at most 200.
    #[schema(nullable = false)]
    limit: Option<u32>,
}

pub async fn react(call: NativeCall<'_, ReactRequest>, answer: NativeAnswer<MessageView<'static>>) {
    let ReactRequest { message_id: message, key, on } = call.payload;
    let (message, key) = match message_id(&message).and_then(|id| Ok((id, ReactionKey::parse(&key)?))) {
        Ok(wanted) => wanted,
        Err(err) => return answer.fail(&err),
    };
    let reply = message_reply(answer);
    let socket = call.socket;
    let react = React { key, on };
    socket.chat.react(&socket.caller(), Some(&socket.connection), message, react, reply).await;
}

pub async fn reactions(
    call: NativeCall<'_, ReactionsRequest>,
    answer: NativeAnswer<UserReactionsView<'static>>,
) {
    let ReactionsRequest { message_id: message, key, after, limit } = call.payload;
    let query = ReactionsQuery { key, after, limit: limit.map(Into::into) };
    let read =
        async { call.socket.chat.reactions(&call.socket.caller(), message_id(&message)?, query).await };
    match read.await {
        Ok(page) => answer.succeed(UserReactionsView::of(&page)),
        Err(err) => answer.fail(&err),
    }
}
