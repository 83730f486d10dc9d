//! Messages: send, and find the room that a message goes to. `history` reads them.

use std::sync::Arc;

use entity::{MessageId, RoomId, Seq, UserId, names::NameKeys, room, user};

use super::{
    Chat, Core,
    connections::connection::Connection,
    event::Origin,
    extras::{DraftExtras, Extras, PointedAt},
    room::{Reply, Room},
    writer::{Queued, QueuedChange, QueuedDraft, Wanted},
};
use crate::{
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
    values::{self, Body, ClientMessageId},
};

/// Where a message goes, or where history is read.
#[derive(Clone, Debug)]
pub enum Place {
    /// The direct room with the user of this name.
    User(String),
    Room(RoomId),
    Lobby,
}

/// A message as its sender wrote it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub body: Body,
    pub client_message_id: Option<ClientMessageId>,
    pub reply_to: Option<MessageId>,
    /// `None` for a message that is sent with nothing else.
    pub extras: Option<Box<Extras>>,
    /// See [`super::event::Origin`].
    pub written: Option<Arc<str>>,
    /// What the sender's connection had acknowledged in the room when it sent the message. Once the message
    /// is stored, this counts as read.
    pub seen: Option<Seq>,
}

impl Draft {
    /// A message with this body, and nothing else.
    pub fn of(body: Body) -> Self {
        Self { body, client_message_id: None, reply_to: None, extras: None, written: None, seen: None }
    }
}

impl Chat {
    /// Sends a message. Returns when it is queued, so the messages that one caller sends in sequence are
    /// stored in this sequence. `reply` is called once: when the message is committed and published, or
    /// refused.
    pub async fn send(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        place: Place,
        draft: Draft,
        reply: Reply,
    ) {
        let core = &self.core;
        let room = match core.place_to_write(caller, origin, &place).await {
            Ok(room) => room,
            Err(err) => return reply(Err(err)),
        };
        let thread = draft.extras.as_ref().and_then(|asked| asked.thread);
        let pointed_at = match thread.is_some() || draft.reply_to.is_some() {
            // Boxed, because most messages point at none: the future of each would reserve space for this.
            true => Box::pin(core.pointed_at(&room, thread, draft.reply_to)).await,
            false => Ok(PointedAt::default()),
        };
        match pointed_at.and_then(|pointed_at| {
            core.extras_of(caller, &room, (draft.extras.as_deref(), &draft.body), pointed_at)
        }) {
            Ok(extras) => {
                let reply = core.reading(caller, origin, &room, draft.seen, reply);
                core.queue(caller, origin, room, draft, extras, reply);
            }
            Err(err) => reply(Err(err)),
        }
    }

    /// The highest seq of a place that the client of this connection has acknowledged on it; zero if it has
    /// acknowledged none, and in the lobby, which keeps no receipts.
    pub fn acknowledged(&self, connection: &Connection, place: &Place) -> Seq {
        let live_rooms = connection.rooms.lock();
        let room = match place {
            Place::Lobby => None,
            Place::Room(id) => live_rooms.iter().find(|live| live.id == *id),
            Place::User(name) if values::may_be_a_name(name) => {
                let keys = NameKeys::of_user(name);
                live_rooms.iter().find(|live| live.is_between(connection.user(), name, &keys))
            }
            Place::User(_) => None,
        };
        room.map_or(Seq::ZERO, |room| room.highest_acked(connection.id))
    }
}

impl Core {
    /// A reply that also notes, once the message is stored, that its sender has read up to `seen`: who
    /// answers has read what is above the answer.
    fn reading(
        self: &Arc<Self>,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        room: &Arc<Room>,
        seen: Option<Seq>,
        reply: Reply,
    ) -> Reply {
        let Some(seen) = room.reads_by_sending(caller.user, seen) else { return reply };
        let (core, room, user) = (self.clone(), room.clone(), caller.user);
        let by = origin.map(|connection| connection.id);
        Box::new(move |stored| {
            let now = core.clock.now();
            if stored.is_ok()
                && let Some(read) = room.read_up_to(user, by, seen, now)
            {
                core.has_read(&room, user, by, &read);
            }
            reply(stored);
        })
    }

    /// Queues a draft. The caller was found to be a member of the room.
    fn queue(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        room: Arc<Room>,
        draft: Draft,
        extras: Option<Box<DraftExtras>>,
        reply: Reply,
    ) {
        let Some(roster_version) = room.version_with(caller.user) else {
            return reply(Err(Error::Forbidden(Forbidden::NotAMember)));
        };
        self.writer.queue(Queued::Draft(QueuedDraft {
            roster_version,
            room,
            sender: caller.user,
            person: caller.person(),
            body: draft.body,
            client_message_id: draft.client_message_id,
            reply_to: draft.reply_to,
            extras,
            origin: origin.map(|connection| Origin { connection: connection.id, written: draft.written }),
            reply,
        }));
    }

    /// Queues a change of messages. The caller was found to be a member of the room.
    pub(super) fn queue_change(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        room: Arc<Room>,
        messages: Vec<MessageId>,
        wanted: Wanted,
        reply: Reply,
    ) {
        let Some(roster_version) = room.version_with(caller.user) else {
            return reply(Err(Error::Forbidden(Forbidden::NotAMember)));
        };
        // After the version: if the role is newer, the transaction finds a newer version and reads the role again.
        let moderates = room.is_moderated_by(caller);
        self.writer.queue(Queued::Change(QueuedChange {
            roster_version,
            room,
            user: caller.user,
            username: caller.username.clone(),
            moderates,
            messages,
            wanted,
            origin: origin.map(|connection| connection.id),
            reply,
        }));
    }

    /// The room that a message goes to. A direct room is made with its first message.
    async fn place_to_write(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
    ) -> Result<Arc<Room>> {
        let room = match self.find_place(caller, connection, place).await? {
            Some(room) => room,
            None => match place {
                Place::User(name) => {
                    let other = self.user_named(name).await?;
                    self.open_direct(caller, &other).await?
                }
                _ => return Err(Error::NotFound(Entity::Room)),
            },
        };
        if room.kind == room::Kind::Direct && matches!(place, Place::Room(_)) {
            return Err(Error::NotFound(Entity::Group));
        }
        let deleted = |id: UserId| room.role(id).is_none();
        if room.pair.as_ref().is_some_and(|pair| pair.iter().any(|peer| deleted(peer.id))) {
            return Err(Error::NotFound(Entity::User));
        }
        Ok(room)
    }

    /// The room of a place that the caller may read; `None` for two users who never wrote to each other.
    pub(super) async fn find_place(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
    ) -> Result<Option<Arc<Room>>> {
        match place {
            Place::Lobby => Ok(Some(self.rooms.lobby().clone())),
            Place::Room(room) => self.room_by_id(caller, *room).await.map(Some),
            Place::User(name) => {
                if !values::may_be_a_name(name) {
                    return Err(Error::NotFound(Entity::User));
                }
                let keys = NameKeys::of_user(name);
                let known = connection.and_then(|connection| {
                    let live_rooms = connection.rooms.lock();
                    live_rooms.iter().find(|live| live.is_between(caller.user, name, &keys)).cloned()
                });
                if known.is_some() {
                    return Ok(known);
                }
                self.direct_with(caller, name).await
            }
        }
    }

    async fn room_by_id(self: &Arc<Self>, caller: &Caller, room: RoomId) -> Result<Arc<Room>> {
        match self.room_of(caller, room).await {
            Err(Error::NotFound(_)) => Err(Error::NotFound(Entity::Group)),
            other => other,
        }
    }

    async fn direct_with(self: &Arc<Self>, caller: &Caller, name: &str) -> Result<Option<Arc<Room>>> {
        // The messages with a deleted user stay readable.
        let other = user::ever_named(name).one(self.db.reader()).await?;
        let other = other.ok_or(Error::NotFound(Entity::User))?;
        let Some(row) = room::between(caller.user, other.id).one(self.db.reader()).await? else {
            return if other.deleted_at.is_some() { Err(Error::NotFound(Entity::User)) } else { Ok(None) };
        };
        let room = self.loaded_room(row.id).await?;
        if !room.has(caller.user) {
            return Err(Error::Forbidden(Forbidden::NotAMember));
        }
        Ok(Some(room))
    }
}
