//! The lobby page's events (docs/dialects.md): `chat message` in both directions, `new user` and `user
//! left`.

use std::sync::Arc;

use entity::message::Kind;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    chat::{
        Chat, Draft, Place,
        event::{Envelope, Event},
        model::{Message, Receiver},
    },
    error::{Error, Result},
    gateway::{
        events::{Ack, AnswerForm, ClientEvent, Request, Response, Socket, server_events},
        socketio::root::{self, Boxed, Encoded, ReturningClient, RootDialect, RootForm, RootSocket},
        wire::{MessageView, forms},
    },
    identity::Caller,
    values::Body,
};

const CHAT_MESSAGE: &str = "chat message";

server_events! {
    /// everybody online but its sender: `<user> : <text>`
    SAID = "chat message": LobbyText;
    /// everybody: the username of a user who went online
    NEW_USER = "new user": LobbyText;
    /// everybody: the username of a user who went offline
    USER_LEFT = "user left": LobbyText;
}

/// The events that the page sends, for the documents.
pub fn client_events() -> Vec<ClientEvent> {
    vec![ClientEvent::of::<LobbyText, MessageView<'static>>(CHAT_MESSAGE, "writes to everyone")]
}

/// A text, as payload.
pub struct LobbyText;

impl PartialSchema for LobbyText {
    fn schema() -> RefOr<Schema> {
        forms::text().into()
    }
}

impl ToSchema for LobbyText {}

impl Response for LobbyText {
    type View<'a> = &'a str;
    type Schema = Self;
}

/// The lobby page in the namespace `/`.
pub struct LobbyEvents;

impl RootDialect for LobbyEvents {
    fn connect<'a>(
        &'a self,
        _: &'a Chat,
        _: &'a Caller,
        _: Option<ReturningClient>,
    ) -> Boxed<'a, Result<Box<dyn RootSocket>>> {
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
        Err(err) => return RootForm::fail(ack, &err),
    };
    let reply = Box::new(move |stored: Result<Arc<Message>>| match stored {
        Ok(message) => RootForm::succeed(ack, &MessageView::of(&message)),
        Err(err) => RootForm::fail(ack, &err),
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), Place::Lobby, draft, reply).await;
}

fn draft(request: &Request<'_>, limit: usize) -> Result<Draft> {
    let said = request.payload().ok_or_else(|| Error::invalid("chat message", "must be a string"))?;
    let body = Body::parse(Kind::Text, said.get(), limit)?;
    Ok(Draft::of(body))
}

/// An event in the page's form, if it has one.
struct LobbyEvent(Option<Encoded>);

fn encode(event: &Event) -> LobbyEvent {
    LobbyEvent(match event {
        Event::Message(message) if matches!(message.receiver, Receiver::Lobby(_)) => {
            root::event(SAID, &&*line(message))
        }
        Event::Presence(presence) => {
            root::event(if presence.online { NEW_USER } else { USER_LEFT }, &&*presence.username)
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
