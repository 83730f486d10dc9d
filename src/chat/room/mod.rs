//! A live room: a room in memory while any of its members is connected. It holds the members, their receipts
//! and the subscriptions of the connections.
//!
//! Everything that decides *order* happens under one lock here: publishing a message, sending a page of
//! missed messages, and making a subscription live. So a subscription gets each seq once and in ascending
//! order, whatever else happens at the same time. Nothing under the lock waits. The file `fanout` draws the
//! states of a subscription.

mod catch_up;
pub(in crate::chat) mod create;
mod fanout;
pub(in crate::chat) mod membership;
pub(in crate::chat) mod permissions;
mod receipts;
mod recent;
pub(in crate::chat) mod registry;
pub(in crate::chat) mod replay_cache;
pub(in crate::chat) mod watermark;

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, member::Role, message, room};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use self::watermark::{Acked, Floor, Floors, Marks};
use super::{
    connections::{ConnectionId, connection::Connection},
    event::{Envelope, Event, Origin},
    model::{Message, Receiver},
};
use crate::error::Result;
use crate::identity::Person;

use self::{fanout::detach_all, recent::Recent};

/// Answers the sender of a message. It runs in the task that published the message, directly after its
/// delivery.
pub type Reply = Box<dyn FnOnce(Result<Arc<Message>>) + Send + Sync>;

/// See the module.
pub struct Room {
    pub id: RoomId,
    pub kind: room::Kind,
    /// The two users of a direct room. A user's room with themselves has the same user twice.
    pub pair: Option<[Peer; 2]>,
    /// Held by the task that reads missed messages from the database. The other tasks wait, and then find the
    /// messages in the replay cache.
    pub(super) reading: AsyncMutex<()>,
    state: Mutex<RoomState>,
}

/// A map whose keys are ids of the server. No client can choose ids so that they collide. The standard
/// library's hashing protects from such collisions, and would be most of the cost of a receipt.
pub(super) type ById<Id, Value> = foldhash::HashMap<Id, Value>;

/// One of the two users of a direct room, with every name of the user.
#[derive(Clone, Debug)]
pub struct Peer {
    pub id: UserId,
    pub username: Arc<str>,
    pub key: Box<str>,
}

struct RoomState {
    version: i64,
    deleted: bool,
    /// The newest seq that was offered to subscriptions.
    published: Seq,
    members: ById<UserId, RoomMember>,
    subscriptions: ById<ConnectionId, Subscription>,
    recent: Recent,
}

/// A member in memory. Receipts never move back.
#[derive(Clone, Debug)]
pub struct RoomMember {
    pub person: Person,
    pub role: Role,
    pub marks: Marks,
    /// The marks as the database has them.
    saved: Marks,
}

impl RoomMember {
    pub fn new(person: Person, role: Role, marks: Marks) -> Self {
        Self { person, role, marks, saved: marks }
    }
}

struct Subscription {
    connection: Arc<Connection>,
    /// The newest seq that was written to the connection.
    sent: Seq,
    /// Whether it gets messages when they are published. If not, a catch-up task sends them.
    live: bool,
    acked: Acked,
    /// Answers to the connection's own messages. Each waits until that message was written to the connection.
    delayed: Vec<DelayedReply>,
    /// The first of the connection's own messages that was written to it and that is being answered now.
    answering: Option<Seq>,
}

/// An answer, and the stored message that it answers.
struct DelayedReply {
    message: Arc<Message>,
    reply: Reply,
}

impl DelayedReply {
    fn give(self) {
        (self.reply)(Ok(self.message));
    }
}

/// A message that was stored just now, the connection that it came from, and the answer to its sender.
pub struct Fresh {
    pub message: Arc<Message>,
    pub origin: Option<Origin>,
    pub reply: Reply,
}

/// The result of publishing messages to all subscriptions.
#[derive(Default)]
pub struct Published {
    /// The number of connections that were written to.
    pub reached: usize,
    /// Connections that have to catch up from the database.
    pub behind: Vec<Arc<Connection>>,
}

/// How a room in memory differed from the database.
#[derive(Default)]
pub struct Reconciled {
    /// Members that the database no longer had.
    pub gone: Vec<Person>,
    /// Members that memory did not have.
    pub come: Vec<(UserId, RoomMember)>,
    /// The connections of users who are no longer members. Their subscriptions have ended.
    pub detached: Vec<Arc<Connection>>,
}

/// The state of a subscription after an attempt to bring it up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It gets messages when they are published.
    Live,
    /// It still needs the messages after this seq.
    Behind(Seq),
    /// The subscription has ended.
    Gone,
}

/// A sender to notify that messages in `(after, upto]` were delivered to everyone.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryNotice {
    pub sender: UserId,
    pub after: Seq,
    pub upto: Seq,
}

/// A member's receipts that are not saved yet.
#[derive(Clone, Debug)]
pub struct Unsaved {
    pub user: UserId,
    pub username: Arc<str>,
    pub marks: Marks,
    pub read_moved: bool,
}

impl Room {
    /// Makes a room from its stored form. The room is not deleted.
    pub(super) fn new(
        id: RoomId,
        kind: room::Kind,
        pair: Option<[Peer; 2]>,
        published: Seq,
        version: i64,
        members: ById<UserId, RoomMember>,
    ) -> Self {
        Self {
            id,
            kind,
            pair,
            reading: AsyncMutex::default(),
            state: Mutex::new(RoomState {
                version,
                deleted: false,
                published,
                members,
                subscriptions: ById::default(),
                recent: Recent::after(published),
            }),
        }
    }

    /// The receiver of a message or of a typing event that this user sends here.
    pub fn receiver_from(&self, sender: UserId) -> Receiver {
        match (self.kind, &self.pair) {
            (room::Kind::Direct, Some([low, high])) => {
                let other = if low.id == sender { high } else { low };
                Receiver::User(other.username.clone())
            }
            (room::Kind::Lobby, _) => Receiver::Lobby(self.id),
            _ => Receiver::Group(self.id),
        }
    }

    /// The other user of a direct room; in a user's room with themselves, the same user.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        self.pair.as_ref().map(|[low, high]| if low.id == user { high.id } else { low.id })
    }

    /// Whether this is the direct room of `user` and the user whose name has this `key`.
    pub fn is_between(&self, user: UserId, key: &str) -> bool {
        self.pair.as_ref().is_some_and(|[low, high]| {
            (low.id == user && &*high.key == key) || (high.id == user && &*low.key == key)
        })
    }

    /// The version of the membership in which the user is a member, or `None` for a user who is not a member.
    /// Every user is in the lobby.
    pub(super) fn version_with(&self, user: UserId) -> Option<i64> {
        let state = self.state.lock();
        let belongs = self.kind == room::Kind::Lobby || state.members.contains_key(&user);
        belongs.then_some(state.version)
    }

    /// The version of the membership that this process knows. Each change of the membership increases it.
    pub(super) fn version(&self) -> i64 {
        self.state.lock().version
    }

    pub fn is_deleted(&self) -> bool {
        self.state.lock().deleted
    }

    pub fn published(&self) -> Seq {
        self.state.lock().published
    }

    /// Whether a user is a member. Every user is in the lobby.
    pub fn has(&self, user: UserId) -> bool {
        self.kind == room::Kind::Lobby || self.role(user).is_some()
    }

    pub fn member(&self, user: UserId) -> Option<RoomMember> {
        self.state.lock().members.get(&user).cloned()
    }

    /// A member's role, or `None` for a user who is not a member.
    pub fn role(&self, user: UserId) -> Option<Role> {
        self.state.lock().members.get(&user).map(|entry| entry.role)
    }

    /// The names of all members.
    pub fn people(&self) -> HashMap<UserId, Person> {
        let state = self.state.lock();
        state.members.iter().map(|(id, entry)| (*id, entry.person.clone())).collect()
    }

    pub fn member_count(&self) -> usize {
        self.state.lock().members.len()
    }

    pub fn floors(&self) -> Floors {
        self.state.lock().floors()
    }

    /// Replaces messages in `page` whose receipts or sender name have changed since the messages were read.
    /// Returns whether it replaced any.
    pub(super) fn bring_up_to_date(&self, page: &mut [Arc<Envelope>]) -> bool {
        let state = self.state.lock();
        let floors = state.floors();
        let mut changed = false;
        for envelope in page {
            let Some(message) = envelope.message() else { continue };
            let (sender, seq) = (message.row.sender_id, message.row.seq);
            let delivered_to_all = floors.delivered.of(sender) >= seq;
            let read_by_all = floors.read.of(sender) >= seq;
            let person = state.members.get(&sender).map_or(&message.sender, |entry| &entry.person);
            if (delivered_to_all, read_by_all) != (message.delivered_to_all, message.read_by_all)
                || *person != message.sender
            {
                let message = Message {
                    delivered_to_all,
                    read_by_all,
                    sender: person.clone(),
                    ..Message::clone(message)
                };
                *envelope = Arc::new(Envelope::new(Event::Message(Arc::new(message))));
                changed = true;
            }
        }
        changed
    }

    /// Adds a member. `version` is the room's version after this change.
    pub(super) fn add_member(&self, user: UserId, entry: RoomMember, version: i64) {
        let mut state = self.state.lock();
        state.version = state.version.max(version);
        state.members.entry(user).or_insert(entry);
    }

    /// Changes the first name that a member is shown with.
    pub(super) fn rename(&self, user: UserId, person: &Person) {
        if let Some(entry) = self.state.lock().members.get_mut(&user) {
            entry.person = person.clone();
        }
    }

    pub(super) fn set_role(&self, user: UserId, role: Role) {
        if let Some(entry) = self.state.lock().members.get_mut(&user) {
            entry.role = role;
        }
    }

    /// Removes a member, and ends the subscriptions of all their connections. Returns these connections.
    pub(super) fn remove_member(&self, user: UserId, version: i64) -> Vec<Arc<Connection>> {
        let gone: Vec<Subscription> = {
            let mut state = self.state.lock();
            state.version = state.version.max(version);
            state.members.remove(&user);
            let theirs = |_: &_, subscription: &mut Subscription| subscription.connection.user() == user;
            state.subscriptions.extract_if(theirs).map(|(_, subscription)| subscription).collect()
        };
        detach_all(gone)
    }

    /// Takes over the membership from the database if its version is newer: another process made the change.
    pub(super) fn reconcile(&self, version: i64, members: ById<UserId, RoomMember>) -> Reconciled {
        let mut changes = Reconciled::default();
        let gone: Vec<Subscription> = {
            let mut state = self.state.lock();
            if version <= state.version {
                return changes;
            }
            state.version = version;
            let outside = |user: &UserId, _: &mut RoomMember| !members.contains_key(user);
            changes.gone = state.members.extract_if(outside).map(|(_, entry)| entry.person).collect();
            for (user, entry) in members {
                match state.members.get_mut(&user) {
                    Some(known) => known.role = entry.role,
                    None => {
                        changes.come.push((user, entry.clone()));
                        state.members.insert(user, entry);
                    }
                }
            }
            let RoomState { subscriptions, members, .. } = &mut *state;
            let outside = |_: &_, subscription: &mut Subscription| {
                !members.contains_key(&subscription.connection.user())
            };
            subscriptions.extract_if(outside).map(|(_, subscription)| subscription).collect()
        };
        changes.detached = detach_all(gone);
        changes
    }

    /// Marks the room as deleted, and ends all subscriptions. Returns their connections.
    pub(super) fn delete(&self) -> Vec<Arc<Connection>> {
        let gone: Vec<Subscription> = {
            let mut state = self.state.lock();
            state.deleted = true;
            state.members.clear();
            state.subscriptions.drain().map(|(_, subscription)| subscription).collect()
        };
        detach_all(gone)
    }
}

impl RoomState {
    fn floors(&self) -> Floors {
        let mut floors = Floors::default();
        for (user, entry) in &self.members {
            floors.delivered.add(*user, entry.marks.arrived());
            floors.read.add(*user, entry.marks.read);
        }
        floors
    }
}

/// The model of a stored message row, with the names of this room.
pub(super) fn to_message(
    room: &Room,
    row: message::Model,
    sender: Person,
    floors: Option<Floors>,
) -> Message {
    let reached = |floor: Option<Floor>| floor.is_some_and(|floor| floor.of(row.sender_id) >= row.seq);
    Message {
        receiver: room.receiver_from(row.sender_id),
        receiver_id: room.peer_of(row.sender_id),
        delivered_to_all: reached(floors.map(|floors| floors.delivered)),
        read_by_all: reached(floors.map(|floors| floors.read)),
        sender,
        row,
    }
}
