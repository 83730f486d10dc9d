//! The lobby page's events (docs/dialects.md): `chat message` in both directions, `new user` and `user
//! left`.

use std::sync::Arc;

use entity::message::Kind;

use crate::{
    chat::{
        Chat, Draft, Place,
        event::{Envelope, Event},
        model::{Message, Receiver},
    },
    error::{Error, Result},
    gateway::{
        events::{Ack, Request, Socket},
        socketio::root::{self, Boxed, Encoded, RootDialect, RootSocket},
        wire::MessageView,
    },
    identity::Caller,
    values::Body,
};

const CHAT_MESSAGE: &str = "chat message";

/// The lobby page in the namespace `/`.
pub struct LobbyEvents;

impl RootDialect for LobbyEvents {
    fn connect<'a>(&'a self, _: &'a Chat, _: &'a Caller) -> Boxed<'a, Result<Box<dyn RootSocket>>> {
        Box::pin(async { Ok::<Box<dyn RootSocket>, Error>(Box::new(Self)) })
    }
}

impl RootSocket for LobbyEvents {
    fn knows(&self, event: &str) -> bool {
        event == CHAT_MESSAGE
    }

    fn handle<'a>(&'a self, socket: &'a Socket, request: Request<'a>, ack: Ack) -> Boxed<'a, ()> {
        Box::pin(say(socket, request, ack))
    }

    /// The page shows its own message itself, so it does not receive it.
    fn render<'a>(&self, envelope: &'a Envelope, is_own: bool) -> Option<&'a Encoded> {
        if is_own { None } else { envelope.rendered(encode).0.as_ref() }
    }
}

/// Stores a message. If the client asked for an answer, the answer is the message.
async fn say(socket: &Socket, request: Request<'_>, ack: Ack) {
    let draft = match draft(&request, socket.chat.content_bytes()) {
        Ok(draft) => draft,
        Err(err) => return root::fail(ack, &err),
    };
    let reply = Box::new(move |stored: Result<Arc<Message>>| match stored {
        Ok(message) => ack.answer(&MessageView::of(&message)),
        Err(err) => root::fail(ack, &err),
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), Place::Lobby, draft, reply).await;
}

fn draft(request: &Request<'_>, limit: usize) -> Result<Draft> {
    let said = request.payload().ok_or_else(|| Error::invalid("chat message", "must be a string"))?;
    let body = Body::parse(Kind::Text, said.get(), limit)?;
    Ok(Draft { body, client_message_id: None, reply_to: None, written: None })
}

/// An event in the page's form, if it has one.
struct LobbyEvent(Option<Encoded>);

fn encode(event: &Event) -> LobbyEvent {
    LobbyEvent(match event {
        Event::Message(message) if matches!(message.receiver, Receiver::Lobby(_)) => {
            root::event(CHAT_MESSAGE, &line(message))
        }
        Event::Presence(presence) => {
            root::event(if presence.online { "new user" } else { "user left" }, &*presence.username)
        }
        _ => None,
    })
}

/// `ada : hello`
fn line(message: &Message) -> String {
    let content = &message.row.content;
    let text = serde_json::from_str::<String>(content).unwrap_or_else(|_| content.clone());
    format!("{} : {text}", message.sender.username)
}
