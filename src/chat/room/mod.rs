//! A live room: a room in memory while any of its members is connected.
//!
//! A room is one lock around five parts, each a type of its own that can be understood and tested alone:
//! - [`members`]: who is in the room, and their roles
//! - [`receipts`]: how far each member has received and read
//! - [`subscriptions`]: which connections receive the messages. It draws the states of a subscription.
//! - [`recent`]: the newest messages
//! - [`unread_marks`]: who has marked the room as unread
//!
//! Everything that decides *order* happens under this one lock: publishing a message, sending a page of missed
//! messages, and making a subscription live. So a subscription gets each seq once and in ascending order,
//! whatever else happens at the same time. Nothing under the lock waits. The methods of [`Room`] take the lock
//! and let the parts work together; `fanout` is about messages, `delivery` about receipts, `views` about own settings.

mod catch_up;
mod changed_pages;
mod changes;
pub(in crate::chat) mod create;
mod delivery;
mod fanout;
mod members;
pub(in crate::chat) mod membership;
pub(in crate::chat) mod permissions;
mod receipts;
mod recent;
pub(in crate::chat) mod registry;
pub(in crate::chat) mod replay_cache;
mod settings;
mod subscriptions;
mod unread_marks;
mod views;
pub(in crate::chat) mod watermark;

use std::sync::{Arc, atomic::AtomicU64};

use entity::{ChangeNumber, RoomId, Seq, UserId, member::Role, message, names::NameKeys, room};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

pub(in crate::chat) use self::{
    changes::ChangeAnswer,
    subscriptions::{DelayedReply, Held, Settled},
};
pub use self::{
    delivery::{DeliveryNotice, Reader},
    members::RoomMember,
    receipts::Unsaved,
    views::HasRead,
};
use self::{
    members::Members,
    receipts::Receipts,
    recent::Recent,
    replay_cache::ReplayCache,
    subscriptions::{EndedSubscription, Subscriptions},
    unread_marks::UnreadMarks,
    watermark::{Floor, Floors, Marks},
};
use super::{
    changes::read_marks,
    connections::connection::Connection,
    event::Origin,
    extras::read_extras,
    model::{Message, Receiver},
};
use crate::{
    clock::Clock, db::Db, error::Result, identity::Person, room_settings::RoomSettings, shutdown::Shutdown,
};

/// Answers the sender of a message. It runs in the task that published the message, directly after its
/// delivery.
pub type Reply = Box<dyn FnOnce(Result<Arc<Message>>) + Send + Sync>;

/// See the module.
pub struct Room {
    pub id: RoomId,
    pub kind: room::Kind,
    /// The two users of a direct room. A user's room with themselves has the same user twice.
    pub pair: Option<[Peer; 2]>,
    /// Held by the task that reads missed messages or changes from the database. The other tasks wait, and then find
    /// them in the replay cache.
    pub(super) reading: AsyncMutex<()>,
    /// How often messages were replaced there. What was read before the last time is not kept there.
    pub(super) replaced: AtomicU64,
    state: Mutex<RoomState>,
}

/// The rooms in memory, and what this folder needs to load them and to bring connections up to date.
pub(in crate::chat) struct Rooms {
    registry: registry::RoomRegistry,
    replay_cache: ReplayCache,
    /// The room that every user is in.
    lobby: Arc<Room>,
}

impl Rooms {
    /// Makes the lobby if the database has none.
    pub async fn open(db: &Db, clock: &Clock, shutdown: &Shutdown) -> Result<Self> {
        let registry = registry::RoomRegistry::new(db, shutdown);
        let lobby = create::open_lobby(db, clock, &registry).await?;
        Ok(Self { registry, replay_cache: ReplayCache::new(), lobby })
    }

    pub fn lobby(&self) -> &Arc<Room> {
        &self.lobby
    }

    /// The room, if it is in memory.
    pub fn resident(&self, room: RoomId) -> Option<Arc<Room>> {
        self.registry.resident(room)
    }

    /// Those of these rooms that are in memory.
    pub fn resident_among(&self, rooms: impl IntoIterator<Item = RoomId>) -> Vec<Arc<Room>> {
        rooms.into_iter().filter_map(|room| self.resident(room)).collect()
    }

    /// Forgets the messages of a room that memory has. Call it when some were changed that memory does not know of:
    /// another process has changed them, or the answer of a commit was lost.
    pub fn forget_messages(&self, room: &Room) {
        room.forget_recent();
        self.replay_cache.forget(room);
    }

    /// Replaces older versions of changed messages in memory, before the changes are published.
    pub fn replace(&self, room: &Room, messages: &[Arc<Message>]) {
        room.replace_recent(messages);
        self.replay_cache.replace(room, messages);
    }

    /// All rooms in memory.
    pub fn all(&self) -> Vec<Arc<Room>> {
        self.registry.all()
    }
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

/// What the lock guards. Each part is a type of its own that knows no other part. What concerns several parts
/// is a method of [`Room`].
struct RoomState {
    members: Members,
    receipts: Receipts,
    subscriptions: Subscriptions,
    recent: Recent,
    settings: RoomSettings,
    unread_marks: UnreadMarks,
}

/// A member, as in the database.
#[derive(Clone, Debug)]
pub struct StoredMember {
    pub person: Person,
    pub role: Role,
    pub marks: Marks,
    pub is_marked_unread: bool,
    /// See [`RoomMember::joined`].
    pub joined: Seq,
}

/// A message that was stored just now, the connection that it came from, and the answer to its sender.
pub struct Fresh {
    pub message: Arc<Message>,
    pub origin: Option<Origin>,
    pub reply: Reply,
}

/// The newest message and the newest change of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    pub seq: Seq,
    pub change: ChangeNumber,
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
    pub gone: Vec<(UserId, Person)>,
    /// Members that memory did not have, each with the newest message when they joined.
    pub come: Vec<(UserId, Person, Seq)>,
    /// Members who had another role in memory.
    pub roles: Vec<(UserId, Role)>,
    /// The connections of users who are no longer members. Their subscriptions have ended.
    pub detached: Vec<Arc<Connection>>,
}

impl Room {
    /// Makes a room from its stored form. The room is not deleted.
    pub(super) fn new(
        id: RoomId,
        kind: room::Kind,
        pair: Option<[Peer; 2]>,
        heads: Heads,
        version: i64,
        stored: ById<UserId, StoredMember>,
    ) -> Self {
        let receipts = Receipts::new(stored.iter().map(|(user, member)| (*user, member.marks)));
        let marked = stored.iter().filter(|(_, member)| member.is_marked_unread);
        let unread_marks = UnreadMarks::of(marked.map(|(user, _)| *user));
        let state = RoomState {
            members: Members::new(version, stored.into_iter().map(known).collect()),
            receipts,
            subscriptions: Subscriptions::new(heads),
            recent: Recent::after(heads.seq),
            settings: RoomSettings::default(),
            unread_marks,
        };
        Self {
            id,
            kind,
            pair,
            reading: AsyncMutex::default(),
            replaced: AtomicU64::new(0),
            state: Mutex::new(state),
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

    /// Whether this is the direct room of `user` and the user whom the typed name means.
    pub fn is_between(&self, user: UserId, typed: &str, keys: &NameKeys<'_>) -> bool {
        let is_meant = |peer: &Peer| keys.mean(typed, &peer.key, &peer.username);
        self.pair.as_ref().is_some_and(|[low, high]| {
            (low.id == user && is_meant(high)) || (high.id == user && is_meant(low))
        })
    }

    /// The version of the membership in which the user is a member, or `None` for a user who is not a member.
    /// Every user is in the lobby.
    pub(super) fn version_with(&self, user: UserId) -> Option<i64> {
        let state = self.state.lock();
        self.belongs(&state, user).then(|| state.members.version())
    }

    /// The version of the membership that this process knows. Each change of the membership increases it.
    pub(super) fn version(&self) -> i64 {
        self.state.lock().members.version()
    }

    pub fn is_deleted(&self) -> bool {
        self.state.lock().members.is_deleted()
    }

    pub fn published(&self) -> Seq {
        self.state.lock().subscriptions.heads().seq
    }

    /// The newest change that was offered to subscriptions.
    pub fn changed(&self) -> ChangeNumber {
        self.state.lock().subscriptions.heads().change
    }

    /// Whether a user is a member. Every user is in the lobby.
    pub fn has(&self, user: UserId) -> bool {
        self.belongs(&self.state.lock(), user)
    }

    fn belongs(&self, state: &RoomState, user: UserId) -> bool {
        self.kind == room::Kind::Lobby || state.members.has(user)
    }

    /// Adds a member who has everything up to `seq`. `version` is the room's version after this change.
    pub(super) fn add_member(&self, user: UserId, member: RoomMember, seq: Seq, version: i64) {
        let mut state = self.state.lock();
        state.members.add(user, member, version);
        state.receipts.add(user, Marks::at(seq));
    }

    /// Changes the names that a member is shown with.
    pub(super) fn rename(&self, user: UserId, person: &Person) {
        self.state.lock().members.rename(user, person);
    }

    pub(super) fn set_role(&self, user: UserId, role: Role, version: i64) {
        self.state.lock().members.set_role(user, role, version);
    }

    /// Takes a member out, and ends the subscriptions of all their connections. Returns these connections.
    pub(super) fn take_out(&self, user: UserId, version: i64) -> Vec<Arc<Connection>> {
        let ended = {
            let mut state = self.state.lock();
            state.members.remove(user, version);
            state.receipts.remove(user);
            state.unread_marks.remove(user);
            state.subscriptions.end_of(|other| other == user)
        };
        give_replies(ended)
    }

    /// Takes over the membership from the database if its version is newer: another process made the change.
    pub(super) fn reconcile(&self, version: i64, stored: ById<UserId, StoredMember>) -> Reconciled {
        let (ended, gone, come, roles) = {
            let RoomState { members, receipts, subscriptions, unread_marks, .. } = &mut *self.state.lock();
            if version <= members.version() {
                return Reconciled::default();
            }
            let marks: ById<UserId, Marks> =
                stored.iter().map(|(user, stored)| (*user, stored.marks)).collect();
            let Some(changes) = members.reconcile(version, stored.into_iter().map(known).collect()) else {
                return Reconciled::default();
            };
            changes.gone.iter().for_each(|(user, _)| receipts.remove(*user));
            unread_marks.keep(|user| members.has(user));
            let come = changes.come.into_iter().filter_map(|user| {
                receipts.add(user, *marks.get(&user)?);
                let member = members.get(user)?;
                Some((user, member.person.clone(), member.joined))
            });
            let come = come.collect();
            let ended = subscriptions.end_of(|user| !members.has(user));
            (ended, changes.gone, come, changes.roles)
        };
        Reconciled { gone, come, roles, detached: give_replies(ended) }
    }

    /// Marks the room as deleted, and ends all subscriptions. Returns their connections.
    pub(super) fn delete(&self) -> Vec<Arc<Connection>> {
        let ended = {
            let mut state = self.state.lock();
            state.members.delete();
            state.receipts.clear();
            state.subscriptions.end_of(|_| true)
        };
        give_replies(ended)
    }
}

fn known((user, stored): (UserId, StoredMember)) -> (UserId, RoomMember) {
    (user, RoomMember { person: stored.person, role: stored.role, joined: stored.joined })
}

/// Gives the replies that ended subscriptions still held. Returns their connections. Call it without the lock.
fn give_replies(ended: Vec<EndedSubscription>) -> Vec<Arc<Connection>> {
    ended.into_iter().map(EndedSubscription::give_replies).collect()
}

/// The model of a stored message row, with the names of this room.
pub(super) fn to_message(
    room: &Room,
    mut row: message::Model,
    sender: Person,
    floors: Option<Floors>,
) -> Message {
    let marks = row.marks.take().map(|json| Box::new(read_marks(&json)));
    let extras = row.extras.take().map(|json| Box::new(read_extras(&json)));
    let reached = |floor: Option<Floor>| floor.is_some_and(|floor| floor.of(row.sender_id) >= row.seq);
    Message {
        receiver: room.receiver_from(row.sender_id),
        receiver_id: room.peer_of(row.sender_id),
        delivered_to_all: reached(floors.map(|floors| floors.delivered)),
        read_by_all: reached(floors.map(|floors| floors.read)),
        sender,
        marks,
        extras,
        row,
        my_reactions: Vec::new(),
        replies: None,
    }
}
