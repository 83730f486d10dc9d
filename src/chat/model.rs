//! The models that operations return and events carry: rows, and what the core knows beyond them. Gateways
//! render them. Nothing here knows a wire format.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, RoomId, Seq, UserId, member, message, room, user};

use crate::{
    identity::Person,
    message_extras::MessageExtras,
    message_marks::MessageMarks,
    room_settings::RoomSettings,
    room_view::{Notify, RoomDraft, StoredView},
    values::Lifetime,
};

/// A user, and whether they are online.
#[derive(Clone, Debug)]
pub struct User {
    pub row: user::Model,
    pub online: bool,
    /// The user is an entry of a list and has a profile over [`User::LISTED_PROFILE`]. `row` then has no
    /// profile.
    pub profile_left_out: bool,
}

impl User {
    /// The most bytes of JSON of a profile in a list. A request for a single user returns a longer one.
    pub const LISTED_PROFILE: usize = 1_024;
}

/// Where a part of a list begins: after an entry.
#[derive(Clone, Debug)]
pub enum After<Id> {
    /// The [`Page::next`] of the previous part.
    Key(String),
    /// The last entry of the previous part.
    Id(Id),
}

impl<Id> After<Id> {
    /// After the parts that were read before, or else after the entry that the client named.
    pub fn part(next: Option<String>, named: Option<Id>) -> Option<Self> {
        next.map(Self::Key).or(named.map(Self::Id))
    }
}

/// A group as its members may see it, or, without `users`, as everyone may see it.
#[derive(Clone, Debug)]
pub struct Group {
    pub row: room::Model,
    pub owner: Person,
    pub member_count: u64,
    /// At most [`Group::USERS`] of the members; `None` for users outside.
    pub users: Option<Vec<User>>,
}

impl Group {
    /// The most members listed in a group.
    pub const USERS: usize = 200;

    /// Whether changes of the membership are told by messages of the server.
    pub fn tells_changes(&self) -> bool {
        self.row.settings.as_deref().is_some_and(|json| RoomSettings::read(Some(json)).system_messages)
    }

    /// The group as users outside may see it.
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

/// A message, the names of its users, and whether everyone has received and read it.
#[derive(Clone, Debug)]
pub struct Message {
    pub row: message::Model,
    /// What changes have done to it; `None` for a message that was never changed.
    pub marks: Option<Box<MessageMarks>>,
    /// What it was sent with; `None` for most messages.
    pub extras: Option<Box<MessageExtras>>,
    pub sender: Person,
    pub receiver: Receiver,
    /// The id of the user that `receiver` names, if it names one.
    pub receiver_id: Option<UserId>,
    pub delivered_to_all: bool,
    pub read_by_all: bool,
    /// The keys with which the caller has reacted, in the answer to one caller; otherwise empty.
    pub my_reactions: Vec<String>,
    /// The replies of the thread that it begins, in the answer to one caller; otherwise `None`.
    pub replies: Option<Box<Replies>>,
}

/// The replies of a thread, without deleted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies {
    pub count: i64,
    /// The newest; the root's seq if there are none.
    pub last_seq: Seq,
    /// The usernames of the first who have answered.
    pub users: Vec<String>,
}

impl Message {
    /// Whether the server has written it.
    pub fn is_system(&self) -> bool {
        self.row.kind == message::Kind::System
    }

    /// See [`message::Model::bytes`].
    pub fn bytes(&self) -> usize {
        let marks = self.marks.as_ref().map_or(0, |marks| marks.bytes());
        self.row.content.len() + marks + self.extras.as_ref().map_or(0, |extras| extras.bytes())
    }
}

#[cfg(test)]
impl Message {
    /// An empty message that nobody has received.
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
            change: ChangeNumber::ZERO,
            marks: None,
            extras: None,
        };
        let receiver = Receiver::Group(room);
        let sender = Person::nobody();
        Self {
            row,
            marks: None,
            extras: None,
            sender,
            receiver,
            receiver_id: None,
            delivered_to_all: false,
            read_by_all: false,
            my_reactions: Vec::new(),
            replies: None,
        }
    }
}

/// A thread of a room, as one of its members has read it.
#[derive(Clone, Debug)]
pub struct Thread {
    pub root: Message,
    /// The caller has read the replies up to this seq.
    pub read: Seq,
    /// The number of replies of others after that.
    pub unread: i64,
    pub following: bool,
}

/// Where a message went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A direct room: the other user's name (in a user's room with themselves, the same user's).
    User(Arc<str>),
    Group(RoomId),
    Lobby(RoomId),
}

/// A room of a user, as a list of conversations shows it.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub room: room::Model,
    pub delivered: Seq,
    pub read: Seq,
    /// The number of messages of others after the read receipt, without those that do not count.
    pub unread: i64,
    /// How many of them mention the user.
    pub unread_mentions: i64,
    /// The number of threads that the user follows and has not read.
    pub unread_threads: i64,
    /// After how long messages disappear that are sent without saying so.
    pub disappear_after: Option<Lifetime>,
    pub kind: ConversationKind,
    pub last_message: Option<Message>,
    /// The user has marked it as unread, and has not read it since. [`StoredView::marked`] is what is stored.
    pub is_marked_unread: bool,
    pub view: StoredView,
}

/// What differs now in one of a user's rooms. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    pub read: Option<Seq>,
    pub unread: Option<i64>,
    pub unread_mentions: Option<i64>,
    pub unread_threads: Option<i64>,
    pub is_marked_unread: Option<bool>,
    pub archived: Option<bool>,
    pub notify: Option<Notify>,
    /// In Unix milliseconds.
    pub muted_until: Option<Option<i64>>,
    pub draft: Option<Option<RoomDraft>>,
    pub disappear_after: Option<Option<Lifetime>>,
}

#[derive(Clone, Debug)]
pub enum ConversationKind {
    Direct { peer: Box<User> },
    Group(Box<Group>),
}

/// A part of a longer list. Pass `next` as `after` to get the following part.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The first `limit` rows. The query asked for one more, to find out whether more follow. `key` returns
    /// the key by which the part after a row is requested.
    pub(super) fn of(mut rows: Vec<T>, limit: u64, key: impl Fn(&T) -> Option<String>) -> Self {
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = rows.last().filter(|_| more).and_then(key);
        Self { items: rows, next }
    }

    pub(super) fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }

    pub(super) fn map<U>(self, model: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(model).collect(), next: self.next }
    }
}

/// Messages of a room, oldest first.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    pub messages: Vec<Message>,
    /// Whether there are more messages in the requested direction.
    pub has_more: bool,
    /// The messages that these answer and that are not among them, if the query asked for them.
    pub referenced: Vec<Message>,
    /// The room's newest change that all of them show, if the query asked for it.
    pub change: Option<ChangeNumber>,
}

/// A change of a message: what was done, and the message as it stands after it.
#[derive(Clone, Debug)]
pub struct MessageChange {
    pub message: Arc<Message>,
    pub number: ChangeNumber,
    pub at: DateTime<Utc>,
    /// Who has made it. `None` in a replay, where it stands for all changes of the message.
    pub by: Option<Arc<str>>,
    pub what: Vec<Alteration>,
    /// Everyone who has reacted, or has withdrawn a reaction, in this change.
    pub reacted: Vec<Reacted>,
    /// The usernames of those whom an edit mentions and who were not mentioned before.
    pub mentioned: Vec<String>,
    /// Whether an edit has changed what the message was sent with beyond its content.
    pub extras_changed: bool,
}

/// What a change has done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    Edited,
    Deleted,
    Reactions,
    Pinned,
    /// Anything: the device was away, and gets the message as it stands now.
    CaughtUp,
}

/// A user has reacted with a key, or has withdrawn that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reacted {
    pub username: Arc<str>,
    pub key: String,
    pub on: bool,
}

/// A user's reaction to a message.
#[derive(Clone, Debug)]
pub struct Reaction {
    pub username: String,
    pub key: String,
    pub at: DateTime<Utc>,
}

/// Changed messages of a room, each once, ascending by their newest change.
#[derive(Clone, Debug)]
pub struct ChangesPage {
    pub changes: Vec<MessageChange>,
    /// The change up to which the reader has everything with this page.
    pub change: ChangeNumber,
    pub has_more: bool,
}

/// A content that a message had before an edit, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageVersion {
    pub content: String,
    pub at: DateTime<Utc>,
}

/// What a socket has of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncedRoom {
    pub room: RoomId,
    pub seq: Seq,
    pub change: ChangeNumber,
    /// The client must forget what it holds of this room, and read it again.
    pub reset: bool,
}

/// The presence of one user, as others are notified of it.
#[derive(Clone, Debug)]
pub struct Presence {
    pub username: Arc<str>,
    pub online: bool,
    pub last_seen: DateTime<Utc>,
}
