//! What each connection was told of changes, by itself: ascending, live without a hole, after the message, and before the
//! answer to an edit or a deed of its own.

use std::collections::BTreeMap;

use entity::RoomId;

use crate::{
    checker::{Found, Rule},
    history::{Position, Record, What},
};

/// What a connection was told of a room.
#[derive(Default)]
struct Told {
    last: i64,
    /// Whether it is known that it has every change up to there, so that the next one is one more.
    is_exact: bool,
    /// The newest message that was said to have changed.
    newest: i64,
    /// The greatest change that answered an edit or a deed over this connection.
    answered: i64,
    /// Holes that are none, if it turns out that the room has to be read again.
    holes: Vec<String>,
}

impl Told {
    fn changes(&mut self, of: &str, seq: i64, change: i64, is_replayed: bool, found: &mut Found) {
        if change <= self.last {
            let told = format!("{of} was told of change {change} after {}", self.last);
            found.add(Rule::ChangeHole, told);
        } else if !is_replayed && self.is_exact && change != self.last + 1 {
            self.holes.push(format!("{of} was told of change {change} right after {}", self.last));
        }
        if change <= self.answered {
            let told = format!(
                "{of} was told of change {change} after something was answered with {}",
                self.answered
            );
            found.add(Rule::AnswerOutOfTurn, told);
        }
        self.last = change.max(self.last);
        // What is replayed leaves out changes that others have replaced.
        self.is_exact = !is_replayed;
        self.newest = seq.max(self.newest);
    }

    fn reads(&mut self, of: &str, seq: i64, change: i64, found: &mut Found) {
        if seq <= self.newest {
            let told = format!("{of} was sent {seq} after a change of {}", self.newest);
            found.add(Rule::ChangeEarly, told);
        }
        // It was sent in its newest version, which is told of nowhere else.
        self.is_exact &= change <= self.last;
    }

    fn is_told(&mut self, position: Position) {
        if position.is_reset {
            self.holes.clear();
        }
        if position.change >= self.last {
            self.last = position.change;
            self.is_exact = true;
        }
    }
}

pub fn check(device: usize, record: &Record, found: &mut Found) {
    let mut rooms: BTreeMap<RoomId, Told> = BTreeMap::new();
    for entry in &record.entries {
        let of = |room: &RoomId| format!("connection {} of device {device}, in {room},", entry.connection);
        match &entry.what {
            What::Comes { .. } => report(&mut rooms, found),
            What::Read { room, line, .. } => {
                rooms.entry(*room).or_default().reads(&of(room), line.seq, line.version.change, found);
            }
            What::Changed { room, seq, change, is_replayed, .. } => {
                let told = rooms.entry(*room).or_default();
                told.changes(&of(room), *seq, *change, *is_replayed, found);
            }
            What::Synced { rooms: positions } => {
                for (room, position) in positions {
                    rooms.entry(*room).or_default().is_told(*position);
                }
            }
            What::EditAnswered { edit, change, .. } if !record.edits[*edit].is_over_http => {
                let told = rooms.entry(record.edits[*edit].room).or_default();
                told.answered = told.answered.max(*change);
            }
            What::DeedAnswered { deed, version } => {
                let told = rooms.entry(record.deeds[*deed].room).or_default();
                told.answered = told.answered.max(version.change);
            }
            _ => {}
        }
    }
    report(&mut rooms, found);
}

/// A connection is over.
fn report(rooms: &mut BTreeMap<RoomId, Told>, found: &mut Found) {
    let holes = std::mem::take(rooms).into_values().flat_map(|told| told.holes);
    holes.for_each(|told| found.add(Rule::ChangeHole, told));
}
