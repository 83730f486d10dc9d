//! `privateMessage`, `groupMessage`, `lobbyMessage` and `history`.

use std::sync::Arc;

use entity::{MessageId, Seq, message};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Addressed, Answer, group_id};
use crate::{
    chat::{Draft, HistoryQuery, Place},
    error::{Error, Result},
    gateway::{
        events::{Ack, Request, Socket},
        wire::{HistoryView, MessageView},
    },
    values::{Body, ClientMessageId},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    content: Box<RawValue>,
    kind: Option<String>,
    client_message_id: Option<String>,
    reply_to: Option<String>,
}

#[derive(Deserialize)]
struct UserReceiver {
    receiver: String,
}

/// The receiver and the other fields. One type with `flatten` would decode the content.
fn decode(request: &Request<'_>) -> Result<(String, Content)> {
    let UserReceiver { receiver } = request.decode()?;
    Ok((receiver, request.decode()?))
}

pub async fn private(socket: &Socket, request: Request<'_>, ack: Ack) {
    let wanted = decode(&request).map(|(receiver, content)| (Place::User(receiver), content));
    send(socket, wanted, ack).await;
}

pub async fn group(socket: &Socket, request: Request<'_>, ack: Ack) {
    let wanted =
        decode(&request).and_then(|(receiver, content)| Ok((Place::Room(group_id(&receiver)?), content)));
    send(socket, wanted, ack).await;
}

pub async fn lobby(socket: &Socket, request: Request<'_>, ack: Ack) {
    let wanted = request.decode().map(|content| (Place::Lobby, content));
    send(socket, wanted, ack).await;
}

async fn send(socket: &Socket, wanted: Result<(Place, Content)>, ack: Ack) {
    let limit = socket.chat.content_bytes();
    let (place, draft) = match wanted.and_then(|(place, content)| Ok((place, draft(content, limit)?))) {
        Ok(wanted) => wanted,
        Err(err) => return ack.fail(&err),
    };
    let reply = Box::new(move |stored: Result<Arc<_>>| match stored {
        Ok(message) => ack.succeed(MessageView::of(&message)),
        Err(err) => ack.fail(&err),
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), place, draft, reply).await;
}

fn draft(content: Content, limit: usize) -> Result<Draft> {
    let kind = match content.kind.as_deref() {
        None | Some("text") => message::Kind::Text,
        Some("encrypted") => message::Kind::Encrypted,
        Some(_) => return Err(Error::invalid("kind", "can be \"text\" or \"encrypted\"")),
    };
    let reply_to = content.reply_to.map(|id| id.parse::<MessageId>());
    Ok(Draft {
        body: Body::parse(kind, content.content.get(), limit)?,
        client_message_id: content.client_message_id.as_deref().map(ClientMessageId::parse).transpose()?,
        reply_to: reply_to.transpose().map_err(|_| Error::invalid("replyTo", "must be a messageId"))?,
        written: None,
    })
}

#[derive(Deserialize)]
struct HistoryRequest {
    #[serde(default)]
    lobby: bool,
    before: Option<u32>,
    after: Option<u32>,
    limit: Option<u32>,
}

pub async fn history(socket: &Socket, request: Request<'_>, ack: Ack) {
    let read = async {
        let HistoryRequest { lobby, before, after, limit } = request.decode()?;
        let place = if lobby { Place::Lobby } else { request.decode::<Addressed>()?.place()? };
        let seq = |seq: Option<u32>| seq.map(|seq| Seq(seq.into()));
        let query = HistoryQuery { before: seq(before), after: seq(after), limit: limit.map(Into::into) };
        socket.chat.history(&socket.caller(), place, query).await
    };
    match read.await {
        Ok(page) => ack.succeed(HistoryView::of(&page)),
        Err(err) => ack.fail(&err),
    }
}
