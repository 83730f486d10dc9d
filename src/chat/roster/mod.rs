//! A room as it lives in memory while any of its members is connected: who is in it, how far each
//! has got, and who listens.
//!
//! Everything that decides *order* happens under one lock here: publishing a message, sending a
//! page of missed ones and going live. So a listener sees each seq once, ascending, whatever else
//! is going on. Nothing under the lock waits.

mod listening;
mod receipts;
mod tail;

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, member::Role, message, room};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::{
    connection::{Connection, ConnectionId},
    event::{Envelope, Event, Origin},
    nouns::{Message, Person, Receiver},
    watermark::{Acked, Floor, Floors, Marks},
};
use crate::error::Result;

use self::{listening::let_go, tail::Tail};

/// Answers whoever sent a message; runs in the task that published it, right behind its delivery.
pub type Reply = Box<dyn FnOnce(Result<Arc<Message>>) + Send + Sync>;

/// See the module.
pub struct Roster {
    pub id: RoomId,
    pub kind: room::Kind,
    /// A direct room's two users; the same one twice in the room with oneself.
    pub pair: Option<[Peer; 2]>,
    /// Held by whoever reads what listeners have missed: the others find it read.
    pub(super) reading: AsyncMutex<()>,
    state: Mutex<State>,
}

/// What is kept by ids, which nobody outside can choose so that they collide: the standard library's hashing,
/// which is safe from that, has most of the cost of a receipt.
pub(super) type ById<Id, Value> = foldhash::HashMap<Id, Value>;

/// One of a direct room's two users, by every name they go by.
#[derive(Clone, Debug)]
pub struct Peer {
    pub id: UserId,
    pub username: Arc<str>,
    pub key: Box<str>,
}

struct State {
    version: i64,
    deleted: bool,
    /// The newest seq that listeners were offered.
    published: Seq,
    members: ById<UserId, Entry>,
    listeners: ById<ConnectionId, Listener>,
    tail: Tail,
}

/// A member in memory. Receipts never move back.
#[derive(Clone, Debug)]
pub struct Entry {
    pub person: Person,
    pub role: Role,
    pub marks: Marks,
    /// The marks as the database has them.
    saved: Marks,
}

impl Entry {
    pub fn new(person: Person, role: Role, marks: Marks) -> Self {
        Self { person, role, marks, saved: marks }
    }
}

struct Listener {
    connection: Arc<Connection>,
    /// The newest seq written to it.
    sent: Seq,
    /// Whether it gets messages as they are published; else a catch-up task feeds it.
    live: bool,
    acked: Acked,
    /// Answers to its own messages that wait until it has seen them come by.
    held: Vec<Held>,
    /// The first of its own messages that it has seen and whose answer is just being given.
    answering: Option<Seq>,
}

/// An answer, and the stored message it is about.
struct Held {
    message: Arc<Message>,
    reply: Reply,
}

impl Held {
    fn give(self) {
        (self.reply)(Ok(self.message));
    }
}

/// A message that was stored just now: who gets it, and who hears that it was.
pub struct Fresh {
    pub message: Arc<Message>,
    pub origin: Option<Origin>,
    pub reply: Reply,
}

/// What came of offering messages to everyone who listens.
#[derive(Default)]
pub struct Published {
    /// Listeners that were written to.
    pub reached: usize,
    /// Those that have to be brought up to date from the database.
    pub behind: Vec<Arc<Connection>>,
}

/// How a room in memory differed from the database.
#[derive(Default)]
pub struct Reconciled {
    /// The members that the database had not any more.
    pub gone: Vec<Person>,
    /// The members that memory did not have.
    pub come: Vec<(UserId, Entry)>,
    /// The connections of those who have gone; they do not listen any more.
    pub detached: Vec<Arc<Connection>>,
}

/// How a listener stands after an attempt to bring it up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It gets messages as they come.
    Live,
    /// More is to be read from the database, after this seq.
    Behind(Seq),
    /// It is not listening any more.
    Gone,
}

/// A sender who has to hear that messages in `(after, upto]` have reached everyone.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    pub sender: UserId,
    pub after: Seq,
    pub upto: Seq,
}

/// A member's receipts that the database does not have yet.
#[derive(Clone, Debug)]
pub struct Unsaved {
    pub user: UserId,
    pub username: Arc<str>,
    pub marks: Marks,
    pub read_moved: bool,
}

impl Roster {
    /// A room that is not deleted, as it is stored.
    pub(super) fn new(
        id: RoomId,
        kind: room::Kind,
        pair: Option<[Peer; 2]>,
        published: Seq,
        version: i64,
        members: ById<UserId, Entry>,
    ) -> Self {
        Self {
            id,
            kind,
            pair,
            reading: AsyncMutex::default(),
            state: Mutex::new(State {
                version,
                deleted: false,
                published,
                members,
                listeners: ById::default(),
                tail: Tail::after(published),
            }),
        }
    }

    /// Whom a message or a sign of this user's is addressed to.
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

    /// The other user of a direct room; oneself, in the room with oneself.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        self.pair.as_ref().map(|[low, high]| if low.id == user { high.id } else { low.id })
    }

    /// Whether this is the direct room of a user with the one looked up by `key`.
    pub fn is_between(&self, user: UserId, key: &str) -> bool {
        self.pair.as_ref().is_some_and(|[low, high]| {
            (low.id == user && &*high.key == key) || (high.id == user && &*low.key == key)
        })
    }

    /// The version of the roster in which a user is a member; none for who is not. The lobby has
    /// everyone.
    pub(super) fn version_with(&self, user: UserId) -> Option<i64> {
        let state = self.state.lock();
        let belongs = self.kind == room::Kind::Lobby || state.members.contains_key(&user);
        belongs.then_some(state.version)
    }

    /// Counts the changes of who is in the room, as far as this process knows them.
    pub(super) fn version(&self) -> i64 {
        self.state.lock().version
    }

    pub fn is_deleted(&self) -> bool {
        self.state.lock().deleted
    }

    pub fn published(&self) -> Seq {
        self.state.lock().published
    }

    /// Whether a user is a member; everybody is in the lobby.
    pub fn has(&self, user: UserId) -> bool {
        self.kind == room::Kind::Lobby || self.role(user).is_some()
    }

    pub fn member(&self, user: UserId) -> Option<Entry> {
        self.state.lock().members.get(&user).cloned()
    }

    /// A member's role, or none for who is outside.
    pub fn role(&self, user: UserId) -> Option<Role> {
        self.state.lock().members.get(&user).map(|entry| entry.role)
    }

    /// What all members are called.
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

    /// Replaces messages about which something else is known by now than when they were read: how far they
    /// have got, or what a member is called. Answers whether there were any.
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

    /// A user has come in; `version` is the room's after that.
    pub(super) fn add_member(&self, user: UserId, entry: Entry, version: i64) {
        let mut state = self.state.lock();
        state.version = state.version.max(version);
        state.members.entry(user).or_insert(entry);
    }

    /// A member is shown under another first name from now on.
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

    /// A user has gone; all their connections stop listening with that. Returns these.
    pub(super) fn remove_member(&self, user: UserId, version: i64) -> Vec<Arc<Connection>> {
        let gone: Vec<Listener> = {
            let mut state = self.state.lock();
            state.version = state.version.max(version);
            state.members.remove(&user);
            let theirs = |_: &_, listener: &mut Listener| listener.connection.user() == user;
            state.listeners.extract_if(theirs).map(|(_, listener)| listener).collect()
        };
        let_go(gone)
    }

    /// Takes over who is in the room from a newer version than this knows: another process has made the change.
    pub(super) fn reconcile(&self, version: i64, members: ById<UserId, Entry>) -> Reconciled {
        let mut changes = Reconciled::default();
        let gone: Vec<Listener> = {
            let mut state = self.state.lock();
            if version <= state.version {
                return changes;
            }
            state.version = version;
            let outside = |user: &UserId, _: &mut Entry| !members.contains_key(user);
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
            let State { listeners, members, .. } = &mut *state;
            let outside = |_: &_, listener: &mut Listener| !members.contains_key(&listener.connection.user());
            listeners.extract_if(outside).map(|(_, listener)| listener).collect()
        };
        changes.detached = let_go(gone);
        changes
    }

    /// The room is no more. Returns who listened.
    pub(super) fn delete(&self) -> Vec<Arc<Connection>> {
        let gone: Vec<Listener> = {
            let mut state = self.state.lock();
            state.deleted = true;
            state.members.clear();
            state.listeners.drain().map(|(_, listener)| listener).collect()
        };
        let_go(gone)
    }
}

impl State {
    fn floors(&self) -> Floors {
        let mut floors = Floors::default();
        for (user, entry) in &self.members {
            floors.delivered.add(*user, entry.marks.arrived());
            floors.read.add(*user, entry.marks.read);
        }
        floors
    }
}

/// A stored row as a noun, with the names of this room.
pub(super) fn message_noun(
    roster: &Roster,
    row: message::Model,
    sender: Person,
    floors: Option<Floors>,
) -> Message {
    let reached = |floor: Option<Floor>| floor.is_some_and(|floor| floor.of(row.sender_id) >= row.seq);
    Message {
        receiver: roster.receiver_from(row.sender_id),
        receiver_id: roster.peer_of(row.sender_id),
        delivered_to_all: reached(floors.map(|floors| floors.delivered)),
        read_by_all: reached(floors.map(|floors| floors.read)),
        sender,
        row,
    }
}
