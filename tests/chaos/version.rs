//! A message as somebody was shown it, and what changes make of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use entity::MessageId;

/// A content by its hash: the longest are too many to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    pub fn of(content: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What was read or stored under a seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub seq: i64,
    pub id: MessageId,
    /// The number of its sender.
    pub sender: Option<usize>,
    pub client_message_id: Option<String>,
    pub version: Version,
}

impl Line {
    /// Whether a row is the message that somebody was shown, in whatever version. A deleted message has lost the id that
    /// its sender gave it, for everybody but the database.
    pub fn is_shown_as(&self, shown: &Self) -> bool {
        let place = |line: &Self| (line.seq, line.id, line.sender);
        let client_message_id = self.client_message_id.as_ref().filter(|_| shown.version.deleted.is_none());
        place(self) == place(shown) && client_message_id == shown.client_message_id.as_ref()
    }
}

/// What changes have made of a message; after none, all numbers are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub change: i64,
    pub content: Digest,
    pub edits: i64,
    /// In Unix milliseconds.
    pub edited_at: i64,
    /// The summary of its reactions.
    pub reactions: Digest,
    pub deleted: Option<Mark>,
    pub pinned: Option<Mark>,
}

/// Who has deleted or pinned a message, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// In Unix milliseconds.
    pub at: i64,
    /// The username.
    pub by: Digest,
}

impl Version {
    pub fn unchanged(content: Digest) -> Self {
        let reactions = Digest::of(NO_REACTIONS);
        Self { change: 0, content, edits: 0, edited_at: 0, reactions, deleted: None, pinned: None }
    }

    /// What is left of a deleted message.
    pub fn tombstone(change: i64, deleted: Mark) -> Self {
        Self { change, deleted: Some(deleted), ..Self::unchanged(Digest::of(NOTHING)) }
    }

    /// What a client makes of it with the fields of a change.
    pub fn with(self, change: i64, set: &Set) -> Self {
        Self {
            change,
            content: set.content.unwrap_or(self.content),
            edits: set.edits.unwrap_or(self.edits),
            edited_at: set.edited_at.unwrap_or(self.edited_at),
            reactions: set.reactions.unwrap_or(self.reactions),
            deleted: set.deleted.unwrap_or(self.deleted),
            pinned: set.pinned.unwrap_or(self.pinned),
        }
    }
}

/// The summary of a message without reactions.
pub const NO_REACTIONS: &str = "null";
/// The content of a deleted message. No other message of a storm is empty.
pub const NOTHING: &str = "";

/// The fields that a change names. One that it takes away is at its zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    pub content: Option<Digest>,
    pub edits: Option<i64>,
    pub edited_at: Option<i64>,
    pub reactions: Option<Digest>,
    pub deleted: Option<Option<Mark>>,
    pub pinned: Option<Option<Mark>>,
}

impl Set {
    /// All fields.
    pub fn of(version: &Version) -> Self {
        let Version { change: _, content, edits, edited_at, reactions, deleted, pinned } = *version;
        Self {
            content: Some(content),
            edits: Some(edits),
            edited_at: Some(edited_at),
            reactions: Some(reactions),
            deleted: Some(deleted),
            pinned: Some(pinned),
        }
    }

    /// Takes the fields of another set of the same version. Returns whether none of them contradicts.
    pub fn join(&mut self, other: &Self) -> bool {
        fn agree<T: Copy + PartialEq>(one: &mut Option<T>, other: Option<T>) -> bool {
            let agrees = one.is_none() || other.is_none() || *one == other;
            *one = one.or(other);
            agrees
        }
        let agrees = [
            agree(&mut self.content, other.content),
            agree(&mut self.edits, other.edits),
            agree(&mut self.edited_at, other.edited_at),
            agree(&mut self.reactions, other.reactions),
            agree(&mut self.deleted, other.deleted),
            agree(&mut self.pinned, other.pinned),
        ];
        agrees.into_iter().all(|agrees| agrees)
    }
}
