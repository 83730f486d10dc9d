//! The native form (docs/events.md): which operation each event calls, how the event is answered, and the
//! form of the core's events. The namespace `/chat` and the plain WebSocket both use it. They define how
//! events travel.

mod answer;
mod back_pressure;
mod connect;
mod lists;
mod messages;
mod presence;
mod receipts;
mod render;
mod rooms;
mod session;

use entity::RoomId;
use serde::Deserialize;

use self::answer::Answer;
pub use self::{
    back_pressure::Pressure,
    connect::{ConnectParameters, ReceiptMode},
    receipts::Acknowledgement,
    render::{Rendered, render},
};
use super::events::{Ack, Dialect, Request, Socket};
use crate::{
    chat::Place,
    error::{Entity, Error, Result},
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
        _ => ack.fail(&Error::NotFound(Entity::Event)),
    }
}

/// A group's id as clients send it. Text that is not an id is answered like a group that does not exist.
fn group_id(text: &str) -> Result<RoomId> {
    text.parse().map_err(|_| Error::NotFound(Entity::Group))
}

/// The target of an event: a groupId if `group` is true, otherwise a username.
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
