//! The `response` events of one websocket whose acknowledgement is waited for.

use std::{collections::BTreeMap, time::Duration};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    counts::{Count, Counted},
    gateway::native::Pressure,
};

/// See the module. It remembers at most `most`; while there are that many, events come without an id, so
/// their receipt does not move by itself. One that is not acknowledged in time is forgotten.
#[derive(Debug)]
pub struct Unanswered {
    most: usize,
    pressure: Pressure,
    timeout: Duration,
    count: Count,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// By id, and so by age.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    room: RoomId,
    seq: Seq,
    until: Instant,
    _counted: Counted,
}

impl Unanswered {
    /// `count` is of all that are waited for anywhere.
    pub fn new(most: usize, timeout: Duration, count: Count) -> Self {
        Self { most, pressure: Pressure::new(most), timeout, count, state: Mutex::default() }
    }

    /// The id under which a message is to be acknowledged; none where too many are waited for.
    pub fn ask(&self, room: RoomId, seq: Seq) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock();
        while state.waiting.first_key_value().is_some_and(|(_, oldest)| oldest.until <= now) {
            state.waiting.pop_first();
        }
        if state.waiting.len() >= self.most {
            return None;
        }
        if state.waiting.is_empty() {
            self.pressure.moved();
        }
        state.last += 1;
        let id = state.last;
        state
            .waiting
            .insert(id, Waiting { room, seq, until: now + self.timeout, _counted: self.count.one() });
        Some(id)
    }

    /// The message that was to be acknowledged under this id, the first time and in time.
    pub fn answered(&self, id: u64) -> Option<(RoomId, Seq)> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let waiting = state.waiting.remove(&id)?;
        self.pressure.moved();
        (waiting.until > now).then_some((waiting.room, waiting.seq))
    }

    /// See [`crate::chat::connection::Outlet::is_pressed`].
    pub fn is_pressed(&self) -> bool {
        self.pressure.is_felt(self.state.lock().waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_acknowledged_once_and_no_more_are_kept_than_allowed() {
        let unanswered = Unanswered::new(2, Duration::from_secs(60), Count::default());
        let room = RoomId::new();
        assert_eq!(unanswered.ask(room, Seq(1)), Some(1));
        assert_eq!(unanswered.ask(room, Seq(2)), Some(2));
        assert_eq!(unanswered.ask(room, Seq(3)), None);
        assert_eq!(unanswered.answered(2), Some((room, Seq(2))));
        assert_eq!(unanswered.answered(2), None);
        assert_eq!(unanswered.answered(99), None);
        assert_eq!(unanswered.ask(room, Seq(4)), Some(3));
    }

    #[test]
    fn one_that_is_late_is_forgotten() {
        let unanswered = Unanswered::new(1, Duration::ZERO, Count::default());
        let room = RoomId::new();
        assert_eq!(unanswered.ask(room, Seq(1)), Some(1));
        assert_eq!(unanswered.answered(1), None);
        assert_eq!(unanswered.ask(room, Seq(2)), Some(2));
        assert_eq!(unanswered.ask(room, Seq(3)), Some(3));
        assert_eq!(unanswered.state.lock().waiting.len(), 1);
    }
}
