//! The rules of the membership storm: what people did and saw, held against the rows. Pure: records in, violations out.

use std::collections::{BTreeMap, HashMap, HashSet};

use entity::RoomId;

use crate::{
    checker::{Rule, Violation},
    membership::{Command, Entry, Fact},
};

/// A group of the storm as the database has it in the end.
#[derive(Clone, Debug, Default)]
pub struct GroupRow {
    pub is_deleted: bool,
    pub owner: Option<usize>,
    /// The members and whether each is the owner.
    pub members: BTreeMap<usize, bool>,
    pub last_seq: i64,
    /// In the order of seq.
    pub messages: Vec<(i64, String)>,
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
        match self.outcome {
            Outcome::Refused => false,
            Outcome::Unknown => true,
            Outcome::Succeeded(_) => self.end.is_none_or(|end| end > place),
        }
    }
}

/// A message of the storm, by places in the log.
#[derive(Clone, Copy, Debug)]
struct Said {
    group: RoomId,
    sent: usize,
    stored: Option<(usize, i64)>,
}

/// Everything that is wrong.
pub fn check(log: &[Entry], groups: &Groups) -> Vec<Violation> {
    let mut found = Vec::new();
    let courses = courses(log);
    check_groups(groups, &mut found);
    check_made(&courses, groups, &mut found);
    check_heard_order(log, &mut found);
    let said = said(log);
    check_stored(&said, groups, &mut found);
    check_audience(log, &courses, &said, &mut found);
    found
}

fn courses(log: &[Entry]) -> Vec<Course> {
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
    courses.into_values().collect()
}

fn said(log: &[Entry]) -> HashMap<&str, Said> {
    let mut said: HashMap<&str, Said> = HashMap::new();
    for (place, entry) in log.iter().enumerate() {
        match &entry.fact {
            Fact::Sent { message, group } => {
                said.insert(message, Said { group: *group, sent: place, stored: None });
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

/// A group whose making was answered is there, with all its members but those whom a later command took out.
fn check_made(courses: &[Course], groups: &Groups, found: &mut Vec<Violation>) {
    for made in courses.iter().filter(|course| matches!(course.what, Command::Make { .. })) {
        let Outcome::Succeeded(Some(id)) = made.outcome else { continue };
        let Some(group) = groups.get(&id) else {
            add(found, Rule::HalfDone, format!("{id} was made and is not there"));
            continue;
        };
        let Command::Make { members } = &made.what else { continue };
        for person in members.iter().copied().chain([made.person]) {
            let of_group = courses.iter().filter(|course| course.group() == Some(id));
            let was_taken_out =
                of_group.clone().any(|course| course.takes_out(person) && course.outcome != Outcome::Refused);
            if !group.is_deleted && !was_taken_out && !group.members.contains_key(&person) {
                add(found, Rule::HalfDone, format!("{id} was made with person {person}, who is not in it"));
            }
        }
    }
}

/// What was acknowledged is stored there, and nothing is stored twice.
fn check_stored(said: &HashMap<&str, Said>, groups: &Groups, found: &mut Vec<Violation>) {
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
        }
    }
}

/// A connection is sent each group's messages in order.
fn check_heard_order(log: &[Entry], found: &mut Vec<Violation>) {
    let mut last: HashMap<(usize, u32, RoomId), i64> = HashMap::new();
    for entry in log {
        let Fact::Heard { group, seq, .. } = &entry.fact else { continue };
        let before = last.insert((entry.person, entry.connection, *group), *seq).unwrap_or(0);
        if *seq <= before {
            let told = format!("person {} was sent {seq} after {before} of {group}", entry.person);
            add(found, if *seq == before { Rule::Twice } else { Rule::Swap }, told);
        }
    }
}

/// Whoever was put into a group by an answered command hears what is said then; whoever was taken out does not.
fn check_audience(log: &[Entry], courses: &[Course], said: &HashMap<&str, Said>, found: &mut Vec<Violation>) {
    let mut heard: HashSet<(usize, RoomId, i64)> = HashSet::new();
    // The connections that were there in the end, and since when.
    let mut open: HashMap<usize, usize> = HashMap::new();
    for (place, entry) in log.iter().enumerate() {
        match &entry.fact {
            Fact::Heard { group, seq, .. } => drop(heard.insert((entry.person, *group, *seq))),
            Fact::Opened => drop(open.insert(entry.person, place)),
            Fact::Ended => drop(open.remove(&entry.person)),
            _ => {}
        }
    }
    let mut of_group: HashMap<RoomId, Vec<&Course>> = HashMap::new();
    for course in courses {
        // Nobody knows which group a command without one made, if any; it put nobody into a known one.
        if let Some(group) = course.group() {
            of_group.entry(group).or_default().push(course);
        }
    }
    for (message, said) in said {
        let Some((stored, seq)) = said.stored else { continue };
        let courses = of_group.get(&said.group).map(Vec::as_slice).unwrap_or_default();
        let people: HashSet<usize> = log.iter().map(|entry| entry.person).collect();
        for person in people {
            let hears = heard.contains(&(person, said.group, seq));
            let last_out = courses
                .iter()
                .filter(|course| course.takes_out(person) && course.succeeded())
                .filter(|course| course.end.is_some_and(|end| end < said.sent))
                .max_by_key(|course| course.end);
            if let Some(out) = last_out
                && hears
                && !courses.iter().any(|course| course.puts_in(person) && course.may_act_after(out.asked))
            {
                let told = format!("person {person} heard {message:?} after {:?} was answered", out.what);
                add(found, Rule::StillHears, told);
            }
            let last_in = courses
                .iter()
                .filter(|course| course.puts_in(person) && course.succeeded())
                .filter(|course| course.end.is_some_and(|end| end < said.sent))
                .max_by_key(|course| course.end);
            let was_there = open.get(&person).is_some_and(|opened| *opened < said.sent);
            if let Some(within) = last_in
                && was_there
                && !hears
                && !courses.iter().any(|course| {
                    course.takes_out(person) && course.asked < stored && course.may_act_after(within.asked)
                })
            {
                let told = format!("person {person} missed {message:?} after {:?} was answered", within.what);
                add(found, Rule::NotAttached, told);
            }
        }
    }
}
