//! The React rooms app's events (protocol.md part 4.2). A socket hears only the rooms that it has joined
//! by `joinIfExists:room`.

use std::sync::Arc;

use entity::{MessageId, RoomId, UserId, message::Kind};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    answer, fail,
    joined::{Joined, Visit},
    outlet::said,
};
use crate::{
    chat::{
        Draft, ListGroups, NewGroup, Place,
        event::{Change, Envelope, Event, Form},
        nouns::{After, Group, Message, Receiver, User},
        text::{Body, GroupName},
    },
    error::{Error, Noun, Result},
    gateway::{
        bounded::{ANSWER_BYTES, Bounded, entries},
        events::{Ack, Request, Socket},
        socketio::encoded::Encoded,
        wire::Time,
    },
};

pub fn knows(event: &str) -> bool {
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

pub async fn handle(socket: &Socket, visit: &Visit, request: Request<'_>, ack: Ack) {
    match request.event {
        "createIfNotExists:user" => answer(ack, introduce(socket, request).await),
        "get:rooms" => answer(ack, list(socket, request).await),
        "create:room" => answer(ack, create(socket, request).await),
        "joinIfExists:room" => answer(ack, join(socket, visit, request).await),
        "getForARoom:messages" => answer(ack, messages(socket, request).await),
        "create:message" => send(socket, request, ack).await,
        _ => fail(ack, &Error::NotFound(Noun::Event)),
    }
}

#[derive(Deserialize)]
struct Introduction {
    name: Option<String>,
    email: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserView {
    id: UserId,
    name: String,
    email: Option<String>,
    joined_on: Time,
}

/// The token's own user: who it is does not depend on what the payload says.
async fn introduce(socket: &Socket, request: Request<'_>) -> Result<UserView> {
    let Introduction { name, email } = request.decode()?;
    let given =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let User { row, .. } = socket.chat.introduce(&socket.caller(), given(name), given(email)).await?;
    let name = row.first_name.unwrap_or(row.username);
    Ok(UserView { id: row.id, name, email: row.email, joined_on: Time(row.created_at) })
}

/// A room as everyone may see it.
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
        // A group without an owner is one that has just been deleted.
        let owner_id = group.row.owner_id.unwrap_or(UserId(uuid::Uuid::nil()));
        Self {
            id: group.row.id,
            name: group.row.name.clone().unwrap_or_default(),
            owner_id,
            owner: OwnerView { id: owner_id, name: group.owner.first_name.clone() },
        }
    }
}

/// The app asks without a payload, for all of them.
#[derive(Deserialize)]
struct Part {
    limit: Option<usize>,
    after: Option<RoomId>,
}

async fn list(socket: &Socket, request: Request<'_>) -> Result<Bounded> {
    let caller = socket.caller();
    let Part { limit, after } = request.decode()?;
    let part = |limit, next: Option<String>| {
        let after = After::part(next, after);
        socket.chat.groups(&caller, ListGroups { search: None, limit: Some(limit), after })
    };
    let push = |array: &mut Bounded, group: &_| array.push(ANSWER_BYTES, RoomView::of(group));
    Bounded::default().gather(entries(limit), part, push).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Door {
    room_name: String,
    room_pwd: SecretString,
}

async fn create(socket: &Socket, request: Request<'_>) -> Result<RoomView> {
    let Door { room_name, room_pwd } = request.decode()?;
    let new = NewGroup { name: GroupName::parse(&room_name)?, users: Vec::new(), password: Some(room_pwd) };
    let group = socket.chat.create_group(&socket.caller(), Some(&socket.connection), new).await?;
    Ok(RoomView::of(&group))
}

async fn join(socket: &Socket, visit: &Visit, request: Request<'_>) -> Result<RoomView> {
    let Door { room_name, room_pwd } = request.decode()?;
    let group = socket.chat.enter(&socket.caller(), &room_name, room_pwd).await?;
    if visit.join(group.row.id)
        && let Err(err) = socket.chat.note_joined(&socket.caller(), group.row.id).await
    {
        // It is joined all the same; only a restart would forget it.
        tracing::warn!(error = ?err, room.id = %group.row.id, "could not note a joined room");
    }
    Ok(RoomView::of(&group))
}

/// A room's id as clients send it; what is no id names no room.
fn place(room_id: &str) -> Result<Place> {
    room_id.parse().map(Place::Room).map_err(|_| Error::NotFound(Noun::Room))
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
        Err(err) => return fail(ack, &err),
    };
    let reply = Box::new(move |stored: Result<Arc<Message>>| {
        answer(ack, stored.map(|message| SaidView::of(&message)));
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), place, draft, reply).await;
}

fn draft(request: &Request<'_>, limit: usize) -> Result<(Place, Draft)> {
    let NewMessage { content, room_id } = request.decode()?;
    let body = Body::parse(Kind::Text, content.get(), limit)?;
    Ok((place(&room_id)?, Draft { body, client_message_id: None, reply_to: None, written: None }))
}

/// What the app hears of an event, on a socket that has joined these rooms. That a room was made its
/// maker hears in the answer.
pub fn render<'a>(envelope: &'a Envelope, is_own: bool, joined: &Joined) -> Option<&'a Encoded> {
    let hears = match &envelope.event {
        Event::Message(message) => joined.has(message.row.room_id),
        Event::RoomsChanged { change: Change::Created, .. } => !is_own,
        _ => false,
    };
    if !hears {
        return None;
    }
    envelope.rendered(Form::Rooms, encode)?.as_ref()
}

fn encode(event: &Event) -> Option<Encoded> {
    match event {
        Event::Message(message) if matches!(message.receiver, Receiver::Group(_)) => {
            said("updateRoomClients", &SaidView::of(message))
        }
        Event::RoomsChanged { group, change: Change::Created } => {
            said("updateRoomsDropdowns", &RoomView::of(group))
        }
        _ => None,
    }
}
