//! The rules of the membership storm find what they are there to find: a history with nothing wrong, and each way to
//! break it.

use std::collections::BTreeMap;

use entity::RoomId;
use serde_json::{Value as Json, json};

use crate::{
    checker::{Rule, rules_of},
    membership::{Command, Entry, Fact},
    membership_check::{GroupRow, Groups, check},
    settlement_check::{check_list, check_mine, check_probes, probe_of},
};

const ADA: usize = 0;
const BOB: usize = 1;
const CARL: usize = 2;
const NAMES: [&str; 3] = ["ada", "bob", "carl"];
/// The number of the command that makes the group.
const MAKE: usize = 0;

/// What happened to one group, and what is stored of it.
#[derive(Clone)]
struct Tale {
    log: Vec<Entry>,
    group: RoomId,
    row: GroupRow,
    commands: usize,
}

impl Tale {
    /// All three are connected, and Ada asks for a group with Bob. The group is there; the answer is still to come.
    fn unanswered() -> Self {
        let row = GroupRow {
            name: Some(format!("storm {MAKE} 17")),
            owner: Some(ADA),
            members: BTreeMap::from([(ADA, true), (BOB, false)]),
            ..GroupRow::default()
        };
        let mut tale = Self { log: Vec::new(), group: RoomId::new(), row, commands: 0 };
        for person in [ADA, BOB, CARL] {
            tale.writes(person, Fact::Opened);
        }
        tale.asks(ADA, Command::Make { members: vec![BOB] });
        tale
    }

    /// The group is made, two messages are said in it, then Carl is added, then a third message is said.
    fn of_three() -> Self {
        let mut tale = Self::unanswered();
        let made = Some(tale.group);
        tale.writes(ADA, Fact::Succeeded { command: MAKE, made });
        tale.says(ADA, &[ADA, BOB]);
        tale.says(BOB, &[ADA, BOB]);
        tale.adds(CARL);
        tale.says(ADA, &[ADA, BOB, CARL]);
        tale
    }

    fn writes(&mut self, person: usize, fact: Fact) {
        self.log.push(Entry { person, connection: 1, fact });
    }

    fn asks(&mut self, person: usize, what: Command) -> usize {
        let command = self.commands;
        self.commands += 1;
        self.writes(person, Fact::Asked { command, what });
        command
    }

    fn succeeds(&mut self, person: usize, what: Command) {
        let command = self.asks(person, what);
        self.writes(person, Fact::Succeeded { command, made: None });
    }

    fn is_unknown(&mut self, person: usize, what: Command) {
        let command = self.asks(person, what);
        self.writes(person, Fact::Unknown { command });
    }

    fn adds(&mut self, whom: usize) {
        self.succeeds(ADA, Command::Add { group: self.group, whom });
        self.row.members.insert(whom, false);
    }

    fn removes(&mut self, whom: usize) {
        self.succeeds(ADA, Command::Remove { group: self.group, whom });
        self.row.members.remove(&whom);
    }

    /// Stores the next message without an answer.
    fn stores(&mut self, sender: usize) -> String {
        let seq = self.row.last_seq + 1;
        let message = format!("message {seq}");
        self.writes(sender, Fact::Sent { message: message.clone(), group: self.group });
        self.row.last_seq = seq;
        self.row.messages.push((seq, message.clone()));
        message
    }

    fn says(&mut self, sender: usize, hearers: &[usize]) {
        let message = self.stores(sender);
        let seq = self.row.last_seq;
        for hearer in hearers {
            self.hears(*hearer, seq);
        }
        self.writes(sender, Fact::Stored { message, seq });
    }

    fn hears(&mut self, hearer: usize, seq: i64) {
        let content = format!("message {seq}");
        self.writes(hearer, Fact::Heard { group: self.group, seq, content });
    }

    fn forgets(&mut self, hearer: usize, wanted: i64) {
        self.log.retain(|entry| {
            !matches!(&entry.fact, Fact::Heard { seq, .. } if entry.person == hearer && *seq == wanted)
        });
    }

    fn groups(&self) -> Groups {
        Groups::from([(self.group, self.row.clone())])
    }

    fn rules(&self) -> Vec<Rule> {
        rules_of(&check(&self.log, &self.groups(), true))
    }

    fn rules_of_several_nodes(&self) -> Vec<Rule> {
        rules_of(&check(&self.log, &self.groups(), false))
    }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(Tale::of_three().rules(), []);
    let mut tale = Tale::of_three();
    tale.removes(BOB);
    tale.says(ADA, &[ADA, CARL]);
    tale.adds(BOB);
    tale.says(BOB, &[ADA, BOB, CARL]);
    assert_eq!(tale.rules(), []);
    tale.succeeds(ADA, Command::Delete { group: tale.group });
    tale.row.members.clear();
    tale.row.is_deleted = true;
    assert_eq!(tale.rules(), []);
}

#[test]
fn a_group_without_exactly_one_owner_is_found() {
    for members in [[(ADA, false), (BOB, false), (CARL, false)], [(ADA, true), (BOB, true), (CARL, false)]] {
        let mut tale = Tale::of_three();
        tale.row.members = BTreeMap::from(members);
        assert_eq!(tale.rules(), [Rule::HalfDone], "{members:?}");
    }
    let mut tale = Tale::of_three();
    tale.row.owner = Some(BOB);
    assert_eq!(tale.rules(), [Rule::HalfDone]);
    tale.row.owner = None;
    assert_eq!(tale.rules(), [Rule::HalfDone]);
}

#[test]
fn a_deleted_group_with_members_is_found() {
    let mut tale = Tale::of_three();
    tale.is_unknown(ADA, Command::Delete { group: tale.group });
    tale.row.is_deleted = true;
    assert_eq!(tale.rules(), [Rule::HalfDone]);
    tale.row.members.clear();
    assert_eq!(tale.rules(), []);
}

#[test]
fn a_group_that_was_answered_and_is_missing_or_lacks_a_member_is_found() {
    let mut tale = Tale::of_three();
    tale.row.members.remove(&BOB);
    assert_eq!(tale.rules(), [Rule::HalfDone]);
    let found = rules_of(&check(&tale.log, &Groups::new(), true));
    assert!(found.contains(&Rule::HalfDone), "{found:?}");
    // A group that nobody asked to delete.
    let mut tale = Tale::of_three();
    tale.row.members.clear();
    tale.row.is_deleted = true;
    assert!(tale.rules().contains(&Rule::HalfDone));
}

#[test]
fn a_group_that_is_half_made_is_found_though_nobody_got_the_answer() {
    let mut tale = Tale::unanswered();
    tale.writes(ADA, Fact::Unknown { command: MAKE });
    assert_eq!(tale.rules(), []);
    let mut half = tale.clone();
    half.row.members.remove(&BOB);
    assert_eq!(half.rules(), [Rule::HalfDone]);
    // It may also not have been made.
    assert_eq!(rules_of(&check(&tale.log, &Groups::new(), true)), []);
    // A command that ran on after its client hung up may be later than another that removed the same person.
    half.is_unknown(ADA, Command::Remove { group: half.group, whom: BOB });
    assert_eq!(half.rules(), []);
}

#[test]
fn members_of_a_group_whose_creation_nobody_was_answered_obey_the_same_rules() {
    let mut tale = Tale::unanswered();
    tale.writes(ADA, Fact::Unknown { command: MAKE });
    let mut unattached = tale.clone();
    unattached.says(ADA, &[ADA]);
    assert_eq!(unattached.rules(), [Rule::NotAttached]);
    // Others may know the group, and remove Bob, before Ada loses her connection.
    let lost = tale.log.pop().unwrap();
    tale.removes(BOB);
    tale.log.push(lost);
    tale.says(ADA, &[ADA]);
    assert_eq!(tale.rules(), []);
    tale.hears(BOB, 1);
    assert_eq!(tale.rules(), [Rule::StillHears]);
}

#[test]
fn a_group_whose_creation_was_refused_is_found() {
    let mut tale = Tale::unanswered();
    tale.writes(ADA, Fact::Refused { command: MAKE });
    assert_eq!(tale.rules(), [Rule::HalfDone]);
}

#[test]
fn an_answered_change_of_members_that_is_not_stored_is_found() {
    let mut tale = Tale::of_three();
    tale.row.members.remove(&CARL);
    assert_eq!(tale.rules(), [Rule::Lost]);

    let mut tale = Tale::of_three();
    tale.removes(BOB);
    assert_eq!(tale.rules(), []);
    tale.row.members.insert(BOB, false);
    let mut may_be_back = tale.clone();
    assert_eq!(tale.rules(), [Rule::Lost]);
    may_be_back.is_unknown(BOB, Command::Join { group: tale.group });
    assert_eq!(may_be_back.rules(), []);

    let mut tale = Tale::of_three();
    tale.succeeds(ADA, Command::Delete { group: tale.group });
    assert_eq!(tale.rules(), [Rule::Lost]);

    // The group is there, so the deletion that nobody was answered explains nothing.
    let mut tale = Tale::of_three();
    tale.is_unknown(ADA, Command::Delete { group: tale.group });
    tale.row.members.remove(&CARL);
    assert_eq!(tale.rules(), [Rule::Lost]);
}

#[test]
fn a_member_whom_nobody_added_is_found() {
    let mut tale = Tale::unanswered();
    let made = Some(tale.group);
    tale.writes(ADA, Fact::Succeeded { command: MAKE, made });
    tale.row.members.insert(CARL, false);
    assert_eq!(tale.rules(), [Rule::Phantom]);
    let command = tale.asks(CARL, Command::Join { group: tale.group });
    tale.writes(CARL, Fact::Refused { command });
    assert_eq!(tale.rules(), [Rule::Phantom]);
}

#[test]
fn messages_that_are_lost_doubled_or_missing_in_between_are_found() {
    let mut tale = Tale::of_three();
    tale.row.messages.pop();
    tale.row.last_seq = 2;
    assert_eq!(tale.rules(), [Rule::Lost]);

    let mut tale = Tale::of_three();
    tale.row.messages.push((4, "message 3".to_owned()));
    tale.row.last_seq = 4;
    assert_eq!(tale.rules(), [Rule::Double]);

    let mut tale = Tale::of_three();
    tale.row.last_seq = 4;
    assert_eq!(tale.rules(), [Rule::Hole]);

    let mut tale = Tale::of_three();
    tale.row.messages.push((4, "out of nowhere".to_owned()));
    tale.row.last_seq = 4;
    assert_eq!(tale.rules(), [Rule::Phantom]);
}

#[test]
fn messages_that_are_shown_twice_or_swapped_are_found() {
    let mut tale = Tale::of_three();
    tale.hears(BOB, 3);
    assert_eq!(tale.rules(), [Rule::Twice]);

    let mut tale = Tale::of_three();
    tale.hears(BOB, 2);
    assert_eq!(tale.rules(), [Rule::Swap]);
}

#[test]
fn a_gap_is_found_on_a_connection_that_has_ended() {
    let mut tale = Tale::of_three();
    tale.forgets(BOB, 2);
    tale.writes(BOB, Fact::Ended);
    assert_eq!(tale.rules(), [Rule::Gap]);
    // Bob may have been away in between.
    let mut tale = Tale::unanswered();
    let made = Some(tale.group);
    tale.writes(ADA, Fact::Succeeded { command: MAKE, made });
    tale.says(ADA, &[ADA, BOB]);
    tale.is_unknown(ADA, Command::Remove { group: tale.group, whom: BOB });
    tale.says(ADA, &[ADA]);
    tale.adds(BOB);
    tale.says(ADA, &[ADA, BOB]);
    assert_eq!(tale.rules(), []);
}

#[test]
fn a_member_who_was_added_and_misses_a_message_is_found() {
    let mut tale = Tale::of_three();
    tale.forgets(CARL, 3);
    assert_eq!(tale.rules(), [Rule::NotAttached]);
    // A connection that has ended may have missed the last messages.
    tale.writes(CARL, Fact::Ended);
    assert_eq!(tale.rules(), []);
}

#[test]
fn a_member_at_another_node_may_leave_before_a_message_arrives() {
    let mut tale = Tale::of_three();
    tale.forgets(CARL, 3);
    assert_eq!(tale.rules_of_several_nodes(), [Rule::NotAttached]);
    let mut later = tale.clone();
    tale.removes(CARL);
    assert_eq!((tale.rules(), tale.rules_of_several_nodes()), (vec![Rule::NotAttached], vec![]));
    // Whoever is sent a later one was to be sent this one, too.
    later.says(ADA, &[ADA, BOB, CARL]);
    later.removes(CARL);
    assert_eq!(later.rules_of_several_nodes(), [Rule::NotAttached]);
}

#[test]
fn somebody_who_was_removed_and_hears_on_is_found() {
    let mut tale = Tale::of_three();
    tale.removes(BOB);
    tale.says(ADA, &[ADA, BOB, CARL]);
    assert_eq!(tale.rules(), [Rule::StillHears]);

    let mut tale = Tale::of_three();
    tale.succeeds(CARL, Command::Leave { group: tale.group });
    tale.row.members.remove(&CARL);
    let mut may_be_back = tale.clone();
    tale.says(ADA, &[ADA, BOB, CARL]);
    assert_eq!(tale.rules(), [Rule::StillHears]);
    may_be_back.is_unknown(ADA, Command::Add { group: may_be_back.group, whom: CARL });
    may_be_back.says(ADA, &[ADA, BOB, CARL]);
    assert_eq!(may_be_back.rules(), []);
}

#[test]
fn somebody_who_was_removed_and_posts_on_is_found() {
    let mut tale = Tale::of_three();
    tale.removes(BOB);
    tale.says(BOB, &[ADA, CARL]);
    assert_eq!(tale.rules(), [Rule::Phantom]);
}

#[test]
fn a_probe_that_does_not_reach_a_member_or_reaches_a_stranger_is_found() {
    let mut tale = Tale::unanswered();
    let content = probe_of(&tale.group, 1);
    let probe = Fact::Heard { group: tale.group, seq: 1, content };
    tale.writes(ADA, probe.clone());
    assert_eq!(rules_of(&check_probes(&tale.log, &tale.groups(), 1)), [Rule::NotAttached]);
    tale.writes(BOB, probe.clone());
    assert_eq!(rules_of(&check_probes(&tale.log, &tale.groups(), 1)), []);
    assert_eq!(rules_of(&check_probes(&tale.log, &tale.groups(), 2)), [Rule::NotAttached]);
    tale.writes(CARL, probe);
    assert_eq!(rules_of(&check_probes(&tale.log, &tale.groups(), 1)), [Rule::StillHears]);
}

#[test]
fn lists_that_disagree_with_the_rows_are_found() {
    let tale = Tale::of_three();
    let mine = |person, rooms: Json| rules_of(&check_mine(person, &tale.groups(), Some(&(200, rooms))));
    let own = json!([{ "roomId": tale.group }]);
    assert_eq!(mine(BOB, own.clone()), []);
    assert_eq!(mine(BOB, json!([])), [Rule::Disagrees]);
    assert_eq!(mine(7, own), [Rule::Disagrees]);
    assert_eq!(rules_of(&check_mine(BOB, &tale.groups(), None)), [Rule::Disagrees]);

    let list = |person, answer: Option<(u16, Json)>| {
        rules_of(&check_list(person, tale.group, &tale.row, &NAMES, answer.as_ref()))
    };
    let members = |all: &[(&str, &str)]| {
        let members: Vec<Json> =
            all.iter().map(|(name, role)| json!({ "username": name, "role": role })).collect();
        Some((200, json!({ "members": members })))
    };
    let right = [("ada", "owner"), ("bob", "member"), ("carl", "member")];
    assert_eq!(list(BOB, members(&right)), []);
    assert_eq!(list(7, Some((403, json!({})))), []);
    assert_eq!(
        list(BOB, members(&[("ada", "owner"), ("bob", "member"), ("dora", "member")])),
        [Rule::Disagrees]
    );
    assert_eq!(
        list(BOB, members(&[("ada", "member"), ("bob", "owner"), ("carl", "member")])),
        [Rule::Disagrees]
    );
    assert_eq!(list(BOB, members(&right[..2])), [Rule::Disagrees]);
    assert_eq!(list(BOB, Some((403, json!({})))), [Rule::Disagrees]);
    assert_eq!(list(7, members(&right)), [Rule::Disagrees]);
    assert_eq!(list(BOB, None), [Rule::Disagrees]);
}
