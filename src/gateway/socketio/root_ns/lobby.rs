//! The lobby page's events (protocol.md part 4.3): `chat message` both ways, `new user` and `user left`.

use std::sync::Arc;

use super::{fail, outlet::said};
use crate::{
    chat::{
        Draft, Place,
        event::{Envelope, Event, Form},
        nouns::{Message, Receiver},
        text::Body,
    },
    error::{Error, Result},
    gateway::{
        events::{Ack, Request, Socket},
        socketio::encoded::Encoded,
        wire::MessageView,
    },
};
use entity::message::Kind;

const CHAT_MESSAGE: &str = "chat message";

pub fn knows(event: &str) -> bool {
    event == CHAT_MESSAGE
}

/// Stores what was said; who asked for an answer gets the message.
pub async fn handle(socket: &Socket, request: Request<'_>, ack: Ack) {
    let draft = match draft(&request, socket.chat.content_bytes()) {
        Ok(draft) => draft,
        Err(err) => return fail(ack, &err),
    };
    let reply = Box::new(move |stored: Result<Arc<Message>>| match stored {
        Ok(message) => ack.answer(&MessageView::of(&message)),
        Err(err) => fail(ack, &err),
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), Place::Lobby, draft, reply).await;
}

fn draft(request: &Request<'_>, limit: usize) -> Result<Draft> {
    let said = request.payload().ok_or_else(|| Error::invalid("chat message", "must be a string"))?;
    let body = Body::parse(Kind::Text, said.get(), limit)?;
    Ok(Draft { body, client_message_id: None, reply_to: None, written: None })
}

/// What the page hears of an event. Its own message it shows by itself.
pub fn render(envelope: &Envelope, is_own: bool) -> Option<&Encoded> {
    if is_own {
        return None;
    }
    envelope.rendered(Form::Lobby, encode)?.as_ref()
}

fn encode(event: &Event) -> Option<Encoded> {
    match event {
        Event::Message(message) if matches!(message.receiver, Receiver::Lobby(_)) => {
            said(CHAT_MESSAGE, &line(message))
        }
        Event::Presence(presence) => {
            said(if presence.online { "new user" } else { "user left" }, &*presence.username)
        }
        _ => None,
    }
}

/// `ada : hello`
fn line(message: &Message) -> String {
    let content = &message.row.content;
    let text = serde_json::from_str::<String>(content).unwrap_or_else(|_| content.clone());
    format!("{} : {text}", message.sender.username)
}
