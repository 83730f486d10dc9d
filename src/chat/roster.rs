//! A room as it lives in memory while any of its members is connected: who is in it, how far each
//! has got, and who listens.
//!
//! Everything that decides *order* happens under one lock here: publishing a message, sending a
//! page of missed ones and going live. So a listener sees each seq once, ascending, whatever else
//! is going on. Nothing under the lock waits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use entity::{RoomId, Seq, UserId, member::Role, message, room};
use parking_lot::Mutex;

use super::{
    connection::{Connection, ConnectionId},
    event::{Envelope, Event},
    nouns::{Message, Receiver},
    watermark::{Acked, Floor, Floors, Marks},
};
use crate::error::Result;

/// Answers whoever sent a message; runs in the task that published it, right behind its delivery.
pub type Reply = Box<dyn FnOnce(Result<Arc<Message>>) + Send + Sync>;

/// Messages kept until their senders were told of the delivery. Further back the database is asked.
const TAIL: usize = 256;

/// See the module.
pub struct Roster {
    pub id: RoomId,
    pub kind: room::Kind,
    /// A direct room's two users; the same one twice in the room with oneself.
    pub pair: Option<[Peer; 2]>,
    state: Mutex<State>,
}

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
    members: HashMap<UserId, Entry>,
    listeners: HashMap<ConnectionId, Listener>,
    tail: VecDeque<Arc<Message>>,
    /// The tail holds every message after this one.
    tail_after: Seq,
}

/// A member in memory. Receipts never move back.
#[derive(Clone, Debug)]
pub struct Entry {
    pub username: Arc<str>,
    pub role: Role,
    pub marks: Marks,
    /// The marks as the database has them.
    saved: Marks,
}

impl Entry {
    pub fn new(username: Arc<str>, role: Role, marks: Marks) -> Self {
        Self { username, role, marks, saved: marks }
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
    pub(super) fn new(room: &room::Model, pair: Option<[Peer; 2]>, members: HashMap<UserId, Entry>) -> Self {
        Self {
            id: room.id,
            kind: room.kind,
            pair,
            state: Mutex::new(State {
                version: room.roster_version,
                deleted: room.deleted_at.is_some(),
                published: room.last_seq,
                members,
                listeners: HashMap::new(),
                tail: VecDeque::new(),
                tail_after: room.last_seq,
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

    pub fn is_deleted(&self) -> bool {
        self.state.lock().deleted
    }

    pub fn published(&self) -> Seq {
        self.state.lock().published
    }

    pub fn member(&self, user: UserId) -> Option<Entry> {
        self.state.lock().members.get(&user).cloned()
    }

    /// A member's role, or none for who is outside.
    pub fn role(&self, user: UserId) -> Option<Role> {
        self.state.lock().members.get(&user).map(|entry| entry.role)
    }

    /// The names of all members.
    pub fn names(&self) -> HashMap<UserId, Arc<str>> {
        let state = self.state.lock();
        state.members.iter().map(|(id, entry)| (*id, entry.username.clone())).collect()
    }

    pub fn floors(&self) -> Floors {
        self.state.lock().floors()
    }

    // Who is in the room.

    /// A user has come in; `version` is the room's after that.
    pub(super) fn add_member(&self, user: UserId, entry: Entry, version: i64) {
        let mut state = self.state.lock();
        state.version = state.version.max(version);
        state.members.entry(user).or_insert(entry);
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

    /// Takes over who is in the room from a newer version than this knows: the change was made by
    /// another process. Returns the connections of those who have gone, and who has come in.
    pub(super) fn reconcile(
        &self,
        version: i64,
        members: HashMap<UserId, Entry>,
    ) -> (Vec<Arc<Connection>>, Vec<UserId>) {
        let mut come = Vec::new();
        let gone: Vec<Listener> = {
            let mut state = self.state.lock();
            if version <= state.version {
                return (Vec::new(), Vec::new());
            }
            state.version = version;
            state.members.retain(|user, _| members.contains_key(user));
            for (user, entry) in members {
                match state.members.get_mut(&user) {
                    Some(known) => known.role = entry.role,
                    None => {
                        come.push(user);
                        state.members.insert(user, entry);
                    }
                }
            }
            let State { listeners, members, .. } = &mut *state;
            let outside = |_: &_, listener: &mut Listener| !members.contains_key(&listener.connection.user());
            listeners.extract_if(outside).map(|(_, listener)| listener).collect()
        };
        (let_go(gone), come)
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

    // Who listens.

    /// Begins to listen after `sent`, not live yet. Refused to who is not a member, and to a
    /// connection that is over; a second time changes nothing.
    pub(super) fn listen(&self, connection: &Arc<Connection>, sent: Seq) -> bool {
        let mut state = self.state.lock();
        let belongs = self.kind == room::Kind::Lobby || state.members.contains_key(&connection.user());
        if !belongs || connection.is_over() || state.listeners.contains_key(&connection.id) {
            return false;
        }
        let sent = sent.min(state.published);
        state.listeners.insert(
            connection.id,
            Listener {
                connection: connection.clone(),
                sent,
                live: false,
                acked: Acked::after(sent),
                held: Vec::new(),
                answering: None,
            },
        );
        true
    }

    pub(super) fn unlisten(&self, connection: ConnectionId) {
        // Dropped with the lock let go: what hangs on a listener may ask for this room again.
        let gone = self.state.lock().listeners.remove(&connection);
        drop(gone);
    }

    /// The connections that listen, but for those of one user.
    pub(super) fn listeners(&self, except: Option<UserId>) -> Vec<Arc<Connection>> {
        let state = self.state.lock();
        state
            .listeners
            .values()
            .map(|listener| &listener.connection)
            .filter(|connection| except != Some(connection.user()))
            .cloned()
            .collect()
    }

    /// Writes an event that stands by itself to everyone who listens, but for one user.
    pub(super) fn tell(&self, event: Event, except: Option<UserId>) {
        let envelope = Envelope::new(event);
        for connection in self.listeners(except) {
            connection.tell(&envelope);
        }
    }

    // Messages.

    /// Offers a stored message to everyone who listens and then answers its sender. Returns the
    /// connections that have to be brought up to date from the database.
    pub(super) fn publish(
        &self,
        message: Arc<Message>,
        origin: Option<ConnectionId>,
        reply: Reply,
    ) -> Vec<Arc<Connection>> {
        let seq = message.row.seq;
        let mut behind = Vec::new();
        let mut lagging = Vec::new();
        let (answer, lagging) = {
            let mut state = self.state.lock();
            if seq > state.published.next() {
                // One before it was stored and its commit's answer lost: the tail has a hole there.
                state.tail.clear();
                state.tail_after = Seq(seq.0 - 1);
            }
            state.published = state.published.max(seq);
            state.remember(&message);
            let envelope = Envelope::new(Event::Message(message.clone()));
            for listener in state.listeners.values_mut().filter(|listener| listener.live) {
                if seq == listener.sent.next() {
                    match listener.connection.emit(&envelope) {
                        Ok(()) => listener.sent = seq,
                        Err(_) => lagging.push(listener.connection.id),
                    }
                } else if seq > listener.sent {
                    listener.live = false;
                    behind.push(listener.connection.clone());
                }
            }
            let lagging: Vec<Listener> = lagging.iter().filter_map(|id| state.listeners.remove(id)).collect();
            (state.hold(origin, message, reply), lagging)
        };
        if let Some(answer) = answer {
            answer.give();
        }
        for connection in let_go(lagging) {
            connection.cut("its queue is full");
        }
        behind
    }

    /// Answers the repeat of a stored message, not before its sender has seen the first come by.
    pub(super) fn answer_repeat(&self, message: Arc<Message>, origin: Option<ConnectionId>, reply: Reply) {
        let answer = self.state.lock().hold(origin, message, reply);
        if let Some(answer) = answer {
            answer.give();
        }
    }

    /// Takes note of a seq that was stored but perhaps never published (the answer of a commit was
    /// lost). Returns who has to be brought up to date.
    pub(super) fn stored_up_to(&self, seq: Seq) -> Vec<Arc<Connection>> {
        let mut state = self.state.lock();
        if seq <= state.published {
            return Vec::new();
        }
        state.published = seq;
        state.tail.clear();
        state.tail_after = seq;
        let late = state.listeners.values_mut().filter(|listener| listener.live);
        late.map(|listener| {
            listener.live = false;
            listener.connection.clone()
        })
        .collect()
    }

    /// Sends a page of what a listener has missed, and lets it go live where that was all.
    pub(super) fn catch_up(&self, id: ConnectionId, page: &[Arc<Message>]) -> Standing {
        let (standing, released, lagging) = {
            let mut state = self.state.lock();
            let published = state.published;
            let Some(listener) = state.listeners.get_mut(&id) else { return Standing::Gone };
            let mut lags = false;
            for message in page {
                if message.row.seq == listener.sent.next() {
                    if listener.connection.emit(&Envelope::new(Event::Message(message.clone()))).is_err() {
                        lags = true;
                        break;
                    }
                    listener.sent = message.row.seq;
                }
            }
            let sent = listener.sent;
            let (released, waiting): (Vec<Held>, _) =
                std::mem::take(&mut listener.held).into_iter().partition(|held| held.message.row.seq <= sent);
            listener.held = waiting;
            listener.answering = released.first().map(|held| held.message.row.seq);
            listener.live = !lags && sent >= published;
            let standing = match (lags, listener.live) {
                (true, _) => Standing::Gone,
                (_, true) => Standing::Live,
                (_, false) => Standing::Behind(sent),
            };
            (standing, released, if lags { state.listeners.remove(&id) } else { None })
        };
        if !released.is_empty() {
            for held in released {
                held.give();
            }
            if let Some(listener) = self.state.lock().listeners.get_mut(&id) {
                listener.answering = None;
            }
        }
        for connection in let_go(lagging) {
            connection.cut("its queue is full");
        }
        standing
    }

    // Receipts.

    /// One connection has acknowledged one message. Returns whether a receipt moved.
    pub(super) fn acknowledge(&self, id: ConnectionId, seq: Seq) -> bool {
        let mut state = self.state.lock();
        let Some(listener) = state.listeners.get_mut(&id) else { return false };
        if seq > listener.sent {
            return false;
        }
        listener.acked.add(seq);
        let (from, upto) = (listener.acked.from, listener.acked.upto);
        let user = listener.connection.user();
        let Some(entry) = state.members.get_mut(&user) else { return false };
        // What lies before this connection's first message is another's to acknowledge.
        if from <= entry.marks.delivered && upto > entry.marks.delivered {
            entry.marks.delivered = upto;
            return true;
        }
        false
    }

    /// A user says that everything up to `seq` has arrived. Returns how the receipt stands then,
    /// and whether it moved.
    pub(super) fn deliver_up_to(
        &self,
        user: UserId,
        connection: Option<ConnectionId>,
        seq: Seq,
    ) -> Option<(Seq, bool)> {
        let mut state = self.state.lock();
        let seq = seq.min(state.published);
        if let Some(listener) = connection.and_then(|id| state.listeners.get_mut(&id)) {
            listener.acked.everything_up_to(seq);
        }
        let marks = &mut state.members.get_mut(&user)?.marks;
        let moved = seq > marks.delivered;
        marks.delivered = marks.delivered.max(seq);
        Some((marks.delivered, moved))
    }

    /// A user has read up to `seq`. Returns how the receipt stands then, and whether it moved.
    pub(super) fn read_up_to(&self, user: UserId, seq: Seq) -> Option<(Seq, bool)> {
        let mut state = self.state.lock();
        let seq = seq.min(state.published);
        let marks = &mut state.members.get_mut(&user)?.marks;
        let moved = seq > marks.read;
        marks.read = marks.read.max(seq);
        Some((marks.read, moved))
    }

    /// Up to where a connection has acknowledged everything it was sent.
    pub(super) fn acked(&self, id: ConnectionId) -> Option<Seq> {
        self.state.lock().listeners.get(&id).map(|listener| listener.acked.upto)
    }

    /// The receipts that the database lacks.
    pub(super) fn unsaved(&self) -> Vec<Unsaved> {
        let state = self.state.lock();
        state
            .members
            .iter()
            .filter(|(_, entry)| entry.marks != entry.saved)
            .map(|(user, entry)| Unsaved {
                user: *user,
                username: entry.username.clone(),
                marks: entry.marks,
                read_moved: entry.marks.read != entry.saved.read,
            })
            .collect()
    }

    /// These receipts are in the database now.
    pub(super) fn saved(&self, receipts: &[Unsaved]) {
        let mut state = self.state.lock();
        for receipt in receipts {
            if let Some(entry) = state.members.get_mut(&receipt.user) {
                entry.saved = receipt.marks;
            }
        }
    }

    /// Which of the senders who listen have to hear of deliveries; only saved receipts count, so
    /// that what a sender was told is never taken back by a crash.
    pub(super) fn tellings(&self) -> Vec<Telling> {
        let state = self.state.lock();
        let mut floor = Floor::default();
        for (user, entry) in &state.members {
            floor.add(*user, entry.saved.arrived());
        }
        // Nobody hears of a delivery before the message itself has come by.
        let mut here: HashMap<UserId, Seq> = HashMap::new();
        for listener in state.listeners.values() {
            // Nor before it is answered.
            let answered = listener.answering.map_or(listener.sent, |seq| Seq(seq.0 - 1));
            let sent = here.entry(listener.connection.user()).or_insert(answered);
            *sent = answered.min(*sent);
        }
        here.into_iter()
            .filter_map(|(sender, sent)| {
                let after = state.members.get(&sender)?.marks.told;
                let upto = floor.of(sender).min(sent);
                (upto > after).then_some(Telling { sender, after, upto })
            })
            .collect()
    }

    /// The sender of this telling has heard it.
    pub(super) fn told(&self, telling: Telling) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&telling.sender) {
            entry.marks.told = entry.marks.told.max(telling.upto);
        }
    }

    /// Lets the `told` mark count as saved where nothing of the sender's lay in between: nothing
    /// would be told twice, so it need not be written.
    pub(super) fn told_nothing(&self, telling: Telling) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&telling.sender) {
            entry.marks.told = entry.marks.told.max(telling.upto);
            entry.saved.told = entry.marks.told;
        }
    }

    /// The recent messages after `after`, where memory still has all of them.
    pub(super) fn recent(&self, after: Seq) -> Option<Vec<Arc<Message>>> {
        let state = self.state.lock();
        if after < state.tail_after {
            return None;
        }
        Some(state.tail.iter().filter(|message| message.row.seq > after).cloned().collect())
    }

    /// Forgets the recent messages that everyone has got.
    pub(super) fn forget_delivered(&self) {
        let mut state = self.state.lock();
        let least = state.floors().delivered.least.map_or(Seq::ZERO, |(seq, _)| seq);
        while state.tail.front().is_some_and(|message| message.row.seq <= least) {
            state.drop_oldest();
        }
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

    fn remember(&mut self, message: &Arc<Message>) {
        // The lobby keeps no receipts, so nobody is ever told about its messages.
        if self.members.is_empty() {
            self.tail_after = message.row.seq;
            return;
        }
        self.tail.push_back(message.clone());
        if self.tail.len() > TAIL {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.tail.pop_front() {
            self.tail_after = oldest.row.seq;
        }
    }

    /// Keeps the answer while its sender's connection has not been sent the message itself; gives
    /// it back where nothing stands in its way.
    fn hold(&mut self, origin: Option<ConnectionId>, message: Arc<Message>, reply: Reply) -> Option<Held> {
        let answer = Held { message, reply };
        let listener = origin.and_then(|id| self.listeners.get_mut(&id));
        match listener {
            Some(listener) if !listener.live && listener.sent < answer.message.row.seq => {
                listener.held.push(answer);
                None
            }
            _ => Some(answer),
        }
    }
}

/// Gives the answers that listeners who have gone were still waiting for: their messages are stored.
/// Call it without the lock; answers may ask for this room again.
fn let_go(listeners: impl IntoIterator<Item = Listener>) -> Vec<Arc<Connection>> {
    let gone = listeners.into_iter().map(|listener| {
        listener.held.into_iter().for_each(Held::give);
        listener.connection
    });
    gone.collect()
}

/// A stored row as a noun, with the names of this room.
pub(super) fn message_noun(
    roster: &Roster,
    row: message::Model,
    sender: Arc<str>,
    floors: Option<Floors>,
) -> Message {
    let reached = |floor: Option<Floor>| floor.is_some_and(|floor| floor.of(row.sender_id) >= row.seq);
    Message {
        receiver: roster.receiver_from(row.sender_id),
        delivered_to_all: reached(floors.map(|floors| floors.delivered)),
        read_by_all: reached(floors.map(|floors| floors.read)),
        sender,
        row,
    }
}
