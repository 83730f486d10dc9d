//! A made-up history with nothing wrong, and each way to go on with it: for the tests of the checker.

use std::collections::BTreeMap;

use entity::{MessageId, RoomId};

use crate::{
    changes_check::check,
    checker::{Found, Rule, rules_of},
    edits::key_of,
    history::{Act, Deed, Edit, Entry, History, Memory, Operation, Place, Position, Record, What},
    stored::{Room, Stored},
    version::{Digest, Line, Mark, NO_REACTIONS, Set, Version},
};

pub const ADA: usize = 0;
pub const BOB: usize = 1;

/// Ada's messages in a room that Bob's store follows. Each has one device.
#[derive(Clone)]
pub struct Tale {
    pub history: History,
    pub stored: Stored,
    pub room: RoomId,
    stamp: u64,
}

impl Tale {
    /// Three messages, and Bob has them.
    pub fn new() -> Self {
        let room = RoomId::new();
        let devices = vec![Record::new(ADA, Memory::Since, false), Record::new(BOB, Memory::Since, true)];
        let place = Some(Place::Direct(ADA, BOB));
        let empty = Room { place, ..Room::default() };
        let history = History {
            groups: Vec::new(),
            people: 2,
            devices,
            saved: Vec::new(),
            said: BTreeMap::new(),
            counted: Vec::new(),
            replies: BTreeMap::new(),
        };
        let mut tale = Self { history, stored: Stored::from([(room, empty)]), room, stamp: 0 };
        tale.comes(ADA);
        tale.comes(BOB);
        tale.synced(0, false);
        for seq in 1..=3 {
            let client_message_id = seq.to_string();
            let content = Digest::of(&client_message_id);
            let operation = Operation {
                place: Place::Direct(ADA, BOB),
                client_message_id: client_message_id.clone(),
                content,
            };
            tale.history.devices[ADA].operations.push(operation);
            let line = Line {
                seq,
                id: MessageId::new(),
                sender: Some(ADA),
                client_message_id: Some(client_message_id),
                version: Version::unchanged(content),
            };
            tale.room_mut().last_seq = seq;
            tale.room_mut().lines.push(line);
            tale.reads(seq);
        }
        tale
    }

    /// The first message is edited while Bob hears it, the second while he is away, and then the first again.
    pub fn of_three_edits() -> Self {
        let mut tale = Self::new();
        tale.edits(1, "hello");
        tale.hears(1);
        tale.edits(2, "there");
        tale.edits(1, "hello!");
        tale.comes(BOB);
        tale.is_caught_up(2);
        tale.is_caught_up(1);
        tale.synced(3, false);
        tale
    }

    pub fn writes(&mut self, device: usize, what: What) {
        self.stamp += 1;
        let comes = |entry: &&Entry| matches!(entry.what, What::Comes { .. });
        let connection = self.history.devices[device].entries.iter().filter(comes).count() as u32;
        self.history.devices[device].entries.push(Entry { stamp: self.stamp, connection, what });
    }

    pub fn room_mut(&mut self) -> &mut Room {
        self.stored.get_mut(&self.room).unwrap()
    }

    pub fn line(&self, seq: i64) -> Line {
        self.stored[&self.room].line_at(seq).unwrap().clone()
    }

    /// As everybody is shown it.
    pub fn shown(&self, seq: i64) -> Line {
        let line = self.line(seq);
        let client_message_id = line.client_message_id.filter(|_| line.version.deleted.is_none());
        Line { client_message_id, ..line }
    }

    /// With the cursor that a device has by the rules.
    pub fn comes(&mut self, device: usize) {
        let mut changes = BTreeMap::new();
        for entry in &self.history.devices[device].entries {
            match &entry.what {
                What::Changed { change, .. } => drop(changes.insert(self.room, *change)),
                What::Synced { rooms } => drop(changes.insert(self.room, rooms[&self.room].change)),
                _ => {}
            }
        }
        let changes = (device == BOB).then_some(changes);
        self.writes(device, What::Comes { wire: "plain", since: None, changes });
    }

    pub fn reads(&mut self, seq: i64) {
        let what = What::Read { room: self.room, line: self.line(seq), is_unrequested: false };
        self.writes(BOB, what);
    }

    pub fn synced(&mut self, change: i64, is_reset: bool) {
        let rooms = BTreeMap::from([(self.room, Position { change, is_reset })]);
        self.writes(BOB, What::Synced { rooms });
    }

    /// Asks for an edit over the socket.
    pub fn asks(&mut self, seq: i64, content: &str) -> usize {
        let (room, id) = (self.room, self.line(seq).id);
        let edit = Edit { room, seq, id, content: Digest::of(content), is_over_http: false };
        let edits = &mut self.history.devices[ADA].edits;
        edits.push(edit);
        let edit = edits.len() - 1;
        self.writes(ADA, What::EditAsked { edit });
        edit
    }

    /// The row is changed.
    pub fn changes(&mut self, seq: i64, content: &str) {
        let room = self.room_mut();
        room.last_change += 1;
        let change = room.last_change;
        let version = &mut room.lines[seq as usize - 1].version;
        *version = Version {
            change,
            content: Digest::of(content),
            edits: version.edits + 1,
            edited_at: change,
            ..*version
        };
    }

    /// Ada reacts to a message, or withdraws that: the row and its summary change.
    pub fn reacts(&mut self, seq: i64, on: bool) {
        let react = self.asks_to_react(seq, on);
        self.is_reacted(seq, on);
        self.writes(ADA, self.told_of_reactions(seq, false));
        self.is_done(ADA, react);
    }

    pub fn asks_to_react(&mut self, seq: i64, on: bool) -> usize {
        self.asks_to_do(ADA, seq, Act::React { on })
    }

    pub fn asks_to_do(&mut self, device: usize, seq: i64, act: Act) -> usize {
        let room = self.room;
        let deeds = &mut self.history.devices[device].deeds;
        deeds.push(Deed { room, seq, act });
        let deed = deeds.len() - 1;
        self.writes(device, What::DeedAsked { deed });
        deed
    }

    /// With the message as it stands.
    pub fn is_done(&mut self, device: usize, deed: usize) {
        let version = self.line(self.history.devices[device].deeds[deed].seq).version;
        self.writes(device, What::DeedAnswered { deed, version });
    }

    /// A message is deleted while nobody is asked.
    pub fn is_deleted(&mut self, seq: i64) {
        let mark = self.mark();
        let room = self.room_mut();
        room.last_change += 1;
        let change = room.last_change;
        room.reactions.remove(&seq);
        room.summaries.remove(&seq);
        room.pins.remove(&seq);
        room.lines[seq as usize - 1].version = Version::tombstone(change, mark);
    }

    pub fn is_pinned(&mut self, seq: i64, on: bool) {
        let mark = self.mark();
        let room = self.room_mut();
        room.last_change += 1;
        let change = room.last_change;
        if on {
            room.pins.insert(seq);
        } else {
            room.pins.remove(&seq);
        }
        let version = &mut room.lines[seq as usize - 1].version;
        *version = Version { change, pinned: on.then_some(mark), ..*version };
    }

    fn mark(&self) -> Mark {
        Mark { at: self.stored[&self.room].last_change + 1, by: Digest::of("ada") }
    }

    /// Ada asks for a deletion and is answered; both hear of it.
    pub fn deletes(&mut self, seq: i64) {
        let deed = self.asks_to_do(ADA, seq, Act::Delete);
        self.is_deleted(seq);
        self.both_hear_all(seq);
        self.is_done(ADA, deed);
    }

    /// Somebody pins a message, or takes its pin away, and is answered; both hear of it.
    pub fn pins(&mut self, device: usize, seq: i64, on: bool) {
        let deed = self.asks_to_do(device, seq, Act::Pin { on });
        self.is_pinned(seq, on);
        self.both_hear_all(seq);
        self.is_done(device, deed);
    }

    /// All fields of a changed message.
    pub fn both_hear_all(&mut self, seq: i64) {
        for device in [ADA, BOB] {
            let what = self.all_of(seq, false);
            self.writes(device, what);
        }
    }

    pub fn all_of(&self, seq: i64, is_replayed: bool) -> What {
        let version = self.line(seq).version;
        let (change, set) = (version.change, Set::of(&version));
        What::Changed { room: self.room, seq, change, set, is_replayed }
    }

    pub fn is_reacted(&mut self, seq: i64, on: bool) {
        let room = self.room_mut();
        room.last_change += 1;
        let change = room.last_change;
        let people = room.reactions.entry(seq).or_default().entry(key_of(ADA)).or_default();
        if on {
            people.insert(ADA)
        } else {
            people.remove(&ADA)
        };
        room.summaries.clone_from(&room.reactions);
        let version = &mut room.lines[seq as usize - 1].version;
        *version =
            Version { change, reactions: Digest::of(if on { "ada" } else { NO_REACTIONS }), ..*version };
    }

    pub fn told_of_reactions(&self, seq: i64, is_replayed: bool) -> What {
        let Version { change, reactions, .. } = self.line(seq).version;
        let set = Set { reactions: Some(reactions), ..Set::default() };
        What::Changed { room: self.room, seq, change, set, is_replayed }
    }

    /// Ada hears of what has become of her message.
    pub fn ada_hears(&mut self, seq: i64) {
        let what = self.changed(seq, false);
        self.writes(ADA, what);
    }

    pub fn is_answered(&mut self, edit: usize) {
        let Version { change, content, .. } = self.line(self.history.devices[ADA].edits[edit].seq).version;
        self.writes(ADA, What::EditAnswered { edit, change, content });
    }

    pub fn edits(&mut self, seq: i64, content: &str) {
        let edit = self.asks(seq, content);
        self.changes(seq, content);
        self.ada_hears(seq);
        self.is_answered(edit);
    }

    pub fn changed(&self, seq: i64, is_replayed: bool) -> What {
        let Version { change, content, edits, edited_at, .. } = self.line(seq).version;
        let set =
            Set { content: Some(content), edits: Some(edits), edited_at: Some(edited_at), ..Set::default() };
        What::Changed { room: self.room, seq, change, set, is_replayed }
    }

    /// Bob hears what has become of a message, live.
    pub fn hears(&mut self, seq: i64) {
        let what = self.changed(seq, false);
        self.writes(BOB, what);
    }

    pub fn is_caught_up(&mut self, seq: i64) {
        let what = self.changed(seq, true);
        self.writes(BOB, what);
    }

    /// Takes the last entry of a device away.
    pub fn forgets(&mut self, device: usize, is_it: impl Fn(&What) -> bool) {
        let entries = &mut self.history.devices[device].entries;
        let at = entries.iter().rposition(|entry| is_it(&entry.what)).unwrap();
        entries.remove(at);
    }

    pub fn rules(&self) -> Vec<Rule> {
        let mut found = Found::default();
        check(&self.history, &self.stored, true, &mut found);
        rules_of(found.all())
    }

    #[track_caller]
    pub fn breaks(&self, rule: Rule) {
        let rules = self.rules();
        assert!(rules.contains(&rule), "{rule:?} is not among {rules:?}");
    }
}
