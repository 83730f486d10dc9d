//! `threads`, `followThread`, and `forwardMessage`.

use entity::Seq;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    NativeAnswer, NativeCall,
    changes::{message_id, message_reply},
    place,
};
use crate::{
    chat::{Forward, ListThreads, Place},
    error::Result,
    gateway::{
        events::owned_responses,
        wire::{MessageView, ThreadsView, bounded::ANSWER_BYTES},
    },
    values::ClientMessageId,
};

/// Which threads of a room to return.
#[derive(Deserialize, ToSchema)]
pub struct ThreadsRequest {
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    /// Only threads that one follows, with unread replies.
    #[schema(nullable = false)]
    unread: Option<bool>,
    /// Only threads whose newest reply is before this seq.
    #[schema(nullable = false)]
    before: Option<u32>,
    /// The most threads: 20 by default, at most 100.
    #[schema(nullable = false)]
    limit: Option<u32>,
}

pub async fn threads(call: NativeCall<'_, ThreadsRequest>, answer: NativeAnswer<ThreadsView>) {
    let ThreadsRequest { receiver, group, unread, before, limit } = call.payload;
    let list = ListThreads {
        unread: unread.unwrap_or(false),
        before: before.map(|seq| Seq(seq.into())),
        limit: limit.map(Into::into),
    };
    let read = async {
        let place = place(receiver, group)?;
        let (threads, more) = call.socket.chat.threads(&call.socket.caller(), place, list).await?;
        ThreadsView::of(ANSWER_BYTES, &threads, more)
    };
    answer.give(read.await);
}

/// A thread to follow, or not to follow any more.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowRequest {
    /// The root of the thread, or a message in it.
    #[schema(format = Uuid)]
    message_id: String,
    on: bool,
}

/// Whether the user follows the thread now.
#[derive(Serialize, ToSchema)]
pub struct Following {
    following: bool,
}

owned_responses!(Following, ThreadsView);

pub async fn follow(call: NativeCall<'_, FollowRequest>, answer: NativeAnswer<Following>) {
    let FollowRequest { message_id: message, on } = call.payload;
    let chat = &call.socket.chat;
    let follow = async { chat.follow_thread(&call.socket.caller(), message_id(&message)?, on).await };
    answer.give(follow.await.map(|following| Following { following }));
}

/// A message to forward, and where to.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardRequest {
    #[schema(format = Uuid)]
    message_id: String,
    /// A username, or a groupId if `group` is true.
    receiver: String,
    group: bool,
    /// A text that is sent before the copy.
    #[schema(nullable = false)]
    comment: Option<String>,
    /// As for every message; the comment has the same with `:comment` behind it.
    #[schema(nullable = false)]
    client_message_id: Option<String>,
}

pub async fn forward(call: NativeCall<'_, ForwardRequest>, answer: NativeAnswer<MessageView<'static>>) {
    let (place, forward) = match forward_of(call.payload) {
        Ok(wanted) => wanted,
        Err(err) => return answer.fail(&err),
    };
    let reply = message_reply(answer);
    let socket = call.socket;
    socket.chat.forward(&socket.caller(), Some(&socket.connection), place, forward, reply).await;
}

fn forward_of(request: ForwardRequest) -> Result<(Place, Forward)> {
    let ForwardRequest { message_id: message, receiver, group, comment, client_message_id } = request;
    let client_message_id = client_message_id.as_deref().map(ClientMessageId::parse).transpose()?;
    Ok((place(receiver, group)?, Forward { message: message_id(&message)?, comment, client_message_id }))
}
