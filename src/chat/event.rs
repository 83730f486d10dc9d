//! The events that the core sends to connections, and the envelope, which lets a gateway render an event once
//! for all its receivers.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq, UserId, member::Role};

use super::{
    connections::ConnectionId,
    model::{Group, Message, MessageChange, Presence, Receiver, RoomChange, SyncedRoom},
};

/// What happened (docs/events.md, server to client).
#[derive(Clone, Debug)]
pub enum Event {
    /// A message of a room: `response`, or `lobby` for the lobby's.
    Message(Arc<Message>),
    /// It was delivered to all members; to its sender.
    DeliveredToAll(Arc<Message>),
    /// A message was changed; to the same connections as the message.
    MessageChanged(Arc<MessageChange>),
    /// What a connection has of these rooms, once it has caught up; to connections that replay changes.
    Synced(Vec<SyncedRoom>),
    /// A member has read up to `seq`; to the other members.
    Read {
        room: RoomId,
        receiver: Receiver,
        username: Arc<str>,
        seq: Seq,
    },
    Presence(Presence),
    /// To the members of a new group, and to users who are added to a group.
    NewGroup(Group),
    /// To everyone: the list of groups has changed. It has only what users outside may see.
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
    /// A member has another role.
    MemberChanged {
        group: RoomId,
        username: Arc<str>,
        role: Role,
    },
    /// Something differs in one of the user's rooms; to the user's own other connections.
    RoomChanged {
        room: RoomId,
        set: RoomChange,
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
    /// The last event of a connection: a newer one of its user needs its place.
    Displaced {
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

/// The connection that an event came from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub connection: ConnectionId,
    /// The message as its sender wrote it on the wire, for subscribers on the same wire. It goes to those who
    /// are subscribed at that moment, and is not stored.
    pub written: Option<Arc<str>>,
}

/// One event on its way to many connections.
pub struct Envelope {
    pub event: Event,
    /// For gateways that treat the connection that the event came from differently from the others.
    pub origin: Option<Origin>,
    renderings: OnceLock<Rendering>,
}

impl Envelope {
    pub fn new(event: Event) -> Self {
        Self::from(event, None)
    }

    pub fn from(event: Event, origin: Option<Origin>) -> Self {
        Self { event, origin, renderings: OnceLock::new() }
    }

    /// The message, if the event is a room's message.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match &self.event {
            Event::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The change, if the event is one of a message.
    pub fn change(&self) -> Option<&Arc<MessageChange>> {
        match &self.event {
            Event::MessageChanged(change) => Some(change),
            _ => None,
        }
    }

    pub fn is_from(&self, connection: ConnectionId) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.connection == connection)
    }

    /// The event as a gateway writes it. The first caller that asks for a type renders it; all others that
    /// ask for the same type get that value. The type is the key, so each wire form has a type of its own.
    pub fn rendered<T: Any + Send + Sync>(&self, render: impl Fn(&Event) -> T) -> &T {
        let first = self.renderings.get().and_then(|rendering| rendering.value.downcast_ref());
        first.unwrap_or_else(|| self.render(render))
    }

    /// The rendering of this type, made now if nobody has asked for it before.
    #[inline(never)]
    fn render<T: Any + Send + Sync>(&self, render: impl Fn(&Event) -> T) -> &T {
        let make = || Rendering { value: Box::new(render(&self.event)), next: OnceLock::new() };
        let mut rendering = self.renderings.get_or_init(make);
        loop {
            match rendering.value.downcast_ref() {
                Some(value) => return value,
                None => rendering = rendering.next.get_or_init(|| Box::new(make())),
            }
        }
    }

    /// Whether it is a message of this user.
    #[inline]
    pub fn is_message_of(&self, user: UserId) -> bool {
        self.message().is_some_and(|message| message.row.sender_id == user)
    }
}

/// One rendering of an event, and the further ones: one for each wire form that was asked for.
struct Rendering {
    value: Box<dyn Any + Send + Sync>,
    next: OnceLock<Box<Rendering>>,
}
