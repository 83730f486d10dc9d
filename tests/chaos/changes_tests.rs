//! That the checker of changes finds what it is there to find: a history with nothing wrong, and each way to break it.

use std::collections::BTreeMap;

use entity::MessageId;

use crate::{
    checker::Rule,
    edits::key_of,
    history::What,
    tale::{ADA, BOB, Tale},
    version::{Digest, Set, Version},
};

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(Tale::new().rules(), []);
    assert_eq!(Tale::of_three_edits().rules(), []);
}

#[test]
fn an_acknowledged_edit_that_is_not_stored_is_found() {
    let mut tale = Tale::of_three_edits();
    tale.room_mut().lines[1].version = Version::unchanged(Digest::of("2"));
    tale.breaks(Rule::EditLost);
    // Also where it was overwritten by an earlier one.
    let mut tale = Tale::of_three_edits();
    tale.room_mut().lines[0].version.content = Digest::of("hello");
    tale.breaks(Rule::EditLost);
    // And where a later change shows a content whose edit was answered long ago.
    let mut tale = Tale::of_three_edits();
    tale.changes(1, "hello");
    tale.breaks(Rule::EditLost);
    let mut tale = Tale::of_three_edits();
    tale.room_mut().lines[0].id = MessageId::new();
    tale.breaks(Rule::EditLost);
}

#[test]
fn an_edit_that_was_not_answered_may_be_there_or_not() {
    let mut tale = Tale::of_three_edits();
    let edit = tale.asks(1, "who knows");
    tale.history.devices[ADA].edits[edit].is_over_http = true;
    assert_eq!(tale.rules(), []);
    tale.changes(1, "who knows");
    tale.hears(1);
    assert_eq!(tale.rules(), []);
    // Over a socket it is asked for until it is answered.
    tale.history.devices[ADA].edits[edit].is_over_http = false;
    assert_eq!(tale.rules(), [Rule::Missing]);
    // One that was refused because of a rate is not there; one that was unavailable may be.
    let mut unavailable = tale.clone();
    let refused = |code: &str| What::EditRefused { edit, code: code.to_owned() };
    tale.writes(ADA, refused("rate_limited"));
    tale.breaks(Rule::EditLost);
    unavailable.writes(ADA, refused("unavailable"));
    assert_eq!(unavailable.rules(), [Rule::Missing]);
    unavailable.writes(ADA, refused("forbidden"));
    unavailable.breaks(Rule::Refusal);
}

#[test]
fn a_content_that_nobody_asked_for_is_found() {
    let mut tale = Tale::of_three_edits();
    tale.changes(3, "out of nowhere");
    tale.hears(3);
    assert_eq!(tale.rules(), [Rule::Phantom]);
    let mut tale = Tale::new();
    let mut line = tale.line(1);
    line.version.content = Digest::of("something else");
    let room = tale.room;
    tale.writes(BOB, What::Read { room, line, is_unrequested: false });
    tale.breaks(Rule::Phantom);
}

#[test]
fn an_edit_that_is_counted_again_is_found() {
    let mut tale = Tale::of_three_edits();
    tale.writes(ADA, What::EditAsked { edit: 1 });
    let mut again = tale.clone();
    tale.is_answered(1);
    assert_eq!(tale.rules(), []);
    again.changes(2, "there");
    again.ada_hears(2);
    again.hears(2);
    again.is_answered(1);
    assert_eq!(again.rules(), [Rule::EditedTwice]);
    let mut tale = Tale::of_three_edits();
    tale.room_mut().lines[1].version.edits = 2;
    tale.breaks(Rule::EditedTwice);
}

#[test]
fn changes_that_are_not_one_after_the_other_are_found() {
    // A hole, live.
    let mut tale = Tale::of_three_edits();
    tale.edits(1, "four");
    let mut whole = tale.clone();
    tale.edits(2, "five");
    tale.hears(2);
    tale.breaks(Rule::ChangeHole);
    whole.hears(1);
    whole.edits(2, "five");
    whole.hears(2);
    assert_eq!(whole.rules(), []);
    // A step back, in a replay.
    let mut tale = Tale::of_three_edits();
    let entries = &mut tale.history.devices[BOB].entries;
    let last = entries.len() - 2;
    entries.swap(last, last - 1);
    tale.breaks(Rule::ChangeHole);
    // A room that counts further than its rows.
    let mut tale = Tale::of_three_edits();
    tale.room_mut().last_change = 4;
    assert_eq!(tale.rules(), [Rule::ChangeHole]);
}

#[test]
fn a_hole_is_none_where_a_message_came_with_its_change() {
    let mut tale = Tale::of_three_edits();
    tale.history.devices[BOB].keeps_store = false;
    tale.history.devices[BOB]
        .entries
        .retain(|entry| !matches!(&entry.what, What::Read { line, .. } if line.seq == 3));
    tale.edits(3, "three");
    let mut hole = tale.clone();
    tale.reads(3);
    for tale in [&mut tale, &mut hole] {
        tale.edits(1, "one");
        tale.hears(1);
    }
    assert_eq!(tale.rules(), []);
    assert_eq!(hole.rules(), [Rule::ChangeHole]);
}

#[test]
fn a_change_before_its_message_is_found() {
    let mut tale = Tale::of_three_edits();
    tale.edits(3, "three");
    // Bob has only two.
    let seq_of = |what: &What| matches!(what, What::Read { line, .. } if line.seq == 3);
    tale.forgets(BOB, seq_of);
    let mut late = tale.clone();
    tale.hears(3);
    tale.breaks(Rule::ChangeEarly);
    late.history.devices[BOB].keeps_store = false;
    late.hears(3);
    late.reads(3);
    assert_eq!(late.rules(), [Rule::ChangeEarly]);
}

#[test]
fn two_versions_of_one_change_are_found() {
    let mut tale = Tale::of_three_edits();
    let edit = tale.asks(1, "another");
    tale.history.devices[ADA].edits[edit].is_over_http = true;
    let What::Changed { room, seq, change, set, .. } = tale.changed(1, true) else { unreachable!() };
    let set = Set { content: Some(Digest::of("another")), ..set };
    tale.history.devices[BOB].entries.truncate(4);
    tale.history.devices[BOB].keeps_store = false;
    tale.writes(BOB, What::Changed { room, seq, change, set, is_replayed: true });
    assert_eq!(tale.rules(), [Rule::TwoVersions]);
    // One number for two messages.
    let mut tale = Tale::of_three_edits();
    tale.room_mut().lines[0].version.change = 2;
    tale.breaks(Rule::TwoVersions);
    // An acknowledgement that says something else.
    let mut tale = Tale::of_three_edits();
    tale.writes(ADA, What::EditAsked { edit: 2 });
    let content = Digest::of("hello");
    tale.writes(ADA, What::EditAnswered { edit: 2, change: 3, content });
    tale.breaks(Rule::TwoVersions);
}

#[test]
fn a_store_that_lacks_a_change_is_found() {
    let is_of = |seq| move |what: &What| matches!(what, What::Changed { seq: of, .. } if *of == seq);
    let mut tale = Tale::of_three_edits();
    tale.forgets(BOB, is_of(2));
    assert_eq!(tale.rules(), [Rule::Stale]);
    // Also one that is told later, after the device was said to have it.
    let mut tale = Tale::of_three_edits();
    tale.edits(3, "three");
    tale.synced(4, false);
    tale.hears(3);
    tale.breaks(Rule::Stale);
    // And one that never came, though nobody said so.
    let mut tale = Tale::of_three_edits();
    tale.edits(3, "three");
    assert_eq!(tale.rules(), [Rule::Stale]);
}

#[test]
fn a_message_that_changes_again_while_changes_are_read_is_told_of_later() {
    let mut tale = Tale::of_three_edits();
    tale.comes(BOB);
    tale.edits(3, "three");
    // This is committed when the page is read, and not published yet.
    let edit = tale.asks(3, "three again");
    tale.synced(4, false);
    let mut late = tale.clone();
    tale.changes(3, "three again");
    tale.ada_hears(3);
    tale.is_answered(edit);
    tale.hears(3);
    assert_eq!(tale.rules(), []);
    // It has to come.
    tale.forgets(BOB, |what| matches!(what, What::Changed { seq: 3, .. }));
    tale.breaks(Rule::Stale);
    // And what was asked for later is no excuse.
    late.history.devices[ADA]
        .entries
        .retain(|entry| !matches!(&entry.what, What::EditAsked { edit: of } if *of == edit));
    late.writes(ADA, What::EditAsked { edit });
    late.changes(3, "three again");
    late.ada_hears(3);
    late.is_answered(edit);
    late.hears(3);
    late.breaks(Rule::Stale);
}

#[test]
fn reactions_are_changes_that_leave_the_content_as_it_was() {
    let mut tale = Tale::of_three_edits();
    tale.reacts(1, true);
    tale.writes(BOB, tale.told_of_reactions(1, false));
    tale.reacts(3, true);
    tale.writes(BOB, tale.told_of_reactions(3, false));
    tale.reacts(3, false);
    tale.comes(BOB);
    tale.writes(BOB, tale.told_of_reactions(3, true));
    tale.synced(6, false);
    assert_eq!(tale.rules(), []);
    // A device that lacks one, and one that was told something else.
    let mut lacks = tale.clone();
    lacks.forgets(BOB, |what| matches!(what, What::Changed { .. }));
    lacks.breaks(Rule::Stale);
    let set = Set { reactions: Some(Digest::of("other")), ..Set::default() };
    tale.writes(BOB, What::Changed { room: tale.room, seq: 3, change: 6, set, is_replayed: true });
    tale.breaks(Rule::TwoVersions);
}

#[test]
fn a_reaction_that_is_not_as_it_was_acknowledged_is_found() {
    let mut tale = Tale::new();
    tale.reacts(1, true);
    tale.writes(BOB, tale.told_of_reactions(1, false));
    let mut unknown = tale.clone();
    tale.room_mut().reactions.clear();
    tale.room_mut().summaries.clear();
    tale.breaks(Rule::ReactionLost);
    tale.room_mut().summaries.entry(1).or_default().insert(key_of(ADA), [ADA].into());
    tale.breaks(Rule::Disagrees);
    // One that was never answered may be there or not, and should have been answered.
    unknown.asks_to_react(1, false);
    assert_eq!(unknown.rules(), [Rule::Missing]);
    let refused = |code: &str| What::DeedRefused { deed: 1, code: code.to_owned() };
    unknown.writes(ADA, refused("unavailable"));
    assert_eq!(unknown.rules(), [Rule::Missing]);
    unknown.writes(ADA, refused("forbidden"));
    unknown.breaks(Rule::Refusal);
}

#[test]
fn a_device_that_moves_its_cursor_by_something_else_is_found() {
    let mut tale = Tale::of_three_edits();
    let changes = Some(BTreeMap::from([(tale.room, 4)]));
    tale.writes(BOB, What::Comes { wire: "plain", since: None, changes });
    assert_eq!(tale.rules(), [Rule::Stale]);
}

#[test]
fn an_answer_before_ones_own_change_is_found() {
    let mut tale = Tale::of_three_edits();
    let edit = tale.asks(3, "three");
    tale.changes(3, "three");
    tale.hears(3);
    tale.is_answered(edit);
    assert_eq!(tale.rules(), []);
    tale.ada_hears(3);
    assert_eq!(tale.rules(), [Rule::AnswerOutOfTurn]);
}

#[test]
fn a_room_that_is_read_again_is_whole_afterwards() {
    let mut tale = Tale::of_three_edits();
    tale.edits(3, "three");
    tale.comes(BOB);
    tale.synced(4, true);
    let page = |tale: &Tale, from: i64, is_last| What::PageRead {
        room: tale.room,
        lines: (from..=3).map(|seq| tale.line(seq)).collect(),
        is_last,
    };
    let mut partly = tale.clone();
    let what = page(&partly, 2, false);
    partly.writes(BOB, what);
    assert_eq!(partly.rules(), [Rule::Missing]);
    // A change that comes before the page that shows an older version.
    let old = page(&tale, 1, true);
    tale.edits(2, "two again");
    tale.hears(2);
    tale.writes(BOB, old.clone());
    assert_eq!(tale.rules(), []);
    tale.forgets(BOB, |what| matches!(what, What::Changed { .. }));
    tale.breaks(Rule::Stale);
}

#[test]
fn a_history_that_differs_from_the_rows_is_found() {
    let mut tale = Tale::of_three_edits();
    let mut lines = tale.stored[&tale.room].lines.clone();
    tale.history.said.insert(tale.room, lines.clone());
    assert_eq!(tale.rules(), []);
    lines[0].version.content = Digest::of("hello");
    tale.history.said.insert(tale.room, lines);
    assert_eq!(tale.rules(), [Rule::Disagrees]);
}
