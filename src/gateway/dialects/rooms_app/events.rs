//! The React rooms app's events (docs/dialects.md). A socket receives only the messages of rooms that it
//! has joined with `joinIfExists:room`.

use std::sync::Arc;

use entity::{MessageId, RoomId, UserId, message::Kind};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::visit::Visit;
use crate::{
    chat::{
        Chat, Draft, ListGroups, NewGroup, Place,
        event::{Change, Envelope, Event},
        model::{After, Group, Message, Receiver, User},
    },
    error::{Entity, Error, Result},
    gateway::{
        events::{self, Ack, Request, Socket, client_events, owned_responses, server_events},
        socketio::root::{
            self, Boxed, DisconnectReason, Encoded, ReturningClient, RootDialect, RootForm, RootSocket,
        },
        wire::{
            Time,
            bounded::{ANSWER_BYTES, Bounded, Entries, entries},
        },
    },
    identity::Caller,
    values::{Body, GroupName},
};

client_events! {
    RootForm, Visit;

    /// the token's own user; gives it a name and an address, if it has none
    "createIfNotExists:user": UserDetails => AppUserView, introduce;
    /// all rooms; the payload may be missing
    "get:rooms": RoomListPart => Entries<RoomView>, list;
    /// makes a room
    "create:room": RoomNameAndPassword => RoomView, create;
    /// enters a room; a wrong name and a wrong password get the same answer
    "joinIfExists:room": RoomNameAndPassword => RoomView, join;
    /// the newest messages of a room, oldest first; members only
    "getForARoom:messages": Inside => Entries<SaidView>, messages;
    /// writes to a room
    "create:message": NewMessage => SaidView, send;
}

server_events! {
    /// all other sockets: somebody made a room
    ROOM_MADE = "updateRoomsDropdowns": RoomView;
    /// every socket that joined the room, the sender's included
    SAID = "updateRoomClients": SaidView;
}

type AppCall<'a, P> = events::Call<'a, P, Visit>;
type AppAnswer<R> = events::Answer<R, RootForm>;

owned_responses!(AppUserView, RoomView, SaidView);

/// The rooms app in the namespace `/`.
pub struct RoomsApp;

impl RootDialect for RoomsApp {
    fn connect<'a>(
        &'a self,
        chat: &'a Chat,
        caller: &'a Caller,
        client: Option<ReturningClient>,
    ) -> Boxed<'a, Result<Box<dyn RootSocket>>> {
        Box::pin(async move {
            let joined = match client {
                Some(client) if client.has_returned => chat.joined_before(caller, client.key).await?,
                _ => Vec::new(),
            };
            let key = client.map(|client| client.key);
            Ok::<Box<dyn RootSocket>, Error>(Box::new(Visit::new(chat.clone(), key, joined)))
        })
    }
}

impl RootSocket for Visit {
    fn knows(&self, event: &str) -> bool {
        knows(event)
    }

    fn handle<'a>(&'a self, socket: &'a Socket, request: Request<'a>, ack: Ack) -> Boxed<'a, ()> {
        Box::pin(route(socket, self, request, ack))
    }

    /// The app receives only the messages of joined rooms. The creator of a room learns of it from the
    /// answer.
    fn render<'a>(&self, envelope: &'a Envelope, is_own: bool) -> Option<&'a Encoded> {
        let receives = match &envelope.event {
            // The app knows no messages of the server.
            Event::Message(message) => !message.is_system() && self.has_joined(message.row.room_id),
            Event::RoomsChanged { change: Change::Created, .. } => !is_own,
            _ => false,
        };
        if receives { envelope.rendered(encode).0.as_ref() } else { None }
    }

    fn depart(&self, reason: DisconnectReason) {
        self.end(reason);
    }
}

/// How the app shows its user.
#[derive(Deserialize, ToSchema)]
#[schema(as = AppUserDetails)]
pub struct UserDetails {
    name: Option<String>,
    email: Option<String>,
}

/// A user of the rooms app.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppUser)]
pub struct AppUserView {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    name: String,
    #[schema(required)]
    email: Option<String>,
    joined_on: Time,
}

/// Returns the token's user. The payload cannot choose the user.
async fn introduce(call: AppCall<'_, UserDetails>, answer: AppAnswer<AppUserView>) {
    answer.give(introduced(call.socket, call.payload).await);
}

async fn introduced(socket: &Socket, UserDetails { name, email }: UserDetails) -> Result<AppUserView> {
    let given =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let email = given(email);
    let User { row, .. } = socket.chat.introduce(&socket.caller(), given(name), email.clone()).await?;
    let name = row.first_name.unwrap_or(row.username);
    // What was not stored is shown to the app that knows it.
    Ok(AppUserView { id: row.id, name, email: row.email.or(email), joined_on: Time(row.created_at) })
}

/// A room with the fields that everyone may see.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppRoom)]
pub struct RoomView {
    #[schema(value_type = String, format = Uuid)]
    id: RoomId,
    name: String,
    #[schema(value_type = String, format = Uuid)]
    owner_id: UserId,
    owner: OwnerView,
}

/// The owner of a room.
#[derive(Serialize, ToSchema)]
#[schema(as = AppRoomOwner)]
pub struct OwnerView {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    #[schema(value_type = String)]
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
#[derive(Deserialize, ToSchema)]
#[schema(as = AppRoomsRequest)]
pub struct RoomListPart {
    #[schema(nullable = false)]
    limit: Option<usize>,
    /// The id of the last room of the page before.
    #[schema(value_type = Option<String>, format = Uuid, nullable = false)]
    after: Option<RoomId>,
}

async fn list(call: AppCall<'_, RoomListPart>, answer: AppAnswer<Entries<RoomView>>) {
    let (socket, RoomListPart { limit, after }) = (call.socket, call.payload);
    let caller = socket.caller();
    let part = |limit, next: Option<String>| {
        let after = After::part(next, after);
        socket.chat.groups(&caller, ListGroups { search: None, limit: Some(limit), after })
    };
    let push = |array: &mut Bounded, group: &_| array.push(ANSWER_BYTES, RoomView::of(group));
    answer.give(Bounded::default().gather(entries(limit), part, push).await.map(Entries::from));
}

/// A room and its password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppRoomAccess)]
pub struct RoomNameAndPassword {
    room_name: String,
    #[schema(value_type = String)]
    room_pwd: SecretString,
}

async fn create(call: AppCall<'_, RoomNameAndPassword>, answer: AppAnswer<RoomView>) {
    let (socket, RoomNameAndPassword { room_name, room_pwd }) = (call.socket, call.payload);
    let group = async {
        let name = GroupName::parse(&room_name)?;
        let new = NewGroup { name, users: Vec::new(), password: Some(room_pwd) };
        socket.chat.create_group(&socket.caller(), Some(&socket.connection), new).await
    };
    answer.give(group.await.map(|group| RoomView::of(&group)));
}

async fn join(call: AppCall<'_, RoomNameAndPassword>, answer: AppAnswer<RoomView>) {
    let (socket, RoomNameAndPassword { room_name, room_pwd }) = (call.socket, call.payload);
    let group = socket.chat.enter(&socket.caller(), &room_name, room_pwd).await;
    if let Ok(group) = &group {
        call.state.join(&socket.caller(), group.row.id).await;
    }
    answer.give(group.map(|group| RoomView::of(&group)));
}

/// A room's id as clients send it. Text that is not an id is answered like a room that does not exist.
fn place(room_id: &str) -> Result<Place> {
    room_id.parse().map(Place::Room).map_err(|_| Error::NotFound(Entity::Room))
}

/// A room.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppRoomReference)]
pub struct Inside {
    #[schema(format = Uuid)]
    room_id: String,
}

/// A message in a room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppMessage)]
pub struct SaidView {
    #[schema(value_type = String, format = Uuid)]
    id: MessageId,
    /// A string; any JSON for an encrypted message from another front end.
    #[schema(value_type = Value)]
    content: Box<RawValue>,
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    user: NameView,
    generated_on: Time,
    #[schema(value_type = String, format = Uuid)]
    room_id: RoomId,
}

/// The sender of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = AppSender)]
pub struct NameView {
    #[schema(value_type = String)]
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

async fn messages(call: AppCall<'_, Inside>, answer: AppAnswer<Entries<SaidView>>) {
    let messages = async {
        let place = place(&call.payload.room_id)?;
        let messages = call.socket.chat.newest(&call.socket.caller(), place).await?;
        Bounded::newest(ANSWER_BYTES, messages.iter().rev().map(SaidView::of))
    };
    answer.give(messages.await.map(Entries::from));
}

/// A new message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppNewMessage)]
pub struct NewMessage {
    #[schema(value_type = String)]
    content: Box<RawValue>,
    #[schema(format = Uuid)]
    room_id: String,
}

async fn send(call: AppCall<'_, NewMessage>, answer: AppAnswer<SaidView>) {
    let socket = call.socket;
    let (place, draft) = match draft(&call.payload, socket.chat.content_bytes()) {
        Ok(wanted) => wanted,
        Err(err) => return answer.fail(&err),
    };
    let reply = Box::new(move |stored: Result<Arc<Message>>| {
        answer.give(stored.map(|message| SaidView::of(&message)));
    });
    socket.chat.send(&socket.caller(), Some(&socket.connection), place, draft, reply).await;
}

fn draft(NewMessage { content, room_id }: &NewMessage, limit: usize) -> Result<(Place, Draft)> {
    let body = Body::parse(Kind::Text, content.get(), limit)?;
    Ok((place(room_id)?, Draft::of(body)))
}

/// An event in the app's form, if it has one.
struct RoomsAppEvent(Option<Encoded>);

fn encode(event: &Event) -> RoomsAppEvent {
    RoomsAppEvent(match event {
        Event::Message(message) if matches!(message.receiver, Receiver::Group(_)) => {
            root::event(SAID, &SaidView::of(message))
        }
        Event::RoomsChanged { group, change: Change::Created } => {
            root::event(ROOM_MADE, &RoomView::of(group))
        }
        _ => None,
    })
}
