//! What happened, as the clients saw it: every device writes down what it sent, what it was answered and
//! what it read, and in which order, across all devices, it did so.
//!
//! What a client does is written down before it does it, and what happens to it after it has happened.
//! So where the order of two entries says that the server knew something too early, it did.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use entity::{MessageId, RoomId};
use parking_lot::Mutex;
use serde_json::Value as Json;

use crate::{
    stored::Receipts,
    version::{Digest, Line, Set, Version},
};

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

/// Something a device wants to have stored once, however often it has to say so.
#[derive(Clone, Debug)]
pub struct Operation {
    pub place: Place,
    /// Unique in the whole run, though only one sender and room would be enough.
    pub client_message_id: String,
    pub content: Digest,
}

/// What a device wants done to a message, besides an edit. It is asked for until it is answered or refused for good.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    pub room: RoomId,
    pub seq: i64,
    pub act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A reaction with the device's own key, or its withdrawal. It is answered before the next one.
    React {
        on: bool,
    },
    Pin {
        on: bool,
    },
    Delete,
}

/// How a deed is refused because of a deletion, and because of too many pins: there is no use in asking again.
pub const DELETED: &str = "forbidden deleted";
pub const LIMIT_REACHED: &str = "conflict limit_reached";

/// The code of a refusal, and its reason if there is one.
pub fn code_of(error: &Json) -> String {
    let code = error["code"].as_str().unwrap_or("none");
    error["reason"].as_str().map_or_else(|| code.to_owned(), |reason| format!("{code} {reason}"))
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
    /// A deed was asked for, for the first time or again.
    DeedAsked {
        deed: usize,
    },
    /// A deed was answered, with the message as it stood then.
    DeedAnswered {
        deed: usize,
        version: Version,
    },
    DeedRefused {
        deed: usize,
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
    pub deeds: Vec<Deed>,
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
            deeds: Vec::new(),
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
    /// What the server counted for everybody in the end, when all was quiet.
    pub counted: Vec<Counted>,
    /// How many replies it counted for each message that has a thread, in the end.
    pub replies: BTreeMap<(RoomId, i64), i64>,
}

/// How much of a room is unread, as one of its members was told.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub person: usize,
    pub room: RoomId,
    pub read: i64,
    pub unread: i64,
    pub mentions: i64,
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

    pub fn place_of(&self, operation: usize) -> Place {
        self.record.lock().operations[operation].place
    }

    /// Takes note of an edit, and numbers it.
    pub fn means(&self, edit: Edit) -> usize {
        let mut record = self.record.lock();
        record.edits.push(edit);
        record.edits.len() - 1
    }

    /// Takes note of a deed, and numbers it.
    pub fn will_do(&self, deed: Deed) -> usize {
        let mut record = self.record.lock();
        record.deeds.push(deed);
        record.deeds.len() - 1
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
