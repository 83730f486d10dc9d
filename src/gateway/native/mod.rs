//! The native form (protocol.md part 3): which event is which operation, how it is answered, and how the
//! core's events look. The namespace `/chat` and the plain WebSocket both speak it; how its events travel
//! is left to them.

mod answer;
mod connect;
mod lists;
mod messages;
mod presence;
mod pressure;
mod receipts;
mod render;
mod rooms;
mod session;

use entity::RoomId;
use serde::Deserialize;

use self::answer::Answer;
pub use self::{
    connect::{Receipts, Wishes},
    pressure::Pressure,
    receipts::Acknowledgement,
    render::{Rendered, render},
};
use super::events::{Ack, Dialect, Request, Socket};
use crate::{
    chat::Place,
    error::{Error, Noun, Result},
};

/// See the module.
pub struct Native;

impl Dialect for Native {
    async fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) {
        route(socket, request, ack).await;
    }

    fn refuse(&self, ack: Ack, error: &Error) {
        ack.fail(error);
    }
}

async fn route(socket: &Socket, request: Request<'_>, ack: Ack) {
    match request.event {
        "privateMessage" => messages::private(socket, request, ack).await,
        "groupMessage" => messages::group(socket, request, ack).await,
        "lobbyMessage" => messages::lobby(socket, request, ack).await,
        "history" => messages::history(socket, request, ack).await,
        "createGroup" => rooms::create(socket, request, ack).await,
        "joinGroup" => rooms::join(socket, request, ack).await,
        "leaveGroup" => rooms::leave(socket, request, ack).await,
        "updateGroup" => rooms::update(socket, request, ack).await,
        "deleteGroup" => rooms::delete(socket, request, ack).await,
        "addMembers" => rooms::add_members(socket, request, ack).await,
        "removeMember" => rooms::remove_member(socket, request, ack).await,
        "listGroups" => lists::groups(socket, request, ack).await,
        "listUsers" => lists::users(socket, request, ack).await,
        "listRooms" => lists::rooms(socket, request, ack).await,
        "markRead" => receipts::mark_read(socket, request, ack).await,
        "delivered" => receipts::delivered(socket, request, ack).await,
        "typing" => presence::typing(socket, request, ack).await,
        "refreshToken" => session::refresh_token(socket, request, ack).await,
        _ => ack.fail(&Error::NotFound(Noun::Event)),
    }
}

/// A group's id as clients send it; what is no id names no group.
fn group_id(text: &str) -> Result<RoomId> {
    text.parse().map_err(|_| Error::NotFound(Noun::Group))
}

/// Whom or what an event is about: a username, or a groupId where `group` says so.
#[derive(Deserialize)]
struct Addressed {
    receiver: String,
    group: bool,
}

impl Addressed {
    fn place(self) -> Result<Place> {
        Ok(if self.group { Place::Room(group_id(&self.receiver)?) } else { Place::User(self.receiver) })
    }
}
