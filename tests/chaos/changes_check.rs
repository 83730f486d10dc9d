//! Compares what was done to messages after they were sent with what the rows, the connections and the stores of the
//! devices say of it. Pure, as the rest of the checker.

use std::collections::{BTreeMap, HashMap, HashSet};

use entity::RoomId;

use crate::{
    asked::{Asked, At},
    checker::{Found, Rule},
    connection_check, deeds_check, deletions_check,
    history::{Act, History, What},
    store::check_store,
    stored::Stored,
    version::{Digest, NOTHING, Set},
};

pub fn check(history: &History, stored: &Stored, in_the_end: bool, found: &mut Found) {
    let asked = Asked::of(history);
    let seen = Seen::of(history, stored, &asked, found);
    check_numbers(stored, found);
    asked.check_rows(history, stored, found);
    deeds_check::check(&asked, stored, in_the_end, found);
    deletions_check::check(history, stored, &asked, &seen, found);
    if in_the_end {
        asked.check_answered(found);
        check_said(history, stored, found);
    }
    for (device, record) in history.devices.iter().enumerate() {
        connection_check::check(device, record, found);
        if record.keeps_store {
            check_store(device, record, &seen, &asked, stored, in_the_end, found);
        }
    }
}

/// The numbers of the rows by themselves: different ones, and the room's last change is the greatest.
fn check_numbers(stored: &Stored, found: &mut Found) {
    for (id, room) in stored {
        let mut numbers = HashSet::new();
        for line in room.lines.iter().filter(|line| line.version.change > 0) {
            if !numbers.insert(line.version.change) {
                let told = format!("change {} of {id} is stored twice", line.version.change);
                found.add(Rule::TwoVersions, told);
            }
        }
        let greatest = numbers.into_iter().max().unwrap_or(0);
        if greatest != room.last_change {
            let told = format!("room {id} has changes up to {}; its rows have {greatest}", room.last_change);
            found.add(Rule::ChangeHole, told);
        }
    }
}

/// What the server said of the rooms in the end is what is stored.
fn check_said(history: &History, stored: &Stored, found: &mut Found) {
    for (id, lines) in &history.said {
        let there = stored.get(id).map(|room| &*room.lines).unwrap_or_default();
        let first = lines
            .iter()
            .zip(there)
            .find(|(said, there)| !there.is_shown_as(said) || said.version != there.version);
        if first.is_some() || lines.len() != there.len() {
            let told = format!("the history of {id} has {} of {} rows: {first:?}", lines.len(), there.len());
            found.add(Rule::Disagrees, told);
        }
    }
}

/// Every version of every message that anybody has seen: the fields that are known of it.
pub struct Seen(BTreeMap<RoomId, BTreeMap<i64, BTreeMap<i64, Set>>>);

impl Seen {
    fn of(history: &History, stored: &Stored, asked: &Asked, found: &mut Found) -> Self {
        let mut seen = Self(BTreeMap::new());
        let mut numbered: HashMap<(RoomId, i64), i64> = HashMap::new();
        let mut see = |by: &str, at: At, change: i64, set: Set, found: &mut Found| {
            let line = stored.get(&at.0).and_then(|room| room.line_at(at.1));
            let original = line.and_then(|line| asked.original(line));
            let is_known = |content| asked.is_asked(at, content) || original == Some(content);
            let is_gone = set.deleted.flatten().is_some();
            let is_asked = |act| asked.is_to_be(at, act, u64::MAX);
            if is_gone && !is_asked(Act::Delete)
                || set.pinned.flatten().is_some() && !is_asked(Act::Pin { on: true })
            {
                let told = format!("{by}: {} of {} is {change}, {set:?}, which nobody asked for", at.1, at.0);
                found.add(Rule::Phantom, told);
            }
            if is_gone && set.content.is_some_and(|content| content != Digest::of(NOTHING)) {
                let told = format!("{by}: {} of {} is {change}, {set:?}: deleted, and there", at.1, at.0);
                found.add(Rule::DeletionLost, told);
            }
            if change > 0 && set.content.is_some_and(|content| !is_known(content)) {
                let told = format!("{by}: {} of {} is {change}, {set:?}, which nobody asked for", at.1, at.0);
                found.add(Rule::Phantom, told);
            }
            let other = numbered.entry((at.0, change)).or_insert(at.1);
            if change > 0 && *other != at.1 {
                let told = format!("{by}: change {change} of {} is of {} and {other}", at.0, at.1);
                found.add(Rule::TwoVersions, told);
            }
            let versions = seen.0.entry(at.0).or_default().entry(at.1).or_default();
            let known = versions.entry(change).or_default();
            if !known.join(&set) {
                let told = format!("{by}: {change} of {} of {} is {set:?} and {known:?}", at.1, at.0);
                found.add(Rule::TwoVersions, told);
            }
        };
        for (id, room) in stored {
            for line in &room.lines {
                see("the rows", (*id, line.seq), line.version.change, Set::of(&line.version), found);
            }
        }
        for (device, record) in history.devices.iter().enumerate() {
            let by = format!("device {device}");
            for entry in &record.entries {
                match &entry.what {
                    What::Read { room, line, .. } => {
                        if line.version.change == 0 && asked.original(line) != Some(line.version.content) {
                            let told = format!("{by} read {line:?} in {room}, which was not sent like this");
                            found.add(Rule::Phantom, told);
                        }
                        see(&by, (*room, line.seq), line.version.change, Set::of(&line.version), found);
                    }
                    What::PageRead { room, lines, .. } => {
                        for line in lines {
                            see(&by, (*room, line.seq), line.version.change, Set::of(&line.version), found);
                        }
                    }
                    What::DeedAnswered { deed, version } => {
                        let deed = &record.deeds[*deed];
                        see(&by, (deed.room, deed.seq), version.change, Set::of(version), found);
                    }
                    What::Changed { room, seq, change, set, .. } => {
                        see(&by, (*room, *seq), *change, *set, found);
                    }
                    _ => {}
                }
            }
        }
        seen.check_acknowledged(history, asked, found);
        seen.check_repeats(found);
        seen
    }

    /// An acknowledgement says the same as whoever else has seen that change.
    fn check_acknowledged(&self, history: &History, asked: &Asked, found: &mut Found) {
        for record in &history.devices {
            for entry in &record.entries {
                let What::EditAnswered { edit, change, content, .. } = &entry.what else { continue };
                let edit = &record.edits[*edit];
                let version = self.0.get(&edit.room).and_then(|room| room.get(&edit.seq)?.get(change));
                if version.and_then(|version| version.content).is_some_and(|seen| seen != *content) {
                    let told = format!("{edit:?} was acknowledged as {content:?}, and {version:?} was seen");
                    found.add(Rule::TwoVersions, told);
                }
                // A later edit of the same transaction shows in the answer of an earlier one.
                if !asked.is_asked((edit.room, edit.seq), *content) {
                    let told = format!("{edit:?} was acknowledged as {content:?}, which nobody asked for");
                    found.add(Rule::Phantom, told);
                }
            }
        }
    }

    /// The same content again is no new edit.
    fn check_repeats(&self, found: &mut Found) {
        for (room, messages) in &self.0 {
            for (seq, versions) in messages {
                let mut before: Option<&Set> = None;
                // A reaction leaves the content as it was.
                for version in versions.values().filter(|version| version.content.is_some()) {
                    if before.is_some_and(|before| {
                        before.content == version.content
                            && before.edits.zip(version.edits).is_some_and(|(before, now)| before + 1 == now)
                    }) {
                        let told = format!("{seq} of {room} was {before:?}, and then {version:?}");
                        found.add(Rule::EditedTwice, told);
                    }
                    before = Some(version);
                }
            }
        }
    }

    /// All versions of a message, the oldest first.
    pub fn versions(&self, at: At) -> impl Iterator<Item = (i64, &Set)> {
        let versions = self.0.get(&at.0).and_then(|room| room.get(&at.1));
        versions.into_iter().flatten().map(|(change, set)| (*change, set))
    }

    /// The first version of a message after a change.
    pub fn next_after(&self, at: At, change: i64) -> Option<(i64, &Set)> {
        let (change, set) = self.0.get(&at.0)?.get(&at.1)?.range(change + 1..).next()?;
        Some((*change, set))
    }

    /// The newest version, up to a change, of every message of a room that was changed.
    pub fn newest(&self, room: RoomId, upto: i64) -> impl Iterator<Item = (i64, i64)> {
        let messages = self.0.get(&room).into_iter().flatten();
        messages.filter_map(move |(seq, versions)| {
            let (change, _) = versions.range(..=upto).next_back()?;
            (*change > 0).then_some((*seq, *change))
        })
    }
}
