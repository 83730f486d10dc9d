//! The native form (docs/events.md): which operation each event calls, how the event is answered, and the
//! form of the core's events. The namespace `/chat` and the plain WebSocket both use it. They define how
//! events travel.

mod ack_ids;
mod answer;
mod changes;
mod connect;
mod lists;
mod messages;
mod notices;
mod own_settings;
mod pending_acks;
mod presence;
mod reactions;
mod receipts;
mod render;
mod rooms;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod threads;

use entity::{RoomId, Seq};

use self::answer::{NativeAnswer, NativeCall};
pub use self::{
    ack_ids::{AckIds, LateAcks},
    answer::{Failure, NativeForm},
    connect::{ConnectParameters, ReceiptMode},
    notices::server_events,
    pending_acks::{PendingAck, PendingAcks},
    receipts::Acknowledgement,
    render::{Rendered, render},
    table::{client_events, knows},
};
use super::events::{Ack, AnswerForm, EventHandler, Request, Socket};
use crate::{
    chat::Place,
    error::{Entity, Error, Result},
};

/// See the module.
pub struct Native;

impl EventHandler for Native {
    async fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) {
        table::route(socket, &(), request, ack).await;
    }

    fn refuse(&self, ack: Ack, error: &Error) {
        NativeForm::fail(ack, error);
    }

    fn acknowledged(&self, socket: &Socket, request: &Request<'_>) -> Option<Seq> {
        messages::acknowledged(socket, request)
    }
}

/// A group's id as clients send it. Text that is not an id is answered like a group that does not exist.
fn group_id(text: &str) -> Result<RoomId> {
    text.parse().map_err(|_| Error::NotFound(Entity::Group))
}

/// A room's id as clients send it. Text that is not an id is answered like a room that does not exist.
fn room_id(text: &str) -> Result<RoomId> {
    text.parse().map_err(|_| Error::NotFound(Entity::Room))
}

/// The target of an event: a groupId if `group` is true, otherwise a username.
fn place(receiver: String, group: bool) -> Result<Place> {
    Ok(if group { Place::Room(group_id(&receiver)?) } else { Place::User(receiver) })
}
