//! What happened, as the clients saw it: every device writes down what it sent, what it was answered and
//! what it read, and in which order, across all devices, it did so.
//!
//! What a client does is written down before it does it, and what happens to it after it has happened.
//! So where the order of two entries says that the server knew something too early, it did.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use entity::{MessageId, RoomId};
use parking_lot::Mutex;

use crate::stored::Receipts;

/// A room by what is known of it before it exists. People and groups are numbered as in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Of two people, the lower number first.
    Direct(usize, usize),
    Group(usize),
    Lobby,
}

impl Place {
    pub fn between(one: usize, other: usize) -> Self {
        Self::Direct(one.min(other), one.max(other))
    }
}

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

/// Something a device wants to have stored once, however often it has to say so.
#[derive(Clone, Debug)]
pub struct Operation {
    pub place: Place,
    /// Unique in the whole run, though only one sender and room would be enough.
    pub client_message_id: String,
    pub content: Digest,
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
    /// Whether both are the same message, in whatever version.
    pub fn is_same_message(&self, other: &Self) -> bool {
        let ids = |line: &Self| (line.seq, line.id, line.sender, line.client_message_id.clone());
        ids(self) == ids(other)
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
}

impl Version {
    pub fn unchanged(content: Digest) -> Self {
        Self { change: 0, content, edits: 0, edited_at: 0, reactions: Digest::of(NO_REACTIONS) }
    }

    /// What a client makes of it with the fields of a change.
    pub fn with(self, change: i64, set: &Set) -> Self {
        Self {
            change,
            content: set.content.unwrap_or(self.content),
            edits: set.edits.unwrap_or(self.edits),
            edited_at: set.edited_at.unwrap_or(self.edited_at),
            reactions: set.reactions.unwrap_or(self.reactions),
        }
    }
}

/// The summary of a message without reactions.
pub const NO_REACTIONS: &str = "null";

/// The fields that a change names. One that it takes away is at its zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    pub content: Option<Digest>,
    pub edits: Option<i64>,
    pub edited_at: Option<i64>,
    pub reactions: Option<Digest>,
}

impl Set {
    /// All fields.
    pub fn of(version: &Version) -> Self {
        let Version { change: _, content, edits, edited_at, reactions } = *version;
        Self {
            content: Some(content),
            edits: Some(edits),
            edited_at: Some(edited_at),
            reactions: Some(reactions),
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
        ];
        agrees.into_iter().all(|agrees| agrees)
    }
}

/// A device's reaction to a message, with a key of its own, or its withdrawal. It is asked for until it is answered, and
/// before the next one.
#[derive(Clone, Copy, Debug)]
pub struct React {
    pub room: RoomId,
    pub seq: i64,
    pub on: bool,
}

/// A new content that a device wants a message of its own to have.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    pub room: RoomId,
    pub seq: i64,
    pub id: MessageId,
    pub content: Digest,
    /// Over a socket it is asked for until it is answered.
    pub is_over_http: bool,
}

/// What a device was said to have of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub change: i64,
    /// It has to read the room again.
    pub is_reset: bool,
}

/// One thing that happened on a connection.
#[derive(Clone, Debug)]
pub enum What {
    /// It asks to be let in, and says up to which seq and which change it has which room, if it does.
    Comes {
        wire: &'static str,
        since: Option<BTreeMap<RoomId, i64>>,
        changes: Option<BTreeMap<RoomId, i64>>,
    },
    /// It was let in.
    Opened,
    /// An operation was said, for the first time or again.
    Sent {
        operation: usize,
    },
    /// An operation was answered: it is stored there.
    Stored {
        operation: usize,
        room: RoomId,
        seq: i64,
        id: MessageId,
    },
    /// An operation was answered: it is not stored.
    Refused {
        operation: usize,
        code: String,
    },
    /// `is_unrequested`: its acknowledgement was not asked for, although those of others on this connection are.
    Read {
        room: RoomId,
        line: Line,
        is_unrequested: bool,
    },
    /// One message was acknowledged.
    Acknowledged {
        room: RoomId,
        seq: i64,
    },
    /// Everything up to there was said to have arrived.
    Claimed {
        room: RoomId,
        seq: i64,
    },
    /// Everything up to there was said to be read.
    MarkedRead {
        room: RoomId,
        seq: i64,
    },
    /// A message of one's own was said to have reached everyone.
    ToldDelivered {
        room: RoomId,
        seq: i64,
        id: MessageId,
    },
    /// Somebody was said to have read that far.
    ToldRead {
        room: RoomId,
        reader: usize,
        seq: i64,
    },
    /// An edit was asked for, for the first time or again.
    EditAsked {
        edit: usize,
    },
    /// An edit was answered, with the message as it stood then.
    EditAnswered {
        edit: usize,
        change: i64,
        content: Digest,
    },
    EditRefused {
        edit: usize,
        code: String,
    },
    /// A reaction was asked for, for the first time or again.
    ReactAsked {
        react: usize,
    },
    ReactAnswered {
        react: usize,
        change: i64,
    },
    ReactRefused {
        react: usize,
        code: String,
    },
    /// A message was said to have changed. `is_replayed`: the connection was not there when it did.
    Changed {
        room: RoomId,
        seq: i64,
        change: i64,
        set: Set,
        is_replayed: bool,
    },
    /// The device was said to have everything up to there.
    Synced {
        rooms: BTreeMap<RoomId, Position>,
    },
    /// A page of a room that the device had to read again; the newest comes first.
    PageRead {
        room: RoomId,
        lines: Vec<Line>,
        is_last: bool,
    },
    Ended,
}

#[derive(Clone, Debug)]
pub struct Entry {
    /// The place among the entries of all devices.
    pub stamp: u64,
    /// The device's how-manieth connection.
    pub connection: u32,
    pub what: What,
}

/// How a device finds its place again when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It remembers what it has of each room, and says so.
    Since,
    /// It has the server begin at its user's receipt.
    Receipt,
    /// It only wants to hear what is new.
    LiveOnly,
}

/// Everything about one device.
#[derive(Clone, Debug)]
pub struct Record {
    pub person: usize,
    pub memory: Memory,
    /// Whether it keeps the messages and follows their changes. What it keeps is worked out from the entries.
    pub keeps_store: bool,
    pub operations: Vec<Operation>,
    pub edits: Vec<Edit>,
    pub reacts: Vec<React>,
    pub entries: Vec<Entry>,
}

impl Record {
    pub fn new(person: usize, memory: Memory, keeps_store: bool) -> Self {
        Self {
            person,
            memory,
            keeps_store,
            operations: Vec::new(),
            edits: Vec::new(),
            reacts: Vec::new(),
            entries: Vec::new(),
        }
    }
}

/// Everything about all of them.
#[derive(Clone, Debug)]
pub struct History {
    /// Who is in which group.
    pub groups: Vec<Vec<usize>>,
    pub people: usize,
    pub devices: Vec<Record>,
    pub saved: Vec<Saved>,
    /// What the server said of every room in the end, when all was quiet.
    pub said: BTreeMap<RoomId, Vec<Line>>,
}

/// A receipt as it was found stored while the server was dead.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// The place among the entries of the devices.
    pub stamp: u64,
    pub person: usize,
    pub room: RoomId,
    pub receipts: Receipts,
}

impl History {
    pub fn members(&self, place: Place) -> Vec<usize> {
        match place {
            Place::Direct(one, other) if one == other => vec![one],
            Place::Direct(one, other) => vec![one, other],
            Place::Group(group) => self.groups[group].clone(),
            Place::Lobby => (0..self.people).collect(),
        }
    }
}

/// A device's pen. All pens of a run share the stamp.
#[derive(Clone)]
pub struct Pen {
    stamp: Arc<AtomicU64>,
    record: Arc<Mutex<Record>>,
}

impl Pen {
    pub fn new(stamp: &Arc<AtomicU64>, person: usize, memory: Memory, keeps_store: bool) -> Self {
        let record = Record::new(person, memory, keeps_store);
        Self { stamp: stamp.clone(), record: Arc::new(Mutex::new(record)) }
    }

    pub fn writes(&self, connection: u32, what: What) {
        let mut record = self.record.lock();
        let stamp = self.stamp.fetch_add(1, Ordering::SeqCst);
        record.entries.push(Entry { stamp, connection, what });
    }

    /// Takes note of an operation, and numbers it.
    pub fn intends(&self, operation: Operation) -> usize {
        let mut record = self.record.lock();
        record.operations.push(operation);
        record.operations.len() - 1
    }

    /// Takes note of an edit, and numbers it.
    pub fn means(&self, edit: Edit) -> usize {
        let mut record = self.record.lock();
        record.edits.push(edit);
        record.edits.len() - 1
    }

    /// Takes note of a reaction, and numbers it.
    pub fn feels(&self, react: React) -> usize {
        let mut record = self.record.lock();
        record.reacts.push(react);
        record.reacts.len() - 1
    }

    pub fn memory(&self) -> Memory {
        self.record.lock().memory
    }

    pub fn keeps_store(&self) -> bool {
        self.record.lock().keeps_store
    }

    /// How much is written down.
    pub fn length(&self) -> usize {
        self.record.lock().entries.len()
    }

    pub fn record(&self) -> Record {
        self.record.lock().clone()
    }
}

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub sends: usize,
    pub repeats: usize,
    pub stored: usize,
    pub refused: usize,
    pub reads: usize,
    pub receipts: usize,
    pub told: usize,
    pub connections: usize,
    pub edits: usize,
    pub edits_answered: usize,
    pub edits_refused: usize,
    pub reacts: usize,
    pub reacts_answered: usize,
    /// Connections that said what they have of changes, and were let in.
    pub with_changes: usize,
    pub changes: usize,
    pub replayed: usize,
    /// Rooms that had to be read again.
    pub resets: usize,
    /// Connections by wire, those included that were not let in.
    pub wires: BTreeMap<&'static str, usize>,
}

impl Counts {
    pub fn of(history: &History) -> Self {
        let mut counts = Self::default();
        for device in &history.devices {
            counts.sends += device.operations.len();
            counts.edits += device.edits.len();
            counts.reacts += device.reacts.len();
            let mut says_changes = false;
            for entry in &device.entries {
                match &entry.what {
                    What::Opened => {
                        counts.connections += 1;
                        counts.with_changes += usize::from(says_changes);
                    }
                    What::Sent { .. } => counts.repeats += 1,
                    What::Stored { .. } => counts.stored += 1,
                    What::Refused { .. } => counts.refused += 1,
                    What::Read { .. } => counts.reads += 1,
                    What::Acknowledged { .. } | What::Claimed { .. } | What::MarkedRead { .. } => {
                        counts.receipts += 1;
                    }
                    What::ToldDelivered { .. } | What::ToldRead { .. } => counts.told += 1,
                    What::Comes { wire, changes, .. } => {
                        *counts.wires.entry(wire).or_default() += 1;
                        says_changes = changes.as_ref().is_some_and(|changes| !changes.is_empty());
                    }
                    What::EditAnswered { .. } => counts.edits_answered += 1,
                    What::EditRefused { .. } => counts.edits_refused += 1,
                    What::ReactAnswered { .. } => counts.reacts_answered += 1,
                    What::Changed { is_replayed, .. } => {
                        counts.changes += 1;
                        counts.replayed += usize::from(*is_replayed);
                    }
                    What::Synced { rooms } => {
                        counts.resets += rooms.values().filter(|position| position.is_reset).count();
                    }
                    What::EditAsked { .. }
                    | What::ReactAsked { .. }
                    | What::ReactRefused { .. }
                    | What::PageRead { .. }
                    | What::Ended => {}
                }
            }
        }
        counts.repeats -= counts.sends.min(counts.repeats);
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sends, repeats, stored, refused, reads, receipts, told, connections, wires, .. } = self;
        let Self { edits, edits_answered, edits_refused, reacts, reacts_answered, .. } = self;
        let Self { with_changes, changes, replayed, resets, .. } = self;
        writeln!(f, "sends {sends}, sent again {repeats}, acknowledged {stored}, refused {refused}")?;
        writeln!(f, "connections {connections}, tried {wires:?}")?;
        writeln!(f, "messages read {reads}, receipts given {receipts}, told {told}")?;
        writeln!(
            f,
            "edits {edits}, acknowledged {edits_answered}, refused {edits_refused}; reactions {reacts}, acknowledged \
             {reacts_answered}"
        )?;
        write!(
            f,
            "reconnects with changes {with_changes}, changes told {changes}, of these replayed {replayed}; \
             rooms read again {resets}"
        )
    }
}
