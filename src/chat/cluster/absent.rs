//! Rooms that others have told of while they were not in memory here.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use entity::RoomId;

/// How long a room is remembered: longer than loading one takes.
const LOADING: Duration = Duration::from_secs(10);
/// The most rooms of this time. With more the oldest are forgotten, and what was told of them is found by a look at all
/// rooms, or told with the next receipt.
const ABSENT: usize = 20_000;

/// Rooms that others have told of a moment ago while they were not in memory here. Whoever loads one of them may have
/// read it before that. At most twice [`ABSENT`].
pub(super) struct AbsentRooms {
    newer: HashSet<RoomId>,
    older: HashSet<RoomId>,
    since: Instant,
}

impl Default for AbsentRooms {
    fn default() -> Self {
        Self { newer: HashSet::new(), older: HashSet::new(), since: Instant::now() }
    }
}

impl AbsentRooms {
    pub fn note(&mut self, room: RoomId) {
        if self.newer.len() >= ABSENT || self.since.elapsed() > LOADING {
            self.older = std::mem::take(&mut self.newer);
            self.since = Instant::now();
        }
        self.newer.insert(room);
    }

    /// Forgets a room. Returns whether others have told of it.
    pub fn take(&mut self, room: RoomId) -> bool {
        self.newer.remove(&room) | self.older.remove(&room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let (mut absent, told) = (AbsentRooms::default(), RoomId::new());
        absent.note(told);
        for _ in 0..ABSENT * 2 {
            absent.note(RoomId::new());
        }
        assert!(!absent.take(told));
        assert!(absent.newer.len() + absent.older.len() <= ABSENT * 2);
    }
}
