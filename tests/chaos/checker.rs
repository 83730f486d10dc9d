//! Compares what the clients saw with what the database holds, and names everything that the protocol says
//! cannot be. Pure: records in, violations out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

use entity::{MessageId, RoomId};

use crate::{
    changes_check,
    history::{Entry, History, Memory, Operation, Record, What},
    receipts_check::check_receipts,
    stored::Stored,
    version::Line,
};

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What was acknowledged is not stored, or not as the acknowledgement said.
    Lost,
    /// One operation was stored more than once.
    Double,
    /// A room's seqs are not 1, 2, ... n.
    Hole,
    /// Something is stored, or was read, that nobody sent, or that is not stored.
    Phantom,
    /// A reader was not sent something in between.
    Gap,
    /// A reader was sent something twice on one connection, or again after saying that it has it.
    Twice,
    /// A reader was sent something after what follows it.
    Swap,
    /// A reader has not got everything in the end.
    Missing,
    /// A receipt is ahead of what was acknowledged.
    ReceiptAhead,
    /// A receipt has stayed behind what was acknowledged.
    ReceiptBehind,
    /// A sender was told of a delivery that had not happened.
    ToldEarly,
    /// A sender was answered before its own message came by, or after being told that it was delivered.
    AnswerOutOfTurn,
    /// What one connection sent was stored in another order.
    OwnOrder,
    /// Something was refused with a reason that does not fit.
    Refusal,
    /// A change of a group's members is there in part.
    HalfDone,
    /// A member's connection was not sent a message of the group.
    NotAttached,
    /// Somebody who was taken out of a group was sent a message of it.
    StillHears,
    /// The server answers something else about groups, members or messages than its rows say.
    Disagrees,
    /// An edit that was acknowledged is not there, and no later one has replaced it.
    EditLost,
    /// The same edit, asked for again, was counted once more.
    EditedTwice,
    /// A reaction that was acknowledged is not as it was asked for.
    ReactionLost,
    /// A deletion that was acknowledged is not there, or something of a deleted message is.
    DeletionLost,
    /// A pin that was acknowledged is not there, or not taken away.
    PinLost,
    /// A room has more pins than it may have.
    TooManyPins,
    /// What the server counts is not what is there.
    Miscounted,
    /// A room's changes are not numbered 1, 2, ... n, or a connection was not told of them in that order.
    ChangeHole,
    /// A change was told of before its message.
    ChangeEarly,
    /// One change was seen in two versions.
    TwoVersions,
    /// A device has an older version of a message than it was said to have.
    Stale,
    /// A user is shown as online who is connected to no node that is alive.
    Ghost,
    /// A connection was told the same twice.
    ToldTwice,
    /// Something did not arrive at another node although it has looked at the database, with the bus stopped.
    Deaf,
}

#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub told: String,
}

/// The rules that were broken, each once.
#[cfg(test)]
pub fn rules_of<'a>(violations: impl IntoIterator<Item = &'a Violation>) -> Vec<Rule> {
    let rules: BTreeSet<Rule> = violations.into_iter().map(|violation| violation.rule).collect();
    rules.into_iter().collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.told)
    }
}

/// All that is wrong. Where `in_the_end`, everyone was given the time to take everything in.
pub fn check(history: &History, stored: &Stored, in_the_end: bool) -> Vec<Violation> {
    let mut found = Found::default();
    check_rows(history, stored, &mut found);
    for (device, record) in history.devices.iter().enumerate() {
        check_answers(device, record, stored, &mut found);
        check_views(device, record, stored, &mut found);
        if in_the_end {
            check_all_there(device, record, stored, &mut found);
        }
    }
    changes_check::check(history, stored, in_the_end, &mut found);
    check_receipts(history, stored, in_the_end, &mut found);
    if in_the_end {
        check_people(history, stored, &mut found);
    }
    found.0
}

#[derive(Default)]
pub struct Found(Vec<Violation>);

impl Found {
    #[cfg(test)]
    pub fn all(&self) -> &[Violation] {
        &self.0
    }

    pub fn add(&mut self, rule: Rule, told: String) {
        self.0.push(Violation { rule, told });
    }
}

/// The rows by themselves: each a different operation, and without a hole.
fn check_rows(history: &History, stored: &Stored, found: &mut Found) {
    let mut sent: HashMap<&str, (usize, &Operation)> = HashMap::new();
    for record in &history.devices {
        for operation in &record.operations {
            sent.insert(&operation.client_message_id, (record.person, operation));
        }
    }
    let mut once = HashSet::new();
    let mut ids = HashSet::new();
    for (id, room) in stored {
        let seqs = room.lines.iter().map(|line| line.seq);
        if !seqs.eq(1..=room.last_seq) {
            found.add(Rule::Hole, format!("room {id} has {} rows up to {}", room.lines.len(), room.last_seq));
        }
        for line in &room.lines {
            if !ids.insert(line.id) {
                found.add(Rule::Double, format!("message id {} is stored twice", line.id));
            }
            let key = line.client_message_id.as_deref().unwrap_or_default();
            let Some((person, operation)) = sent.get(key) else {
                found.add(Rule::Phantom, format!("{line:?} in room {id} was sent by nobody"));
                continue;
            };
            let as_sent = line.sender == Some(*person)
                && (line.version.change > 0 || line.version.content == operation.content)
                && room.place == Some(operation.place);
            if !as_sent {
                found.add(
                    Rule::Phantom,
                    format!("{line:?} in room {id} was not sent like this: {operation:?}"),
                );
            }
            if !once.insert(key) {
                found.add(
                    Rule::Double,
                    format!("{key} is stored more than once, at last as {} in {id}", line.seq),
                );
            }
        }
    }
}

/// What one device was answered.
fn check_answers(device: usize, record: &Record, stored: &Stored, found: &mut Found) {
    let mut times_sent: HashMap<usize, u32> = HashMap::new();
    for entry in &record.entries {
        if let What::Sent { operation } = entry.what {
            *times_sent.entry(operation).or_default() += 1;
        }
    }
    let mut order = OwnOrder::default();
    let mut told: HashSet<(u32, MessageId)> = HashSet::new();
    for entry in &record.entries {
        match &entry.what {
            What::Sent { operation } if times_sent[operation] == 1 => {
                order.sent(entry.connection, *operation)
            }
            What::ToldDelivered { id, .. } => drop(told.insert((entry.connection, *id))),
            What::Refused { operation, code } if !matches!(&**code, "unavailable" | "rate_limited") => {
                let operation = &record.operations[*operation];
                found.add(Rule::Refusal, format!("device {device} was refused with {code}: {operation:?}"));
            }
            What::Stored { operation, room, seq, id } => {
                let wanted = &record.operations[*operation];
                let line = stored.get(room).and_then(|room| room.line_at(*seq));
                let is_there = line.is_some_and(|line| {
                    line.id == *id && line.client_message_id.as_deref() == Some(&*wanted.client_message_id)
                });
                if !is_there {
                    let told = format!(
                        "device {device} was told that {} is {id} at {seq} in {room}; there is {line:?}",
                        wanted.client_message_id
                    );
                    found.add(Rule::Lost, told);
                }
                if times_sent.get(operation) == Some(&1) {
                    if told.contains(&(entry.connection, *id)) {
                        let told = format!("device {device} heard of the delivery of {id} before its answer");
                        found.add(Rule::AnswerOutOfTurn, told);
                    }
                    order.answered(entry.connection, *operation, *room, *seq);
                }
            }
            _ => {}
        }
    }
    order.check(device, found);
}

/// What was said once and answered on the same connection has seqs in the order in which it was said.
#[derive(Default)]
struct OwnOrder {
    sent: BTreeMap<u32, Vec<usize>>,
    answered: HashMap<(u32, usize), (RoomId, i64)>,
}

impl OwnOrder {
    fn sent(&mut self, connection: u32, operation: usize) {
        self.sent.entry(connection).or_default().push(operation);
    }

    fn answered(&mut self, connection: u32, operation: usize, room: RoomId, seq: i64) {
        self.answered.insert((connection, operation), (room, seq));
    }

    fn check(&self, device: usize, found: &mut Found) {
        for (connection, operations) in &self.sent {
            let mut last: HashMap<RoomId, i64> = HashMap::new();
            for operation in operations {
                let Some((room, seq)) = self.answered.get(&(*connection, *operation)) else { continue };
                let before = last.insert(*room, *seq);
                if before.is_some_and(|before| before >= *seq) {
                    let told = format!(
                        "on connection {connection} of device {device}, {seq} of {room} was sent later than {before:?}"
                    );
                    found.add(Rule::OwnOrder, told);
                }
            }
        }
    }
}

/// What one device was shown: each connection by itself, and joined over its reconnects.
fn check_views(device: usize, record: &Record, stored: &Stored, found: &mut Found) {
    // Up to where the device has everything, or says so.
    let mut has: BTreeMap<RoomId, i64> = BTreeMap::new();
    let mut view: BTreeMap<RoomId, View> = BTreeMap::new();
    let mut since: Option<&BTreeMap<RoomId, i64>> = None;
    for entry in &record.entries {
        match &entry.what {
            What::Comes { since: said, .. } => {
                view.clear();
                since = said.as_ref();
                for (room, seq) in said.iter().flatten() {
                    if has.get(room) != Some(seq) {
                        found.add(
                            Rule::Gap,
                            format!("device {device} says that it has {seq} of {room} and has {has:?}"),
                        );
                    }
                }
            }
            What::Read { room, line, .. } => {
                check_line(device, *room, line, stored, found);
                let begins = since.and_then(|since| since.get(room)).copied();
                let view = view.entry(*room).or_insert_with(|| View::after(begins));
                view.reads(device, entry, *room, line.seq, found);
                let has = has.entry(*room).or_default();
                *has = line.seq.max(*has);
            }
            What::Stored { room, seq, .. } => {
                let begins = since.and_then(|since| since.get(room)).copied();
                view.entry(*room).or_insert_with(|| View::after(begins)).answered = Some(*seq);
            }
            _ => {}
        }
    }
}

fn check_line(device: usize, room: RoomId, line: &Line, stored: &Stored, found: &mut Found) {
    let there = stored.get(&room).and_then(|room| room.line_at(line.seq));
    // Which versions there are is checked with the changes.
    if !there.is_some_and(|there| there.is_shown_as(line)) {
        found.add(
            Rule::Phantom,
            format!("device {device} read {line:?} in {room}, where {there:?} is stored"),
        );
    }
}

/// What one connection was shown of a room.
struct View {
    last: Option<i64>,
    seen: BTreeSet<i64>,
    /// The newest of its own messages that was answered.
    answered: Option<i64>,
}

impl View {
    fn after(since: Option<i64>) -> Self {
        Self { last: since, seen: BTreeSet::new(), answered: None }
    }

    fn reads(&mut self, device: usize, entry: &Entry, room: RoomId, seq: i64, found: &mut Found) {
        let told = || {
            let connection = entry.connection;
            format!(
                "on connection {connection} of device {device}, {seq} of {room} came after {:?}",
                self.last
            )
        };
        // Where it said nothing of this room, it begins wherever its receipt is; that is checked there.
        match self.last {
            Some(last) if seq > last + 1 => found.add(Rule::Gap, told()),
            Some(last) if seq <= last && (self.seen.contains(&seq) || self.seen.is_empty()) => {
                found.add(Rule::Twice, told());
            }
            Some(last) if seq <= last => found.add(Rule::Swap, told()),
            _ => {}
        }
        if self.answered.is_some_and(|answered| answered >= seq) {
            found.add(
                Rule::AnswerOutOfTurn,
                format!("{}, and after the answer to {:?}", told(), self.answered),
            );
        }
        self.seen.insert(seq);
        self.last = self.last.max(Some(seq));
    }
}

/// That nothing is left that a device still wants stored, or has not seen.
fn check_all_there(device: usize, record: &Record, stored: &Stored, found: &mut Found) {
    let answered: HashSet<usize> = record
        .entries
        .iter()
        .filter_map(|entry| match entry.what {
            What::Stored { operation, .. } => Some(operation),
            _ => None,
        })
        .collect();
    for (number, operation) in record.operations.iter().enumerate() {
        if !answered.contains(&number) {
            found.add(Rule::Missing, format!("{} was never answered", operation.client_message_id));
        }
    }
    if record.memory != Memory::Since {
        return;
    }
    let mut seen: BTreeMap<RoomId, i64> = BTreeMap::new();
    for entry in &record.entries {
        if let What::Read { room, line, .. } = &entry.what {
            let seen = seen.entry(*room).or_default();
            *seen = line.seq.max(*seen);
        }
    }
    for (room, seq) in seen {
        let last = stored.get(&room).map_or(0, |room| room.last_seq);
        if seq != last {
            found.add(Rule::Missing, format!("device {device} has {seq} of {room}, which has {last}"));
        }
    }
}

/// Every member has been shown every message, on one device or another.
fn check_people(history: &History, stored: &Stored, found: &mut Found) {
    let mut shown: BTreeMap<(usize, RoomId), BTreeSet<i64>> = BTreeMap::new();
    for record in &history.devices {
        for entry in &record.entries {
            if let What::Read { room, line, .. } = &entry.what {
                shown.entry((record.person, *room)).or_default().insert(line.seq);
            }
        }
    }
    for (id, room) in stored {
        for person in room.receipts.keys() {
            let seen = shown.get(&(*person, *id)).map_or(0, BTreeSet::len);
            if seen as i64 != room.last_seq {
                found.add(
                    Rule::Missing,
                    format!("person {person} was shown {seen} of the {} messages of {id}", room.last_seq),
                );
            }
        }
    }
}
