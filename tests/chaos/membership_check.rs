//! The rules of the membership storm: what people did and saw, held against the rows. Pure: records in, violations out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::RoomId;

use crate::{
    checker::{Rule, Violation},
    membership::{Command, Entry, Fact, PREFIX},
};

/// A group of the storm as the database has it in the end.
#[derive(Clone, Debug, Default)]
pub struct GroupRow {
    /// The name that the group has now. A deleted group keeps its last name.
    pub name: Option<String>,
    pub is_deleted: bool,
    pub owner: Option<usize>,
    /// The members and whether each is the owner.
    pub members: BTreeMap<usize, bool>,
    pub last_seq: i64,
    /// In the order of seq.
    pub messages: Vec<(i64, String)>,
}

impl GroupRow {
    pub fn has_same_members(&self, other: &Self) -> bool {
        (self.is_deleted, self.owner, &self.members) == (other.is_deleted, other.owner, &other.members)
    }

    /// The command that gave the group its name, which begins with the number of that command.
    fn named_by(&self) -> Option<usize> {
        self.name.as_deref()?.strip_prefix(PREFIX)?.split(' ').next()?.parse().ok()
    }
}

pub type Groups = BTreeMap<RoomId, GroupRow>;

/// How a command went, by places in the log.
#[derive(Clone, Debug)]
struct Course {
    person: usize,
    what: Command,
    asked: usize,
    end: Option<usize>,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Succeeded(Option<RoomId>),
    Refused,
    Unknown,
}

impl Course {
    /// The group that it is about.
    fn group(&self) -> Option<RoomId> {
        match self.outcome {
            Outcome::Succeeded(Some(made)) if self.what.group().is_none() => Some(made),
            _ => self.what.group(),
        }
    }

    fn puts_in(&self, person: usize) -> bool {
        match &self.what {
            Command::Make { members } => self.person == person || members.contains(&person),
            Command::Join { .. } => self.person == person,
            Command::Add { whom, .. } => *whom == person,
            _ => false,
        }
    }

    fn takes_out(&self, person: usize) -> bool {
        match &self.what {
            Command::Leave { .. } => self.person == person,
            Command::Remove { whom, .. } => *whom == person,
            Command::Delete { .. } => true,
            _ => false,
        }
    }

    fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Succeeded(_))
    }

    /// Whether it may have taken effect after this place in the log. Nobody knows when a command took effect whose
    /// client hung up.
    fn may_act_after(&self, place: usize) -> bool {
        if matches!(self.what, Command::Make { .. }) {
            // The other commands of the group name it, so it was made before.
            return false;
        }
        match self.outcome {
            Outcome::Refused => false,
            Outcome::Unknown => true,
            Outcome::Succeeded(_) => self.end.is_none_or(|end| end > place),
        }
    }
}

/// The commands about each group.
#[derive(Default)]
struct Courses(HashMap<RoomId, Vec<Course>>);

impl Courses {
    fn of(&self, group: RoomId) -> &[Course] {
        self.0.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// The answered command that removed the person from the group before this place in the log, if no command may
    /// have added the person since.
    fn removal(&self, group: RoomId, person: usize, before: usize) -> Option<&Course> {
        let of_group = self.of(group);
        let removal = last_before(of_group, before, |course| course.takes_out(person))?;
        let may_be_back =
            of_group.iter().any(|course| course.puts_in(person) && course.may_act_after(removal.asked));
        (!may_be_back).then_some(removal)
    }

    /// The answered command that added the person to the group before this place in the log, if no command that was
    /// asked before `until` may have removed the person since.
    fn entry(&self, group: RoomId, person: usize, before: usize, until: usize) -> Option<&Course> {
        let entry = last_before(self.of(group), before, |course| course.puts_in(person))?;
        (!self.may_leave(group, person, entry.asked, until)).then_some(entry)
    }

    /// Whether a command that was asked before `until` may have removed the person after the place `since`.
    fn may_leave(&self, group: RoomId, person: usize, since: usize, until: usize) -> bool {
        self.of(group)
            .iter()
            .any(|course| course.takes_out(person) && course.asked < until && course.may_act_after(since))
    }
}

/// The command of this kind that was answered last before this place in the log.
fn last_before(courses: &[Course], place: usize, is_wanted: impl Fn(&Course) -> bool) -> Option<&Course> {
    courses
        .iter()
        .filter(|course| course.succeeded() && is_wanted(course))
        .filter(|course| course.end.is_some_and(|end| end < place))
        .max_by_key(|course| course.end)
}

/// A message of the storm, by places in the log.
#[derive(Clone, Copy, Debug)]
struct Said {
    sender: usize,
    group: RoomId,
    sent: usize,
    stored: Option<(usize, i64)>,
}

/// Everything that is wrong. `is_one_node`: whoever stores a message delivers it at once. At another node, a member may
/// leave before it arrives.
pub fn check(log: &[Entry], groups: &Groups, is_one_node: bool) -> Vec<Violation> {
    let mut found = Vec::new();
    let courses = courses(log, groups, &mut found);
    let people: BTreeSet<usize> = log.iter().map(|entry| entry.person).collect();
    check_groups(groups, &mut found);
    check_made(&courses, groups, &mut found);
    check_members(log.len(), &people, &courses, groups, &mut found);
    let said = said(log);
    check_heard(log, &courses, &said, &mut found);
    check_stored(&said, &courses, groups, &mut found);
    check_audience(log, &people, &courses, &said, is_one_node, &mut found);
    found
}

fn courses(log: &[Entry], groups: &Groups, found: &mut Vec<Violation>) -> Courses {
    let mut courses: BTreeMap<usize, Course> = BTreeMap::new();
    for (place, entry) in log.iter().enumerate() {
        let (command, outcome) = match &entry.fact {
            Fact::Asked { command, what } => {
                let course = Course {
                    person: entry.person,
                    what: what.clone(),
                    asked: place,
                    end: None,
                    outcome: Outcome::Unknown,
                };
                courses.insert(*command, course);
                continue;
            }
            Fact::Succeeded { command, made } => (command, Outcome::Succeeded(*made)),
            Fact::Refused { command } => (command, Outcome::Refused),
            Fact::Unknown { command } => (command, Outcome::Unknown),
            _ => continue,
        };
        if let Some(course) = courses.get_mut(command) {
            (course.end, course.outcome) = (Some(place), outcome);
        }
    }
    // A group that is there was made, even if nobody got the answer.
    for (id, group) in groups {
        let Some(course) = group.named_by().and_then(|command| courses.get_mut(&command)) else { continue };
        if !matches!(course.what, Command::Make { .. }) {
            continue;
        }
        if course.outcome == Outcome::Refused {
            add(found, Rule::HalfDone, format!("{id} is there, and {:?} was refused", course.what));
        }
        course.outcome = Outcome::Succeeded(Some(*id));
    }
    // A deletion is final: one that nobody was answered did not happen if the group is there.
    for course in courses.values_mut() {
        if let Command::Delete { group } = &course.what
            && course.outcome == Outcome::Unknown
            && groups.get(group).is_some_and(|row| !row.is_deleted)
        {
            course.outcome = Outcome::Refused;
        }
    }
    let mut of_group = Courses::default();
    for course in courses.into_values() {
        // A command without a group made none, or one that is renamed or gone.
        if let Some(group) = course.group() {
            of_group.0.entry(group).or_default().push(course);
        }
    }
    of_group
}

fn said(log: &[Entry]) -> HashMap<&str, Said> {
    let mut said: HashMap<&str, Said> = HashMap::new();
    for (place, entry) in log.iter().enumerate() {
        match &entry.fact {
            Fact::Sent { message, group } => {
                said.insert(message, Said { sender: entry.person, group: *group, sent: place, stored: None });
            }
            Fact::Stored { message, seq } => {
                if let Some(said) = said.get_mut(&**message) {
                    said.stored = Some((place, *seq));
                }
            }
            _ => {}
        }
    }
    said
}

fn add(found: &mut Vec<Violation>, rule: Rule, told: String) {
    found.push(Violation { rule, told });
}

/// Each group by itself: one owner, or deleted and empty; seqs without a hole.
fn check_groups(groups: &Groups, found: &mut Vec<Violation>) {
    for (id, group) in groups {
        let owners: Vec<usize> =
            group.members.iter().filter(|(_, is_owner)| **is_owner).map(|(person, _)| *person).collect();
        if group.is_deleted && !group.members.is_empty() {
            add(found, Rule::HalfDone, format!("{id} is deleted and has members: {:?}", group.members));
        }
        if !group.is_deleted && (owners.len() != 1 || group.owner != owners.first().copied()) {
            let told = format!("{id} has the owners {owners:?}, and its row says {:?}", group.owner);
            add(found, Rule::HalfDone, told);
        }
        if !group.messages.iter().map(|(seq, _)| *seq).eq(1..=group.last_seq) {
            add(
                found,
                Rule::Hole,
                format!("{id} has {} rows up to {}", group.messages.len(), group.last_seq),
            );
        }
    }
}

/// A group that was made has all its members, except those whom a later command may have removed. A group whose
/// creation was answered exists.
fn check_made(courses: &Courses, groups: &Groups, found: &mut Vec<Violation>) {
    for (id, made) in courses.0.iter().flat_map(|(id, all)| all.iter().map(move |course| (*id, course))) {
        let Command::Make { members } = &made.what else { continue };
        let Some(group) = groups.get(&id) else {
            add(found, Rule::HalfDone, format!("{id} was made and is not there"));
            continue;
        };
        for person in members.iter().copied().chain([made.person]) {
            if !courses.may_leave(id, person, made.asked, usize::MAX) && !group.members.contains_key(&person)
            {
                add(found, Rule::HalfDone, format!("{id} was made with person {person}, who is not in it"));
            }
        }
    }
}

/// The rows hold every change of members that was answered, and no member whom no command added.
fn check_members(
    end: usize,
    people: &BTreeSet<usize>,
    courses: &Courses,
    groups: &Groups,
    found: &mut Vec<Violation>,
) {
    for (id, group) in groups {
        let is_made_here = courses.of(*id).iter().any(|course| matches!(course.what, Command::Make { .. }));
        for person in people {
            let is_member = group.members.contains_key(person);
            // `check_made` has named the members that a group began with.
            if let Some(entry) = courses.entry(*id, *person, end, usize::MAX)
                && !is_member
                && !matches!(entry.what, Command::Make { .. })
            {
                let told = format!("person {person} is not in {id}, and {:?} was answered", entry.what);
                add(found, Rule::Lost, told);
            }
            if !is_member {
                continue;
            }
            if let Some(removal) = courses.removal(*id, *person, end) {
                let told = format!("person {person} is in {id}, and {:?} was answered", removal.what);
                add(found, Rule::Lost, told);
            }
            let may_be_in = courses
                .of(*id)
                .iter()
                .any(|course| course.puts_in(*person) && course.outcome != Outcome::Refused);
            if is_made_here && !may_be_in {
                add(found, Rule::Phantom, format!("person {person} is in {id}, and no command added them"));
            }
        }
    }
}

/// What was acknowledged is stored there. What is stored was sent, once, and not by somebody who had been removed.
fn check_stored(said: &HashMap<&str, Said>, courses: &Courses, groups: &Groups, found: &mut Vec<Violation>) {
    for (message, said) in said {
        let Some((_, seq)) = said.stored else { continue };
        let rows = groups.get(&said.group).map(|group| &*group.messages).unwrap_or_default();
        if !rows.iter().any(|(at, content)| *at == seq && content == message) {
            add(found, Rule::Lost, format!("{message:?} was acknowledged at {seq} in {}", said.group));
        }
    }
    for (id, group) in groups {
        let mut once = HashSet::new();
        for (seq, content) in &group.messages {
            if !once.insert(content) {
                add(found, Rule::Double, format!("{content:?} is stored twice in {id}, at last at {seq}"));
            }
            let Some(said) = said.get(&**content).filter(|said| said.group == *id) else {
                add(found, Rule::Phantom, format!("nobody sent {content:?}, {seq} of {id}"));
                continue;
            };
            if let Some(removal) = courses.removal(*id, said.sender, said.sent) {
                let told = format!("{content:?} is stored in {id} after {:?} was answered", removal.what);
                add(found, Rule::Phantom, told);
            }
        }
    }
}

/// A connection is sent each group's messages in order, and without a hole while its user is a member.
fn check_heard(log: &[Entry], courses: &Courses, said: &HashMap<&str, Said>, found: &mut Vec<Violation>) {
    // The newest message that each connection was sent of each group, and when that message was sent.
    let mut newest: HashMap<(usize, u32, RoomId), (i64, Option<usize>)> = HashMap::new();
    for (place, entry) in log.iter().enumerate() {
        let Fact::Heard { group, seq, content } = &entry.fact else { continue };
        let sent = said.get(&**content).map(|said| said.sent);
        let key = (entry.person, entry.connection, *group);
        let Some((before, since)) = newest.insert(key, (*seq, sent)) else { continue };
        let told = || format!("person {} was sent {seq} after {before} of {group}", entry.person);
        if *seq <= before {
            add(found, if *seq == before { Rule::Twice } else { Rule::Swap }, told());
        } else if *seq > before + 1
            && since.is_some_and(|since| !courses.may_leave(*group, entry.person, since, place))
        {
            add(found, Rule::Gap, told());
        }
    }
}

/// Whoever was added to a group by an answered command is sent what is said then; whoever was removed is not.
fn check_audience(
    log: &[Entry],
    people: &BTreeSet<usize>,
    courses: &Courses,
    said: &HashMap<&str, Said>,
    is_one_node: bool,
    found: &mut Vec<Violation>,
) {
    let mut heard: HashSet<(usize, RoomId, &str)> = HashSet::new();
    // The connections that were there in the end, and since when.
    let mut open: HashMap<usize, usize> = HashMap::new();
    for (place, entry) in log.iter().enumerate() {
        match &entry.fact {
            Fact::Heard { group, content, .. } => drop(heard.insert((entry.person, *group, content))),
            Fact::Opened => drop(open.insert(entry.person, place)),
            Fact::Ended => drop(open.remove(&entry.person)),
            _ => {}
        }
    }
    for (message, said) in said {
        for person in people {
            let hears = heard.contains(&(*person, said.group, message));
            if hears && let Some(removal) = courses.removal(said.group, *person, said.sent) {
                let told = format!("person {person} heard {message:?} after {:?} was answered", removal.what);
                add(found, Rule::StillHears, told);
            }
            let was_there = open.get(person).is_some_and(|opened| *opened < said.sent);
            if let Some((stored, seq)) = said.stored
                && was_there
                && !hears
                && let Some(entry) = courses.entry(said.group, *person, said.sent, stored)
                && (is_one_node || was_to_hear(log, courses, said, *person, seq))
            {
                let told = format!("person {person} missed {message:?} after {:?} was answered", entry.what);
                add(found, Rule::NotAttached, told);
            }
        }
    }
}

/// Whether a member at another node must have been sent a message: nobody may have taken them out since, or they were sent a
/// later message of the group before anybody may have.
fn was_to_hear(log: &[Entry], courses: &Courses, said: &Said, person: usize, seq: i64) -> bool {
    let later = log.iter().position(|entry| {
        entry.person == person
            && matches!(&entry.fact, Fact::Heard { group, seq: other, .. } if *group == said.group && *other > seq)
    });
    !courses.may_leave(said.group, person, said.sent, later.unwrap_or(usize::MAX))
}
