//! That the checker finds what it is there to find: a history with nothing wrong, and each way to break it.

use std::collections::BTreeMap;

use entity::{MessageId, RoomId};

use crate::{
    checker::{Rule, check, rules_of},
    history::{Entry, History, Memory, Operation, Place, Record, Saved, What},
    stored::{Receipts, Room, Stored},
    version::{Digest, Line, Version},
};

const ADA: usize = 0;
const BOB: usize = 1;
const PLACE: Place = Place::Direct(ADA, BOB);

/// What happened between Ada and Bob, who have one device each, and what is stored of it.
#[derive(Clone)]
struct Tale {
    history: History,
    stored: Stored,
    room: RoomId,
    stamp: u64,
}

impl Tale {
    fn new() -> Self {
        let devices = vec![Record::new(ADA, Memory::Since, false), Record::new(BOB, Memory::Since, false)];
        let room = RoomId::new();
        let empty = Room { place: Some(PLACE), ..Room::default() };
        Self {
            history: History {
                groups: Vec::new(),
                people: 2,
                devices,
                saved: Vec::new(),
                counted: Vec::new(),
                replies: BTreeMap::new(),
                said: BTreeMap::new(),
            },
            stored: Stored::from([(room, empty)]),
            room,
            stamp: 0,
        }
    }

    /// Three messages of Ada's, the last after Bob has come back; all stored, read and acknowledged.
    fn of_three() -> Self {
        let mut tale = Self::new();
        tale.comes(ADA, 1, Some(0));
        tale.comes(BOB, 1, Some(0));
        for seq in 1..=2 {
            tale.posts(ADA, 1, seq);
            tale.gets(BOB, 1, seq);
            tale.told(seq);
        }
        tale.comes(BOB, 2, Some(2));
        tale.posts(ADA, 1, 3);
        tale.gets(BOB, 2, 3);
        tale.told(3);
        tale.receipts(3, 3);
        tale
    }

    fn writes(&mut self, device: usize, connection: u32, what: What) {
        self.stamp += 1;
        self.history.devices[device].entries.push(Entry { stamp: self.stamp, connection, what });
    }

    fn comes(&mut self, device: usize, connection: u32, since: Option<i64>) {
        let since =
            since.map(|seq| if seq == 0 { BTreeMap::new() } else { BTreeMap::from([(self.room, seq)]) });
        self.writes(device, connection, What::Comes { wire: "plain", since, changes: None });
        self.writes(device, connection, What::Opened);
    }

    /// Wants something stored, and says so.
    fn sends(&mut self, device: usize, connection: u32) -> usize {
        let operations = &mut self.history.devices[device].operations;
        let operation = operations.len();
        let client_message_id = format!("{device}-{operation}");
        operations.push(Operation {
            place: PLACE,
            content: Digest::of(&client_message_id),
            client_message_id,
        });
        self.writes(device, connection, What::Sent { operation });
        operation
    }

    fn stores(&mut self, device: usize, operation: usize, seq: i64) {
        let operation = &self.history.devices[device].operations[operation];
        let line = Line {
            seq,
            id: MessageId::new(),
            sender: Some(device),
            client_message_id: Some(operation.client_message_id.clone()),
            version: Version::unchanged(operation.content),
        };
        let room = self.room_mut();
        room.lines.push(line);
        room.last_seq = seq;
    }

    fn room_mut(&mut self) -> &mut Room {
        self.stored.get_mut(&self.room).unwrap()
    }

    fn line(&self, seq: i64) -> Line {
        self.stored[&self.room].line_at(seq).unwrap().clone()
    }

    fn reads(&mut self, device: usize, connection: u32, seq: i64) {
        let what = What::Read { room: self.room, line: self.line(seq), is_unrequested: false };
        self.writes(device, connection, what);
    }

    fn acknowledges(&mut self, device: usize, connection: u32, seq: i64) {
        self.writes(device, connection, What::Acknowledged { room: self.room, seq });
    }

    fn gets(&mut self, device: usize, connection: u32, seq: i64) {
        self.reads(device, connection, seq);
        self.acknowledges(device, connection, seq);
    }

    fn is_answered(&mut self, device: usize, connection: u32, operation: usize, seq: i64) {
        let what = What::Stored { operation, room: self.room, seq, id: self.line(seq).id };
        self.writes(device, connection, what);
    }

    fn posts(&mut self, device: usize, connection: u32, seq: i64) {
        let operation = self.sends(device, connection);
        self.stores(device, operation, seq);
        self.gets(device, connection, seq);
        self.is_answered(device, connection, operation, seq);
    }

    fn told(&mut self, seq: i64) {
        let what = What::ToldDelivered { room: self.room, seq, id: self.line(seq).id };
        self.writes(ADA, 1, what);
    }

    fn receipts(&mut self, ada: i64, bob: i64) {
        let of = |delivered| Receipts { delivered, read: 0 };
        self.room_mut().receipts = BTreeMap::from([(ADA, of(ada)), (BOB, of(bob))]);
    }

    /// Changes the entry of a device that is the `number`th read.
    fn read_at(&mut self, device: usize, number: usize) -> usize {
        let entries = &self.history.devices[device].entries;
        let reads = entries.iter().enumerate().filter(|(_, entry)| matches!(entry.what, What::Read { .. }));
        reads.map(|(at, _)| at).nth(number).unwrap()
    }

    fn rules(&self) -> Vec<Rule> {
        rules_of(&check(&self.history, &self.stored, true))
    }

    #[track_caller]
    fn breaks(&self, rule: Rule) {
        let rules = self.rules();
        assert!(rules.contains(&rule), "{rule:?} is not among {rules:?}");
    }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(Tale::of_three().rules(), []);
}

#[test]
fn an_answer_to_what_is_not_stored_is_found() {
    let mut tale = Tale::of_three();
    let room = tale.room_mut();
    room.lines.pop();
    room.last_seq = 2;
    tale.breaks(Rule::Lost);
    tale.breaks(Rule::Phantom);

    let mut tale = Tale::of_three();
    tale.room_mut().lines[1].id = MessageId::new();
    tale.breaks(Rule::Lost);
}

#[test]
fn an_answer_that_names_another_message_is_found() {
    let mut tale = Tale::of_three();
    let one = tale.sends(ADA, 1);
    let two = tale.sends(ADA, 1);
    tale.stores(ADA, one, 4);
    tale.stores(ADA, two, 5);
    for seq in 4..=5 {
        tale.gets(ADA, 1, seq);
        tale.gets(BOB, 2, seq);
    }
    tale.receipts(5, 5);
    let mut crossed = tale.clone();
    tale.is_answered(ADA, 1, one, 4);
    tale.is_answered(ADA, 1, two, 5);
    assert_eq!(tale.rules(), []);
    crossed.is_answered(ADA, 1, one, 5);
    crossed.is_answered(ADA, 1, two, 4);
    crossed.breaks(Rule::Lost);
    crossed.breaks(Rule::OwnOrder);
}

#[test]
fn a_message_that_is_stored_twice_is_found() {
    let mut tale = Tale::of_three();
    tale.stores(ADA, 2, 4);
    tale.gets(ADA, 1, 4);
    tale.gets(BOB, 2, 4);
    tale.receipts(4, 4);
    assert_eq!(tale.rules(), [Rule::Double]);
}

#[test]
fn a_hole_in_the_room_is_found() {
    let mut tale = Tale::of_three();
    tale.room_mut().lines.remove(1);
    tale.breaks(Rule::Hole);
    let mut tale = Tale::of_three();
    tale.room_mut().last_seq = 4;
    tale.breaks(Rule::Hole);
}

#[test]
fn what_nobody_sent_is_found() {
    let mut tale = Tale::of_three();
    tale.room_mut().lines[0].client_message_id = Some("out of nowhere".to_owned());
    tale.breaks(Rule::Phantom);
    let mut tale = Tale::of_three();
    tale.room_mut().lines[0].version.content = Digest::of("something else");
    tale.breaks(Rule::Phantom);
    let mut tale = Tale::of_three();
    tale.room_mut().place = Some(Place::Lobby);
    tale.breaks(Rule::Phantom);
}

#[test]
fn a_reader_who_is_shown_something_else_than_is_stored_is_found() {
    let mut tale = Tale::of_three();
    let at = tale.read_at(BOB, 1);
    let What::Read { line, .. } = &mut tale.history.devices[BOB].entries[at].what else { unreachable!() };
    line.sender = Some(BOB);
    assert_eq!(tale.rules(), [Rule::Phantom]);
}

#[test]
fn a_gap_is_found_on_a_connection_and_over_a_reconnect() {
    let mut tale = Tale::of_three();
    let at = tale.read_at(BOB, 0);
    tale.history.devices[BOB].entries.remove(at);
    tale.breaks(Rule::Gap);
    tale.breaks(Rule::Missing);

    let mut tale = Tale::of_three();
    tale.comes(BOB, 3, Some(3));
    for seq in 4..=5 {
        tale.posts(ADA, 1, seq);
    }
    tale.gets(BOB, 3, 5);
    tale.receipts(5, 3);
    tale.breaks(Rule::Gap);
}

#[test]
fn a_beginning_beyond_the_receipt_is_found() {
    let mut tale = Tale::new();
    tale.history.devices[BOB].memory = Memory::Receipt;
    tale.comes(ADA, 1, Some(0));
    tale.posts(ADA, 1, 1);
    tale.posts(ADA, 1, 2);
    tale.comes(BOB, 1, None);
    tale.gets(BOB, 1, 2);
    tale.receipts(2, 0);
    tale.breaks(Rule::Gap);
}

#[test]
fn something_shown_twice_is_found() {
    let mut tale = Tale::of_three();
    tale.reads(BOB, 2, 3);
    assert_eq!(tale.rules(), [Rule::Twice]);
    // Also where it comes again after the client said that it has it.
    let mut tale = Tale::of_three();
    tale.comes(BOB, 3, Some(3));
    tale.reads(BOB, 3, 3);
    assert_eq!(tale.rules(), [Rule::Twice]);
}

#[test]
fn a_swap_is_found() {
    let mut tale = Tale::of_three();
    tale.posts(ADA, 1, 4);
    tale.posts(ADA, 1, 5);
    tale.receipts(5, 5);
    let mut swapped = tale.clone();
    tale.gets(BOB, 2, 4);
    tale.gets(BOB, 2, 5);
    assert_eq!(tale.rules(), []);
    swapped.gets(BOB, 2, 5);
    swapped.gets(BOB, 2, 4);
    swapped.breaks(Rule::Swap);
}

#[test]
fn who_has_not_got_everything_in_the_end_is_found() {
    let mut tale = Tale::of_three();
    tale.posts(ADA, 1, 4);
    tale.receipts(4, 3);
    assert_eq!(tale.rules(), [Rule::Missing, Rule::ReceiptBehind]);
    let mut tale = Tale::of_three();
    tale.sends(ADA, 1);
    assert_eq!(tale.rules(), [Rule::Missing]);
}

#[test]
fn a_receipt_that_is_ahead_is_found() {
    let mut tale = Tale::of_three();
    tale.posts(ADA, 1, 4);
    tale.posts(ADA, 1, 5);
    tale.gets(BOB, 2, 4);
    // The fifth was read and not acknowledged.
    tale.reads(BOB, 2, 5);
    tale.receipts(5, 5);
    assert_eq!(tale.rules(), [Rule::ReceiptAhead]);

    let mut tale = Tale::of_three();
    tale.room_mut().receipts.get_mut(&BOB).unwrap().read = 1;
    assert_eq!(tale.rules(), [Rule::ReceiptAhead]);
}

#[test]
fn a_receipt_that_jumps_over_a_hole_is_found() {
    let mut tale = Tale::of_three();
    for seq in 4..=6 {
        tale.posts(ADA, 1, seq);
    }
    tale.gets(BOB, 2, 4);
    tale.reads(BOB, 2, 5);
    tale.gets(BOB, 2, 6);
    tale.receipts(6, 6);
    assert_eq!(tale.rules(), [Rule::ReceiptAhead]);
}

#[test]
fn a_receipt_that_was_ahead_for_a_while_is_found() {
    let mut tale = Tale::of_three();
    let saved = |tale: &Tale, delivered| Saved {
        stamp: tale.stamp + 1,
        person: BOB,
        room: tale.room,
        receipts: Receipts { delivered, read: 0 },
    };
    tale.history.saved.push(saved(&tale, 3));
    tale.posts(ADA, 1, 4);
    let ahead = saved(&tale, 4);
    tale.gets(BOB, 2, 4);
    tale.receipts(4, 4);
    assert_eq!(tale.rules(), []);
    tale.history.saved.push(ahead);
    assert_eq!(tale.rules(), [Rule::ReceiptAhead]);
}

#[test]
fn a_delivery_that_is_told_too_early_is_found() {
    let mut tale = Tale::of_three();
    tale.posts(ADA, 1, 4);
    tale.told(4);
    tale.gets(BOB, 2, 4);
    tale.receipts(4, 4);
    assert_eq!(tale.rules(), [Rule::ToldEarly]);
}

#[test]
fn a_reader_who_is_said_to_have_read_too_much_is_found() {
    let mut tale = Tale::of_three();
    let room = tale.room;
    tale.writes(BOB, 2, What::MarkedRead { room, seq: 2 });
    let mut early = tale.clone();
    tale.writes(ADA, 1, What::ToldRead { room, reader: BOB, seq: 2 });
    assert_eq!(tale.rules(), []);
    early.writes(ADA, 1, What::ToldRead { room, reader: BOB, seq: 3 });
    assert_eq!(early.rules(), [Rule::ReceiptAhead]);
}

#[test]
fn an_answer_out_of_its_turn_is_found() {
    let mut tale = Tale::of_three();
    let operation = tale.sends(ADA, 1);
    tale.stores(ADA, operation, 4);
    tale.gets(BOB, 2, 4);
    tale.receipts(4, 4);
    let (mut before_its_message, mut after_its_delivery) = (tale.clone(), tale);
    before_its_message.is_answered(ADA, 1, operation, 4);
    before_its_message.gets(ADA, 1, 4);
    assert_eq!(before_its_message.rules(), [Rule::AnswerOutOfTurn]);
    after_its_delivery.gets(ADA, 1, 4);
    after_its_delivery.told(4);
    after_its_delivery.is_answered(ADA, 1, operation, 4);
    assert_eq!(after_its_delivery.rules(), [Rule::AnswerOutOfTurn]);
}

#[test]
fn a_strange_refusal_is_found() {
    let mut tale = Tale::of_three();
    let operation = tale.sends(ADA, 1);
    let refused = |code: &str| What::Refused { operation, code: code.to_owned() };
    tale.writes(ADA, 1, refused("internal"));
    tale.breaks(Rule::Refusal);
}
