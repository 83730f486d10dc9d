//! `editMessage`, `deleteMessage`, `pinMessage`, `edits` and `changes`.

use std::sync::Arc;

use entity::{ChangeNumber, MessageId, Seq};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{NativeAnswer, NativeCall, room_id};
use crate::{
    chat::{ChangesQuery, DeleteMessages, Reply},
    error::{Entity, Error, Result},
    gateway::wire::{
        ChangesView, Deleted, DeletedView, EditsView, MessageView, edit_of,
        forms::{AnyForm, Form, Forms},
    },
};

/// What to replace in a message. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EditRequest {
    #[schema(format = Uuid)]
    message_id: String,
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

/// Which messages to delete: one, or up to 100 of one room.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRequest {
    #[schema(nullable = false, format = Uuid)]
    message_id: Option<String>,
    #[schema(nullable = false)]
    message_ids: Option<Vec<String>>,
    /// For the server's log, at most 500 bytes.
    #[schema(nullable = false)]
    reason: Option<String>,
}

impl Forms for DeleteRequest {
    const NAME: &'static str = "DeleteRequest";

    fn forms() -> Vec<Form> {
        vec![Form::new(&["messageId"], &["reason"]), Form::new(&["messageIds"], &["reason"])]
    }
}

impl DeleteRequest {
    /// The messages, and whether they are named as several.
    fn messages(&self) -> Result<(Vec<MessageId>, bool)> {
        match (&self.message_id, &self.message_ids) {
            (Some(one), None) => Ok((vec![message_id(one)?], false)),
            (None, Some(several)) => {
                let ids: Result<Vec<_>> = several.iter().map(|id| message_id(id)).collect();
                Ok((ids?, true))
            }
            _ => Err(Error::invalid("messageId", "or messageIds is needed, and not both")),
        }
    }
}

/// A message to pin, or to take the pin away from.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinRequest {
    #[schema(format = Uuid)]
    message_id: String,
    /// `false` takes the pin away.
    on: bool,
}

/// One message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageOf {
    #[schema(format = Uuid)]
    message_id: String,
}

/// Which changes of a room to return.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangesRequest {
    #[schema(format = Uuid)]
    room_id: String,
    /// Only changes after this one.
    after: u32,
    /// Only of messages from this seq on.
    #[schema(nullable = false)]
    from: Option<u32>,
    /// The most messages: 50 by default, at most 200.
    #[schema(nullable = false)]
    limit: Option<u32>,
}

/// A message's id as clients send it. Text that is not an id is answered like a message that does not exist.
pub(super) fn message_id(text: &str) -> Result<MessageId> {
    text.parse().map_err(|_| Error::NotFound(Entity::Message))
}

pub async fn edit(call: NativeCall<'_, EditRequest>, answer: NativeAnswer<MessageView<'static>>) {
    let EditRequest { message_id: message, content, mentions, data } = call.payload;
    let wanted = message_id(&message).and_then(|message| Ok((message, edit_of(content, mentions, data)?)));
    let (message, edit) = match wanted {
        Ok(wanted) => wanted,
        Err(err) => return answer.fail(&err),
    };
    let reply = message_reply(answer);
    let socket = call.socket;
    socket.chat.edit_message(&socket.caller(), Some(&socket.connection), message, edit, reply).await;
}

pub async fn delete(
    call: NativeCall<'_, AnyForm<DeleteRequest>>,
    answer: NativeAnswer<DeletedView<'static>>,
) {
    let AnyForm(request) = call.payload;
    let (messages, are_several) = match request.messages() {
        Ok(messages) => messages,
        Err(err) => return answer.fail(&err),
    };
    let count = messages.len();
    let reply = Box::new(move |deleted: Result<Arc<_>>| match deleted {
        Ok(_) if are_several => answer.succeed(DeletedView::Several(Deleted { deleted: count })),
        Ok(message) => answer.succeed(DeletedView::One(Box::new(MessageView::of(&message)))),
        Err(err) => answer.fail(&err),
    });
    let socket = call.socket;
    let deletion = DeleteMessages { messages, reason: request.reason };
    socket.chat.delete_messages(&socket.caller(), Some(&socket.connection), deletion, reply).await;
}

pub async fn pin(call: NativeCall<'_, PinRequest>, answer: NativeAnswer<MessageView<'static>>) {
    let PinRequest { message_id: message, on } = call.payload;
    let message = match message_id(&message) {
        Ok(message) => message,
        Err(err) => return answer.fail(&err),
    };
    let socket = call.socket;
    let reply = message_reply(answer);
    socket.chat.pin_message(&socket.caller(), Some(&socket.connection), message, on, reply).await;
}

/// Answers with the message.
pub(super) fn message_reply(answer: NativeAnswer<MessageView<'static>>) -> Reply {
    Box::new(move |changed| match changed {
        Ok(message) => answer.succeed(MessageView::of(&message)),
        Err(err) => answer.fail(&err),
    })
}

pub async fn edits(call: NativeCall<'_, MessageOf>, answer: NativeAnswer<EditsView<'static>>) {
    let read =
        async { call.socket.chat.edits(&call.socket.caller(), message_id(&call.payload.message_id)?).await };
    match read.await {
        Ok(versions) => answer.succeed(EditsView::of(&versions)),
        Err(err) => answer.fail(&err),
    }
}

pub async fn changes(call: NativeCall<'_, ChangesRequest>, answer: NativeAnswer<ChangesView<'static>>) {
    let ChangesRequest { room_id: room, after, from, limit } = call.payload;
    let query = ChangesQuery {
        after: ChangeNumber(after.into()),
        from: Seq(from.unwrap_or(0).into()),
        limit: limit.map(Into::into),
    };
    let read = async { call.socket.chat.changes(&call.socket.caller(), room_id(&room)?, query).await };
    match read.await {
        Ok(page) => answer.succeed(ChangesView::of(&page)),
        Err(err) => answer.fail(&err),
    }
}
