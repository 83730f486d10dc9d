//! The store of a device, worked out from what it was sent, and held against what others saw and what is stored.

use std::collections::BTreeMap;

use entity::RoomId;

use crate::{
    asked::Asked,
    changes_check::Seen,
    checker::{Found, Rule},
    history::{Position, Record, What},
    stored::Stored,
    version::{Line, Set, Version},
};

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

pub fn check_store(
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
