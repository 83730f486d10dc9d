//! That the checker finds what is wrong with deletions, pins and counts.

use crate::{
    checker::Rule,
    deeds_check::PINS,
    history::{Act, Counted, DELETED, LIMIT_REACHED, What},
    stored::ByKey,
    tale::{ADA, BOB, Tale},
    version::{Digest, Mark, Version},
};

/// Ada deletes the first message, and pins the second.
fn told() -> Tale {
    let mut tale = Tale::new();
    tale.deletes(1);
    tale.pins(ADA, 2, true);
    tale
}

/// Of Ada's deed.
fn refused(deed: usize, code: &str) -> What {
    What::DeedRefused { deed, code: code.to_owned() }
}

fn read(tale: &Tale, seq: i64) -> What {
    What::Read { room: tale.room, line: tale.shown(seq), is_unrequested: false }
}

#[test]
fn nothing_is_found_where_messages_are_deleted_and_pinned() {
    let mut tale = told();
    assert_eq!(tale.rules(), []);
    tale.pins(BOB, 2, false);
    tale.pins(ADA, 2, true);
    tale.edits(3, "three");
    tale.hears(3);
    tale.deletes(3);
    tale.deletes(2);
    assert_eq!(tale.rules(), []);
    // Asked for again, nothing changes.
    for (seq, act) in [(2, Act::Delete), (2, Act::Pin { on: false })] {
        let deed = tale.asks_to_do(ADA, seq, act);
        tale.is_done(ADA, deed);
    }
    assert_eq!(tale.rules(), []);
}

#[test]
fn a_deletion_that_is_undone_is_found() {
    // In the row.
    let mut tale = told();
    tale.room_mut().lines[0].version = Version::unchanged(Digest::of("1"));
    tale.breaks(Rule::DeletionLost);
    // By a later change.
    let mut tale = told();
    tale.edits(1, "one");
    tale.breaks(Rule::DeletionLost);
    // It was answered, and not made.
    let mut tale = told();
    let deed = tale.asks_to_do(ADA, 3, Act::Delete);
    tale.is_done(ADA, deed);
    tale.breaks(Rule::DeletionLost);
    // Nobody asked for it.
    let mut tale = told();
    tale.is_deleted(3);
    tale.both_hear_all(3);
    assert_eq!(tale.rules(), [Rule::Phantom]);
}

#[test]
fn what_is_left_of_a_deleted_message_is_found() {
    let leave: [fn(&mut Tale); 6] = [
        |tale| tale.room_mut().lines[0].version.content = Digest::of("1"),
        |tale| tale.room_mut().lines[0].version.edits = 1,
        |tale| tale.room_mut().lines[0].version.reactions = Digest::of("ada"),
        |tale| tale.room_mut().pins.extend([1]),
        |tale| tale.room_mut().versions.extend([1]),
        |tale| tale.room_mut().reactions.extend([(1, ByKey::new())]),
    ];
    for leave in leave {
        let mut tale = told();
        leave(&mut tale);
        tale.breaks(Rule::DeletionLost);
    }
}

#[test]
fn a_deleted_message_that_is_shown_again_is_found() {
    let mut tale = Tale::new();
    let whole = read(&tale, 1);
    let deed = tale.asks_to_do(ADA, 1, Act::Delete);
    tale.is_deleted(1);
    tale.both_hear_all(1);
    let mut early = tale.clone();
    tale.is_done(ADA, deed);
    tale.comes(BOB);
    let mut tombstone = tale.clone();
    tale.writes(BOB, whole.clone());
    tale.breaks(Rule::DeletionLost);
    let what = read(&tombstone, 1);
    tombstone.writes(BOB, what);
    assert_eq!(tombstone.rules(), []);
    // A connection that came before the answer may still be shown it.
    early.comes(BOB);
    early.writes(BOB, whole);
    early.is_done(ADA, deed);
    assert_eq!(early.rules(), []);
}

#[test]
fn a_store_that_keeps_a_deleted_message_is_found() {
    let mut tale = told();
    tale.deletes(3);
    tale.forgets(BOB, |what| matches!(what, What::Changed { seq: 3, .. }));
    assert_eq!(tale.rules(), [Rule::Stale]);
}

#[test]
fn a_pin_that_is_not_as_it_was_acknowledged_is_found() {
    let break_it: [fn(&mut Version); 3] = [
        |version| version.pinned = None,
        |version| version.pinned = Some(Mark { at: 0, by: Digest::of("bob") }),
        |version| *version = Version::unchanged(Digest::of("2")),
    ];
    for break_it in break_it {
        let mut tale = told();
        break_it(&mut tale.room_mut().lines[1].version);
        tale.breaks(Rule::PinLost);
    }
    // Taken away, and there again.
    let mut tale = told();
    tale.pins(BOB, 2, false);
    tale.is_pinned(2, true);
    tale.both_hear_all(2);
    tale.breaks(Rule::PinLost);
    // Unless somebody has asked for that, and was not answered.
    tale.asks_to_do(BOB, 2, Act::Pin { on: true });
    assert_eq!(tale.rules(), [Rule::Missing]);
    // It was answered, and not made.
    let mut tale = told();
    let deed = tale.asks_to_do(BOB, 3, Act::Pin { on: true });
    tale.is_done(BOB, deed);
    tale.breaks(Rule::PinLost);
    // Nobody asked for it.
    let mut tale = told();
    tale.is_pinned(3, true);
    tale.both_hear_all(3);
    assert_eq!(tale.rules(), [Rule::Phantom]);
    // The rows of pins say something else than the messages.
    let mut tale = told();
    tale.room_mut().pins.clear();
    assert_eq!(tale.rules(), [Rule::Disagrees]);
}

#[test]
fn a_room_with_too_many_pins_is_found() {
    let with_pins = |pins: usize| {
        let mut tale = Tale::new();
        let line = tale.line(1);
        for seq in 1..=pins as i64 {
            let mut line = line.clone();
            (line.seq, line.version.pinned) = (seq, Some(Mark { at: 1, by: Digest::of("ada") }));
            let room = tale.room_mut();
            room.lines.retain(|other| other.seq != seq);
            room.lines.push(line);
            room.lines.sort_by_key(|line| line.seq);
            room.pins.insert(seq);
        }
        tale
    };
    with_pins(PINS + 1).breaks(Rule::TooManyPins);
    assert!(!with_pins(PINS).rules().contains(&Rule::TooManyPins));
}

#[test]
fn a_refusal_that_does_not_fit_is_found() {
    // What is refused because of a deletion was deleted before.
    let mut tale = told();
    tale.asks_to_do(ADA, 1, Act::Pin { on: true });
    tale.writes(ADA, refused(2, DELETED));
    assert_eq!(tale.rules(), []);
    tale.asks_to_do(ADA, 2, Act::React { on: true });
    tale.writes(ADA, refused(3, DELETED));
    assert_eq!(tale.rules(), [Rule::Refusal]);
    let mut tale = told();
    let edit = tale.asks(1, "one");
    tale.writes(ADA, What::EditRefused { edit, code: DELETED.to_owned() });
    assert_eq!(tale.rules(), []);
    let edit = tale.asks(2, "two");
    tale.writes(ADA, What::EditRefused { edit, code: DELETED.to_owned() });
    assert_eq!(tale.rules(), [Rule::Refusal]);
    // A room that is full of pins has as many.
    let mut tale = told();
    tale.asks_to_do(ADA, 3, Act::Pin { on: true });
    tale.writes(ADA, refused(2, LIMIT_REACHED));
    assert_eq!(tale.rules(), [Rule::Refusal]);
    for seq in 4..=PINS as i64 + 3 {
        // Of these nothing else is known.
        let deed = tale.asks_to_do(BOB, seq, Act::Pin { on: true });
        tale.writes(BOB, refused(deed, "rate_limited"));
    }
    tale.asks_to_do(ADA, 3, Act::Pin { on: true });
    tale.history.devices[ADA].entries.retain(|entry| !matches!(&entry.what, What::DeedRefused { .. }));
    tale.writes(ADA, refused(2, LIMIT_REACHED));
    tale.writes(ADA, refused(3, LIMIT_REACHED));
    assert_eq!(tale.rules(), [Rule::Missing], "those of Bob were not answered");
}

#[test]
fn a_count_that_has_deleted_messages_is_found() {
    let mut tale = told();
    let counted = |person, read, unread, mentions| {
        move |tale: &mut Tale| {
            let room = tale.room;
            tale.history.counted = vec![Counted { person, room, read, unread, mentions }];
            tale.rules()
        }
    };
    assert_eq!(counted(BOB, 0, 2, 0)(&mut tale), []);
    assert_eq!(counted(BOB, 2, 1, 0)(&mut tale), []);
    assert_eq!(counted(ADA, 0, 0, 0)(&mut tale), []);
    assert_eq!(counted(BOB, 0, 3, 0)(&mut tale), [Rule::Miscounted]);
    assert_eq!(counted(BOB, 0, 1, 0)(&mut tale), [Rule::Miscounted]);
    // The third mentions Bob.
    tale.room_mut().mentions.insert(3, [BOB].into());
    assert_eq!(counted(BOB, 0, 2, 1)(&mut tale), []);
    assert_eq!(counted(BOB, 0, 2, 0)(&mut tale), [Rule::Miscounted]);
    // As a reply in a thread it does not count.
    tale.room_mut().threads.insert(3, 2);
    assert_eq!(counted(BOB, 0, 1, 0)(&mut tale), []);
    assert_eq!(counted(BOB, 0, 2, 0)(&mut tale), [Rule::Miscounted]);
    assert_eq!(counted(BOB, 0, 1, 1)(&mut tale), [Rule::Miscounted]);
    tale.room_mut().threads.clear();
    // A deleted one is not a mention any more.
    tale.deletes(3);
    assert_eq!(counted(BOB, 0, 1, 0)(&mut tale), [Rule::DeletionLost]);
    tale.room_mut().mentions.clear();
    assert_eq!(counted(BOB, 0, 1, 0)(&mut tale), []);
    assert_eq!(counted(BOB, 0, 1, 1)(&mut tale), [Rule::Miscounted]);
}

#[test]
fn a_thread_that_counts_deleted_replies_is_found() {
    let mut tale = told();
    tale.room_mut().threads.insert(3, 2);
    let says = |tale: &Tale, count: i64| {
        let mut tale = tale.clone();
        tale.history.said.insert(tale.room, (1..=3).map(|seq| tale.shown(seq)).collect());
        tale.history.replies.insert((tale.room, 2), count);
        tale.rules()
    };
    assert_eq!(says(&tale, 1), []);
    assert_eq!(says(&tale, 0), [Rule::Miscounted]);
    tale.deletes(3);
    assert_eq!(says(&tale, 0), [], "a deleted reply is not counted");
    assert_eq!(says(&tale, 1), [Rule::Miscounted]);
}

#[test]
fn a_tombstone_that_still_names_its_client_message_id_is_found() {
    let mut tale = told();
    tale.history.said.insert(tale.room, (1..=3).map(|seq| tale.shown(seq)).collect());
    assert_eq!(tale.rules(), []);
    tale.history.said.insert(tale.room, (1..=3).map(|seq| tale.line(seq)).collect());
    assert_eq!(tale.rules(), [Rule::Disagrees]);
}
