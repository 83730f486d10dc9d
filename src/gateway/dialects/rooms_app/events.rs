//! The React rooms app's events (docs/dialects.md). A socket receives only the messages of rooms that it
//! has joined with `joinIfExists:room`.

use std::sync::Arc;

use entity::{MessageId, RoomId, UserId, message::Kind};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::joined::{Lost, Visit};
use crate::{
    chat::{
        Chat, Draft, ListGroups, NewGroup, Place,
        event::{Change, Envelope, Event},
        model::{After, Group, Message, Receiver, User},
    },
    error::{Entity, Error, Result},
    gateway::{
        events::{Ack, Request, Socket},
        socketio::root::{self, Boxed, DisconnectReason, Encoded, RootDialect, RootSocket},
        wire::{
            Time,
            bounded::{ANSWER_BYTES, Bounded, entries},
        },
    },
    identity::Caller,
    values::{Body, GroupName},
};

/// The rooms app in the namespace `/`.
pub struct RoomsApp {
    lost: Lost,
}

impl RoomsApp {
    pub fn new(chat: &Chat) -> Self {
        Self { lost: Lost::new(chat.counts().last_joined.clone()) }
    }
}

impl RootDialect for RoomsApp {
    fn connect<'a>(&'a self, chat: &'a Chat, caller: &'a Caller) -> Boxed<'a, Result<Box<dyn RootSocket>>> {
        Box::pin(async move {
            let visit = Visit::begin(self.lost.clone(), caller.user);
            if visit.is_news {
                restore(chat, &self.lost, caller, &visit).await?;
            }
            Ok::<Box<dyn RootSocket>, Error>(Box::new(visit))
        })
    }
}

/// Restores the rooms that the last socket of this user had joined, if the server was started a moment ago
/// and knows that socket only from the database. Older entries are deleted.
async fn restore(chat: &Chat, lost: &Lost, caller: &Caller, visit: &Visit) -> Result<()> {
    let rooms = chat.noted_as_joined(caller).await?;
    if lost.may_reconnect() {
        for room in rooms {
            visit.join(room);
        }
    } else if !rooms.is_empty() {
        chat.forget_joined(caller).await?;
    }
    Ok(())
}

impl RootSocket for Visit {
    fn knows(&self, event: &str) -> bool {
        matches!(
            event,
            "createIfNotExists:user"
                | "get:rooms"
                | "create:room"
                | "joinIfExists:room"
                | "getForARoom:messages"
                | "create:message"
        )
    }

    fn handle<'a>(&'a self, socket: &'a Socket, request: Request<'a>, ack: Ack) -> Boxed<'a, ()> {
        Box::pin(handle(socket, self, request, ack))
    }

    /// The app receives only the messages of joined rooms. The creator of a room learns of it from the
    /// answer.
    fn render<'a>(&self, envelope: &'a Envelope, is_own: bool) -> Option<&'a Encoded> {
        let hears = match &envelope.event {
            Event::Message(message) => self.has_joined(message.row.room_id),
            Event::RoomsChanged { change: Change::Created, .. } => !is_own,
            _ => false,
        };
        if hears { envelope.rendered(encode).0.as_ref() } else { None }
    }

    fn depart(&self, reason: DisconnectReason) {
        self.over(reason);
    }
}

async fn handle(socket: &Socket, visit: &Visit, request: Request<'_>, ack: Ack) {
    match request.event {
        "createIfNotExists:user" => root::answer(ack, introduce(socket, request).await),
        "get:rooms" => root::answer(ack, list(socket, request).await),
        "create:room" => root::answer(ack, create(socket, request).await),
        "joinIfExists:room" => root::answer(ack, join(socket, visit, request).await),
        "getForARoom:messages" => root::answer(ack, messages(socket, request).await),
        "create:message" => send(socket, request, ack).await,
        _ => root::fail(ack, &Error::NotFound(Entity::Event)),
    }
}

#[derive(Deserialize)]
struct UserDetails {
    name: Option<String>,
    email: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppUserView {
    id: UserId,
    name: String,
    email: Option<String>,
    joined_on: Time,
}

/// Returns the token's user. The payload cannot choose the user.
async fn introduce(socket: &Socket, request: Request<'_>) -> Result<AppUserView> {
    let UserDetails { name, email } = request.decode()?;
    let given =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let User { row, .. } = socket.chat.introduce(&socket.caller(), given(name), given(email)).await?;
    let name = row.first_name.unwrap_or(row.username);
    Ok(AppUserView { id: row.id, name, email: row.email, joined_on: Time(row.created_at) })
}

/// A room with the fields that everyone may see.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoomView {
    id: RoomId,
    name: String,
    owner_id: UserId,
    owner: OwnerView,
}

#[derive(Serialize)]
struct OwnerView {
    id: UserId,
    name: Arc<str>,
}

impl RoomView {
    fn of(group: &Group) -> Self {
        // A group without an owner was just deleted.
        let owner_id = group.row.owner_id.unwrap_or(UserId(uuid::Uuid::nil()));
        Self {
            id: group.row.id,
            name: group.row.name.clone().unwrap_or_default(),
            owner_id,
            owner: OwnerView { id: owner_id, name: group.owner.first_name.clone() },
        }
    }
}

/// The app sends no payload, which requests all rooms.
#[derive(Deserialize)]
struct RoomListPart {
    limit: Option<usize>,
    after: Option<RoomId>,
}

async fn list(socket: &Socket, request: Request<'_>) -> Result<Bounded> {
    let caller = socket.caller();
    let RoomListPart { limit, after } = request.decode()?;
    let part = |limit, next: Option<String>| {
        let after = After::part(next, after);
        socket.chat.groups(&caller, ListGroups { search: None, limit: Some(limit), after })
    };
    let push = |array: &mut Bounded, group: &_| array.push(ANSWER_BYTES, RoomView::of(group));
    Bounded::default().gather(entries(limit), part, push).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoomNameAndPassword {
    room_name: String,
    room_pwd: SecretString,
}

async fn create(socket: &Socket, request: Request<'_>) -> Result<RoomView> {
    let RoomNameAndPassword { room_name, room_pwd } = request.decode()?;
    let new = NewGroup { name: GroupName::parse(&room_name)?, users: Vec::new(), password: Some(room_pwd) };
    let group = socket.chat.create_group(&socket.caller(), Some(&socket.connection), new).await?;
    Ok(RoomView::of(&group))
}

async fn join(socket: &Socket, visit: &Visit, request: Request<'_>) -> Result<RoomView> {
    let RoomNameAndPassword { room_name, room_pwd } = request.decode()?;
    let group = socket.chat.enter(&socket.caller(), &room_name, room_pwd).await?;
    if visit.join(group.row.id)
        && let Err(err) = socket.chat.note_joined(&socket.caller(), group.row.id).await
    {
        // The room is joined anyway. Only a restart would forget it.
        tracing::warn!(error = ?err, room.id = %group.row.id, "could not note a joined room");
    }
    Ok(RoomView::of(&group))
}

/// A room's id as clients send it. Text that is not an id is answered like a room that does not exist.
fn place(room_id: &str) -> Result<Place> {
    room_id.parse().map(Place::Room).map_err(|_| Error::NotFound(Entity::Room))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inside {
    room_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SaidView {
    id: MessageId,
    content: Box<RawValue>,
    user_id: UserId,
    user: NameView,
    generated_on: Time,
    room_id: RoomId,
}

#[derive(Serialize)]
struct NameView {
    name: Arc<str>,
}

impl SaidView {
    fn of(message: &Message) -> Self {
        let row = &message.row;
        Self {
            id: row.id,
            content: RawValue::from_string(row.content.clone()).unwrap_or_else(|_| RawValue::NULL.to_owned()),
            user_id: row.sender_id,
            user: NameView { name: message.sender.first_name.clone() },
            generated_on: Time(row.created_at),
            room_id: row.room_id,
        }
    }
}

async fn messages(socket: &Socket, request: Request<'_>) -> Result<Bounded> {
    let Inside { room_id } = request.decode()?;
    let messages = socket.chat.newest(&socket.caller(), place(&room_id)?).await?;
    Bounded::newest(ANSWER_BYTES, messages.iter().rev().map(SaidView::of))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewMessage {
    content: Box<RawValue>,
    room_id: String,
}

async fn send(socket: &Socket, request: Request<'_>, ack: Ack) {
    let (place, draft) = match draft(&request, socket.chat.content_bytes()) {
        Ok(wanted) => wanted,
        Err(err) => return root::fail(ack, &err),
    };
    let reply = Box::new(move |stored: Result<Arc<Message>>| {
        root::answer(ack, stored.map(|message| SaidView::of(&message)));
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), place, draft, reply).await;
}

fn draft(request: &Request<'_>, limit: usize) -> Result<(Place, Draft)> {
    let NewMessage { content, room_id } = request.decode()?;
    let body = Body::parse(Kind::Text, content.get(), limit)?;
    Ok((place(&room_id)?, Draft { body, client_message_id: None, reply_to: None, written: None }))
}

/// An event in the app's form, if it has one.
struct RoomsAppEvent(Option<Encoded>);

fn encode(event: &Event) -> RoomsAppEvent {
    RoomsAppEvent(match event {
        Event::Message(message) if matches!(message.receiver, Receiver::Group(_)) => {
            root::event("updateRoomClients", &SaidView::of(message))
        }
        Event::RoomsChanged { group, change: Change::Created } => {
            root::event("updateRoomsDropdowns", &RoomView::of(group))
        }
        _ => None,
    })
}
