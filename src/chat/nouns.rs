//! Rows with what the core knows beyond them: the things that operations return and events carry.
//! Gateways render them; nothing here knows a wire shape.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq, UserId, member, message, room, user};

/// What a user is called: by the unique username, and by the first name that people are shown, which
/// is the username where none was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub username: Arc<str>,
    pub first_name: Arc<str>,
}

impl Person {
    pub fn new(username: String, first_name: Option<String>) -> Self {
        let username: Arc<str> = username.into();
        let first_name = first_name.map_or_else(|| username.clone(), Arc::from);
        Self { username, first_name }
    }

    /// Somebody whose row is gone.
    pub(super) fn nobody() -> Self {
        Self::new(String::new(), None)
    }
}

/// A user, and whether a socket of theirs is open.
#[derive(Clone, Debug)]
pub struct User {
    pub row: user::Model,
    pub online: bool,
    /// The user is an entry of a list and has a profile over [`User::LISTED_PROFILE`]; the row has none.
    pub profile_left_out: bool,
}

impl User {
    /// The most bytes of JSON of a profile in a list. A longer one is read by asking for its user alone.
    pub const LISTED_PROFILE: usize = 1_024;
}

/// Where a part of a list begins: behind an entry.
#[derive(Clone, Debug)]
pub enum After<Id> {
    /// The [`Page::next`] of the part before.
    Key(String),
    /// The last entry of the part before.
    Id(Id),
}

impl<Id> After<Id> {
    /// Behind the parts that were read before, or else behind the entry that the client named.
    pub fn part(next: Option<String>, named: Option<Id>) -> Option<Self> {
        next.map(Self::Key).or(named.map(Self::Id))
    }
}

/// A group as its members or, without `users`, everyone may see it.
#[derive(Clone, Debug)]
pub struct Group {
    pub row: room::Model,
    pub owner: Person,
    pub member_count: u64,
    /// At most [`Group::USERS`] of the members; none for those outside.
    pub users: Option<Vec<User>>,
}

impl Group {
    /// The most members listed in a group.
    pub const USERS: usize = 200;

    /// What somebody outside may see.
    pub fn public(&self) -> Self {
        Self { users: None, ..self.clone() }
    }
}

/// A member in a list of members.
#[derive(Clone, Debug)]
pub struct Member {
    pub user: User,
    pub row: member::Model,
}

/// A message with the names that its ids stand for, and how far it has got.
#[derive(Clone, Debug)]
pub struct Message {
    pub row: message::Model,
    pub sender: Person,
    pub receiver: Receiver,
    /// The id of the user that `receiver` names, if it names one.
    pub receiver_id: Option<UserId>,
    pub delivered_to_all: bool,
    pub read_by_all: bool,
}

#[cfg(test)]
impl Message {
    /// An empty one that nobody has got.
    pub fn in_group(room: RoomId, seq: i64, sender: UserId) -> Self {
        let row = message::Model {
            room_id: room,
            seq: Seq(seq),
            id: entity::MessageId::new(),
            sender_id: sender,
            kind: message::Kind::Text,
            content: "\"\"".into(),
            client_message_id: None,
            reply_to: None,
            created_at: DateTime::UNIX_EPOCH,
            edited_at: None,
            deleted_at: None,
        };
        let receiver = Receiver::Group(room);
        let sender = Person::nobody();
        Self { row, sender, receiver, receiver_id: None, delivered_to_all: false, read_by_all: false }
    }
}

/// Where a message went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A direct room: the other user's name (one's own, in the room with oneself).
    User(Arc<str>),
    Group(RoomId),
    Lobby(RoomId),
}

/// One of a user's rooms, as a list of conversations shows it.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub room: room::Model,
    pub delivered: Seq,
    pub read: Seq,
    /// Messages of others past the read receipt.
    pub unread: i64,
    pub kind: ConversationKind,
    pub last_message: Option<Message>,
}

#[derive(Clone, Debug)]
pub enum ConversationKind {
    Direct { peer: Box<User> },
    Group(Box<Group>),
}

/// A part of a longer list. `next` is what to pass as `after` for the part that follows.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The first `limit` of the rows; one more was asked for, to know whether any follow. `key` is
    /// what the part after a row is asked for by.
    pub(super) fn of(mut rows: Vec<T>, limit: u64, key: impl Fn(&T) -> Option<String>) -> Self {
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = rows.last().filter(|_| more).and_then(key);
        Self { items: rows, next }
    }
}

/// Messages of a room, oldest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    pub messages: Vec<Message>,
    /// Whether more lie beyond, in the direction asked for.
    pub has_more: bool,
}

/// Presence of one user, as others are told.
#[derive(Clone, Debug)]
pub struct Presence {
    pub username: Arc<str>,
    pub online: bool,
    pub last_seen: DateTime<Utc>,
}
