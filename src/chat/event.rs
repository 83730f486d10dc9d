//! Everything the core can say to a connection, and the envelope that lets a gateway render it
//! once for all who get it.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq};

use super::{
    connection::ConnectionId,
    nouns::{Group, Message, Presence, Receiver},
};

/// What happened (protocol.md part 3, server to client).
#[derive(Clone, Debug)]
pub enum Event {
    /// A message of a room: `response`, or `lobby` for the lobby's.
    Message(Arc<Message>),
    /// The last member got it; to the sender.
    DeliveredToAll(Arc<Message>),
    /// Somebody has read up to `seq`; to the other members.
    Read {
        room: RoomId,
        receiver: Receiver,
        username: Arc<str>,
        seq: Seq,
    },
    Presence(Presence),
    /// To the members of a new group, or to whoever was added to one.
    NewGroup(Group),
    /// To everyone: the list of joinable groups changed. Carries what outsiders may see.
    RoomsChanged {
        group: Group,
        change: Change,
    },
    MemberJoined {
        group: RoomId,
        username: Arc<str>,
    },
    MemberLeft {
        group: RoomId,
        username: Arc<str>,
    },
    /// Lossy: the one event that may be dropped.
    Typing {
        sender: Arc<str>,
        receiver: Receiver,
        typing: bool,
    },
    TokenExpiring {
        expires_at: DateTime<Utc>,
    },
    /// The last event of a connection: its login has ended.
    TokenExpired {
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

/// The wire forms that render events, each into its own slot of an [`Envelope`].
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// The JSON of protocol.md part 3.
    Native,
    /// The same as a Socket.IO packet.
    Packet,
    /// The same as a whole frame of a plain WebSocket.
    Frame,
    /// The frames of the end-to-end encrypted app of part 4.4.
    Encrypted,
    /// The events of part 4.2.
    Rooms,
    /// The events of part 4.3.
    Lobby,
}

/// The connection that an event came from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub connection: ConnectionId,
    /// A message as its sender's wire had it, for listeners on the same wire. It goes to those who
    /// listen at that moment and is stored nowhere.
    pub written: Option<Arc<str>>,
}

/// One event on its way to many connections.
pub struct Envelope {
    pub event: Event,
    /// For wires that tell the connection an event came from apart from the others.
    pub origin: Option<Origin>,
    rendered: [OnceLock<Box<dyn Any + Send + Sync>>; 6],
}

impl Envelope {
    pub fn new(event: Event) -> Self {
        Self::from(event, None)
    }

    pub fn from(event: Event, origin: Option<Origin>) -> Self {
        Self { event, origin, rendered: Default::default() }
    }

    /// The message that it is about, where it is a room's message.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match &self.event {
            Event::Message(message) => Some(message),
            _ => None,
        }
    }

    pub fn is_from(&self, connection: ConnectionId) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.connection == connection)
    }

    /// The event in a wire form, rendered by the first who asks. All who ask for one form must ask
    /// for the same type; a stranger's type gets nothing.
    pub fn rendered<T: Any + Send + Sync>(&self, form: Form, render: impl FnOnce(&Event) -> T) -> Option<&T> {
        self.rendered[form as usize].get_or_init(|| Box::new(render(&self.event))).downcast_ref()
    }
}
