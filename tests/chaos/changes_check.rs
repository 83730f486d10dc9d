//! Compares what was done to messages after they were sent with what the rows, the connections and the stores of the
//! devices say of it. Pure, as the rest of the checker.

use std::collections::{BTreeMap, HashMap, HashSet};

use entity::RoomId;

use crate::{
    checker::{Found, Rule},
    connection_check,
    history::{Digest, Edit, History, Line, Position, React, Record, Set, Version, What},
    reactions_check,
    stored::Stored,
};

pub fn check(history: &History, stored: &Stored, in_the_end: bool, found: &mut Found) {
    let asked = Asked::of(history);
    let seen = Seen::of(history, stored, &asked, found);
    check_numbers(stored, found);
    asked.check_rows(history, stored, found);
    reactions_check::check(history, stored, in_the_end, found);
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

/// A message by its place.
type At = (RoomId, i64);

/// How each edit went.
struct Asked {
    /// By device and number.
    edits: HashMap<(usize, usize), Went>,
    of_messages: HashMap<At, Vec<(usize, usize)>>,
    /// Of the messages, when each reaction was asked for first, and the greatest change that answered it.
    reactions: HashMap<At, Vec<(u64, Option<i64>)>>,
    /// The content that a message was sent with, by its client message id.
    originals: HashMap<String, Digest>,
}

struct Went {
    edit: Edit,
    asked: usize,
    /// The stamp of the first request.
    first_asked: u64,
    /// Requests of which it is known what became of them.
    known: usize,
    /// The changes and contents of the acknowledgements.
    answers: Vec<(i64, Digest)>,
}

impl Went {
    /// Whether some request may still have been carried out, at any time.
    fn is_unknown(&self) -> bool {
        self.asked > self.known
    }
}

impl Asked {
    fn of(history: &History) -> Self {
        let mut edits: HashMap<(usize, usize), Went> = HashMap::new();
        let mut of_messages: HashMap<At, Vec<(usize, usize)>> = HashMap::new();
        for (device, record) in history.devices.iter().enumerate() {
            for (number, edit) in record.edits.iter().enumerate() {
                let went =
                    Went { edit: *edit, asked: 0, first_asked: u64::MAX, known: 0, answers: Vec::new() };
                edits.insert((device, number), went);
                of_messages.entry((edit.room, edit.seq)).or_default().push((device, number));
            }
            for entry in &record.entries {
                let of = |edit: &usize| (device, *edit);
                match &entry.what {
                    What::EditAsked { edit } => {
                        let went = edits.get_mut(&of(edit)).unwrap();
                        went.asked += 1;
                        went.first_asked = entry.stamp.min(went.first_asked);
                    }
                    What::EditAnswered { edit, change, content } => {
                        let went = edits.get_mut(&of(edit)).unwrap();
                        went.known += 1;
                        went.answers.push((*change, *content));
                    }
                    // Unlike one that was refused because of a rate, one that was unavailable may have been carried out.
                    What::EditRefused { edit, code } if code == "rate_limited" => {
                        edits.get_mut(&of(edit)).unwrap().known += 1;
                    }
                    _ => {}
                }
            }
        }
        let mut reactions: HashMap<At, Vec<(u64, Option<i64>)>> = HashMap::new();
        for record in &history.devices {
            for (number, React { room, seq, .. }) in record.reacts.iter().enumerate() {
                let mut went = (u64::MAX, None);
                for entry in &record.entries {
                    match &entry.what {
                        What::ReactAsked { react } if *react == number => went.0 = entry.stamp.min(went.0),
                        What::ReactAnswered { react, change } if *react == number => went.1 = Some(*change),
                        _ => {}
                    }
                }
                reactions.entry((*room, *seq)).or_default().push(went);
            }
        }
        let operations = history.devices.iter().flat_map(|record| &record.operations);
        let originals = operations.map(|it| (it.client_message_id.clone(), it.content)).collect();
        Self { edits, of_messages, reactions, originals }
    }

    fn of_message(&self, at: At) -> impl Iterator<Item = &Went> {
        self.of_messages.get(&at).into_iter().flatten().filter_map(|edit| self.edits.get(edit))
    }

    fn is_asked(&self, at: At, content: Digest) -> bool {
        self.of_message(at).any(|went| went.asked > 0 && went.edit.content == content)
    }

    /// Whether a change of a message, with these fields, may have been asked for before a stamp.
    fn is_asked_before(&self, at: At, (change, set): (i64, &Set), stamp: u64) -> bool {
        let by_edit = set.content.is_some_and(|content| {
            self.of_message(at).any(|went| went.edit.content == content && went.first_asked < stamp)
        });
        let by_reaction = self.reactions.get(&at).into_iter().flatten().any(|(first_asked, answered)| {
            *first_asked < stamp && answered.is_none_or(|answered| answered >= change)
        });
        by_edit || by_reaction
    }

    /// The content that a message was sent with.
    fn original(&self, line: &Line) -> Option<Digest> {
        self.originals.get(line.client_message_id.as_deref()?).copied()
    }

    /// The rows show the last edit that was acknowledged, unless one of which nobody knows came after it.
    fn check_rows(&self, history: &History, stored: &Stored, found: &mut Found) {
        for at in self.of_messages.keys() {
            let Some(line) = stored.get(&at.0).and_then(|room| room.line_at(at.1)) else { continue };
            let (now, of) = (line.version, format!("{} of {}", at.1, at.0));
            let answers = self.of_message(*at).flat_map(|went| &went.answers);
            let Some((change, content)) = answers.max_by_key(|(change, _)| *change) else { continue };
            let is_same = self.of_message(*at).all(|went| went.edit.id == line.id);
            let shows = is_same
                && match now.change.cmp(change) {
                    std::cmp::Ordering::Less => false,
                    std::cmp::Ordering::Equal => now.content == *content,
                    // A reaction changes nothing about the content.
                    std::cmp::Ordering::Greater if now.content == *content => true,
                    std::cmp::Ordering::Greater => {
                        self.of_message(*at).any(|went| went.is_unknown() && went.edit.content == now.content)
                    }
                };
            if !shows {
                let told = format!("{of} is stored as {now:?}, and {change} was acknowledged as {content:?}");
                found.add(Rule::EditLost, told);
            }
            let asked: usize = self.of_message(*at).map(|went| went.asked).sum();
            if now.edits > asked as i64 {
                found.add(Rule::EditedTwice, format!("{of} has {} edits of {asked}", now.edits));
            }
        }
        for (device, record) in history.devices.iter().enumerate() {
            for entry in &record.entries {
                let What::EditRefused { edit, code } = &entry.what else { continue };
                if !matches!(&**code, "unavailable" | "rate_limited") {
                    let told = format!("device {device} was refused with {code}: {:?}", record.edits[*edit]);
                    found.add(Rule::Refusal, told);
                }
            }
        }
    }

    /// An edit over a socket is asked for until it is answered.
    fn check_answered(&self, found: &mut Found) {
        let is_due = |went: &&Went| went.asked > 0 && !went.edit.is_over_http && went.answers.is_empty();
        for went in self.edits.values().filter(is_due) {
            found.add(Rule::Missing, format!("{:?} was never answered", went.edit));
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
        let first = lines.iter().zip(there).find(|(said, there)| said != there);
        if first.is_some() || lines.len() != there.len() {
            let told = format!("the history of {id} has {} of {} rows: {first:?}", lines.len(), there.len());
            found.add(Rule::Disagrees, told);
        }
    }
}

/// Every version of every message that anybody has seen: the fields that are known of it.
struct Seen(BTreeMap<RoomId, BTreeMap<i64, BTreeMap<i64, Set>>>);

impl Seen {
    fn of(history: &History, stored: &Stored, asked: &Asked, found: &mut Found) -> Self {
        let mut seen = Self(BTreeMap::new());
        let mut numbered: HashMap<(RoomId, i64), i64> = HashMap::new();
        let mut see = |by: &str, at: At, change: i64, set: Set, found: &mut Found| {
            let line = stored.get(&at.0).and_then(|room| room.line_at(at.1));
            let original = line.and_then(|line| asked.original(line));
            let is_known = |content| asked.is_asked(at, content) || original == Some(content);
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

    /// The first version of a message after a change.
    fn next_after(&self, at: At, change: i64) -> Option<(i64, &Set)> {
        let (change, set) = self.0.get(&at.0)?.get(&at.1)?.range(change + 1..).next()?;
        Some((*change, set))
    }

    /// The newest version, up to a change, of every message of a room that was changed.
    fn newest(&self, room: RoomId, upto: i64) -> impl Iterator<Item = (i64, i64)> {
        let messages = self.0.get(&room).into_iter().flatten();
        messages.filter_map(move |(seq, versions)| {
            let (change, _) = versions.range(..=upto).next_back()?;
            (*change > 0).then_some((*seq, *change))
        })
    }
}

/// What a device keeps, by the rules for clients of docs/events.md.
#[derive(Default)]
struct Store {
    rooms: BTreeMap<RoomId, BTreeMap<i64, Version>>,
    cursors: BTreeMap<RoomId, i64>,
    /// Rooms that it has to read again, with changes of messages that are on no page yet.
    again: BTreeMap<RoomId, BTreeMap<i64, (i64, Set)>>,
}

impl Store {
    fn takes(&mut self, room: RoomId, line: &Line) {
        let mut version = line.version;
        if let Some((change, set)) = self.again.get_mut(&room).and_then(|waiting| waiting.remove(&line.seq))
            && change > version.change
        {
            version = version.with(change, &set);
        }
        let kept = self.rooms.entry(room).or_default().entry(line.seq).or_insert(version);
        if version.change >= kept.change {
            *kept = version;
        }
    }

    /// Returns whether it can know the message.
    fn changes(&mut self, room: RoomId, seq: i64, change: i64, set: &Set) -> bool {
        let cursor = self.cursors.entry(room).or_default();
        *cursor = change.max(*cursor);
        let messages = self.rooms.entry(room).or_default();
        if let Some(version) = messages.get_mut(&seq) {
            if change > version.change {
                *version = version.with(change, set);
            }
        } else if let Some(waiting) = self.again.get_mut(&room) {
            waiting.insert(seq, (change, *set));
        } else if messages.last_key_value().is_some_and(|(newest, _)| *newest < seq) {
            return false;
        }
        true
    }

    fn is_told(&mut self, room: RoomId, position: Position) {
        let cursor = self.cursors.entry(room).or_default();
        *cursor = position.change.max(*cursor);
        if position.is_reset {
            *cursor = position.change;
            self.rooms.remove(&room);
            self.again.insert(room, BTreeMap::new());
        }
    }

    /// Messages of which it has an older version than it has to have. A message that was changed again while the
    /// changes were read is told of by the later change only, which has to have been asked for by then.
    fn check(&self, of: &str, room: RoomId, by: u64, seen: &Seen, asked: &Asked, found: &mut Found) {
        let (Some(messages), Some(cursor)) = (self.rooms.get(&room), self.cursors.get(&room)) else { return };
        for (seq, newest) in seen.newest(room, *cursor) {
            let next = seen.next_after((room, seq), *cursor);
            let is_told_later = next.is_some_and(|next| asked.is_asked_before((room, seq), next, by));
            if !is_told_later && messages.get(&seq).is_some_and(|kept| kept.change < newest) {
                let kept = messages[&seq];
                let told = format!("{of} has {kept:?} of {seq} of {room}, and all up to {cursor}: {newest}");
                found.add(Rule::Stale, told);
            }
        }
    }
}

fn check_store(
    device: usize,
    record: &Record,
    seen: &Seen,
    asked: &Asked,
    stored: &Stored,
    in_the_end: bool,
    found: &mut Found,
) {
    let is_lobby = |room: &RoomId| stored.get(room).is_none_or(|room| room.is_lobby());
    let mut store = Store::default();
    for entry in &record.entries {
        let of = || format!("device {device}, on connection {},", entry.connection);
        match &entry.what {
            What::Comes { changes: Some(said), .. } if *said != store.cursors => {
                let told = format!("{} says that it has {said:?} and has {:?}", of(), store.cursors);
                found.add(Rule::Stale, told);
                // What follows from it is to be seen, too.
                store.cursors.clone_from(said);
            }
            What::Read { room, line, .. } => store.takes(*room, line),
            What::Changed { room, seq, change, set, .. } => {
                let can_know = store.changes(*room, *seq, *change, set);
                if !can_know {
                    let told = format!("{} was told of {change} of {room} before it had {seq}", of());
                    found.add(Rule::ChangeEarly, told);
                }
            }
            What::Synced { rooms } => {
                for (room, position) in rooms {
                    store.is_told(*room, *position);
                    // The lobby replays nothing.
                    if !store.again.contains_key(room) && !is_lobby(room) {
                        store.check(&of(), *room, entry.stamp, seen, asked, found);
                    }
                }
            }
            What::PageRead { room, lines, is_last } => {
                lines.iter().for_each(|line| store.takes(*room, line));
                if *is_last {
                    store.again.remove(room);
                    store.check(&of(), *room, entry.stamp, seen, asked, found);
                }
            }
            _ => {}
        }
    }
    if !in_the_end {
        return;
    }
    for (id, messages) in store.rooms.iter().filter(|(room, _)| !is_lobby(room)) {
        if store.again.contains_key(id) {
            found.add(Rule::Missing, format!("device {device} has not read {id} again"));
        }
        let first = messages.first_key_value().map_or(0, |(seq, _)| *seq);
        let lines = stored.get(id).map(|room| &*room.lines).unwrap_or_default();
        for line in lines.iter().filter(|line| line.seq >= first) {
            let kept = messages.get(&line.seq);
            if kept != Some(&line.version) {
                let told =
                    format!("device {device} has {kept:?} of {} of {id} in the end: {line:?}", line.seq);
                found.add(Rule::Stale, told);
            }
        }
    }
}
