//! The app's messages: a frame becomes a message of a direct room, and a message of a direct room becomes a
//! frame.

use std::{sync::Arc, time::Duration};

use entity::UserId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::frame::{self, AppFrame};
use crate::{
    backlog::Backlog,
    chat::{
        Draft, Place,
        connections::connection::{Connection, Emitted, Lagging, Outlet},
        event::{Envelope, Event},
        model::Receiver,
    },
    error::{Error, Result},
    gateway::{
        events::{Ack, EventHandler, Inbox, Incoming, Packet, Request, Socket},
        websocket::{close::Goodbye, outgoing::Outgoing, pump::FrameHandler},
        wire::Refusal,
    },
    values::Body,
};

/// A frame as it was received.
pub struct Sent(Utf8Bytes);

impl Packet for Sent {
    fn request(&self) -> Result<Request<'_>> {
        let frame = serde_json::from_str(&self.0).map_err(|err| Error::invalid("frame", err.to_string()))?;
        // The app has only one kind of request.
        Ok(Request::new("message", Some(frame)))
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// The app's form. A stored message is delivered to its sender as a frame, so only failures are answered.
#[derive(Default)]
pub struct Encrypted {
    /// The receiver id of the last frame, and the username of this user. Most frames have the same receiver
    /// as the one before.
    last: Mutex<Option<(String, String)>>,
}

impl EventHandler for Encrypted {
    async fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) {
        let (receiver, draft) = match self.draft(socket, request).await {
            Ok(wanted) => wanted,
            Err(err) => return refuse(ack, &err),
        };
        let reply = Box::new(move |stored: Result<Arc<_>>| {
            if let Err(err) = stored {
                refuse(ack, &err);
            }
        });
        let place = Place::User(receiver);
        socket.chat.send(&socket.caller(), Some(&socket.connection), place, draft, reply).await;
    }

    fn refuse(&self, ack: Ack, error: &Error) {
        refuse(ack, error);
    }
}

impl Encrypted {
    async fn draft(&self, socket: &Socket, request: Request<'_>) -> Result<(String, Draft)> {
        let written = request.payload().map_or("", RawValue::get);
        let frame = AppFrame::read(written)?;
        let (kind, json) = frame.message()?;
        let body = Body::parse(kind, json, socket.chat.content_bytes())?;
        let draft = Draft { written: Some(written.into()), ..Draft::of(body) };
        Ok((self.named(socket, frame.receiver()?).await?, draft))
    }

    /// A receiver's username, from an id or a name. A username never changes.
    async fn named(&self, socket: &Socket, receiver: String) -> Result<String> {
        if receiver.parse::<UserId>().is_err() {
            return Ok(receiver);
        }
        let known = self.last.lock().clone().filter(|(id, _)| *id == receiver);
        if let Some((_, username)) = known {
            return Ok(username);
        }
        let username = socket.chat.user(&socket.caller(), &receiver).await?.row.username;
        *self.last.lock() = Some((receiver, username.clone()));
        Ok(username)
    }
}

#[derive(Serialize, Deserialize)]
struct EncryptedFailure<E> {
    error: E,
}

fn refuse(ack: Ack, error: &Error) {
    ack.refuse(error, |error| EncryptedFailure { error: Refusal::of(error) });
}

/// The frame handler of the app.
pub struct EncryptedFrames {
    pub inbox: Arc<Inbox<Sent, Encrypted>>,
    pub outgoing: Arc<Outgoing>,
}

impl FrameHandler for EncryptedFrames {
    fn opened(&self) {
        self.inbox.open();
    }

    fn receives(&self, text: Utf8Bytes) {
        let (outgoing, sent) = (self.outgoing.clone(), text.clone());
        let write = Box::new(move |refused: &RawValue| {
            let failure = serde_json::from_str::<EncryptedFailure<&RawValue>>(refused.get());
            outgoing.push(frame::failed(failure.map_or(refused, |failure| failure.error), &sent))
        });
        let ack = Ack::new(Some(write), self.inbox.socket.connection.clone());
        self.inbox.receive(Incoming { packet: Sent(text), ack });
    }

    fn left(&self) {
        self.inbox.leave();
    }
}

/// A message as a frame of the app.
struct EncryptedFrame(Utf8Bytes);

/// The outlet to the app: sends only messages of direct rooms.
pub struct EncryptedOutlet(pub Arc<Outgoing>);

impl Outlet for EncryptedOutlet {
    fn gateway(&self) -> &'static str {
        "encrypted"
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.0.backlog()
    }

    fn silence(&self) -> Option<Duration> {
        self.0.silence()
    }

    fn emit(&self, _: &Arc<Connection>, envelope: &Envelope) -> Result<Emitted, Lagging> {
        let Event::Message(message) = &envelope.event else { return Ok(Emitted::AsUsual) };
        if !matches!(message.receiver, Receiver::User(_)) {
            return Ok(Emitted::AsUsual);
        }
        let written = envelope.origin.as_ref().and_then(|origin| origin.written.as_deref());
        let frame = envelope.rendered(|_| EncryptedFrame(frame::render(message, written)));
        self.0.push(frame.0.clone()).map(|()| Emitted::AsUsual)
    }

    fn end(&self) {
        self.0.end(Goodbye::Ended);
    }

    fn log_out(&self) {
        self.0.end(Goodbye::LoginOver);
    }

    fn disconnect(&self) {
        self.0.abort();
    }
}
