//! The `response` events of one websocket whose acknowledgement is still expected.

use std::{collections::BTreeMap, time::Duration};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    counts::{Count, Counted},
    gateway::native::Pressure,
};

/// See the module. It remembers at most `most` events. While it is full, events are sent without an id, so
/// their receipt does not move by itself. An event that is not acknowledged in time is forgotten.
#[derive(Debug)]
pub struct PlainPendingAcks {
    most: usize,
    pressure: Pressure,
    timeout: Duration,
    count: Count,
    state: Mutex<AwaitedAcks>,
}

#[derive(Debug, Default)]
struct AwaitedAcks {
    last: u64,
    /// By id, and therefore by age.
    waiting: BTreeMap<u64, AwaitedAck>,
}

#[derive(Debug)]
struct AwaitedAck {
    room: RoomId,
    seq: Seq,
    until: Instant,
    _counted: Counted,
}

impl PlainPendingAcks {
    /// `count` counts the pending acknowledgements of all connections.
    pub fn new(most: usize, timeout: Duration, count: Count) -> Self {
        Self { most, pressure: Pressure::new(most), timeout, count, state: Mutex::default() }
    }

    /// The id under which a message is to be acknowledged. `None` if too many are pending.
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
            .insert(id, AwaitedAck { room, seq, until: now + self.timeout, _counted: self.count.one() });
        Some(id)
    }

    /// The message with this id, if it was not acknowledged before and is still in time.
    pub fn answered(&self, id: u64) -> Option<(RoomId, Seq)> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let waiting = state.waiting.remove(&id)?;
        self.pressure.moved();
        (waiting.until > now).then_some((waiting.room, waiting.seq))
    }

    /// See [`crate::chat::connections::connection::Outlet::is_pressed`].
    pub fn is_pressed(&self) -> bool {
        self.pressure.is_felt(self.state.lock().waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_acknowledged_once_and_no_more_are_kept_than_allowed() {
        let pending_acks = PlainPendingAcks::new(2, Duration::from_secs(60), Count::default());
        let room = RoomId::new();
        assert_eq!(pending_acks.ask(room, Seq(1)), Some(1));
        assert_eq!(pending_acks.ask(room, Seq(2)), Some(2));
        assert_eq!(pending_acks.ask(room, Seq(3)), None);
        assert_eq!(pending_acks.answered(2), Some((room, Seq(2))));
        assert_eq!(pending_acks.answered(2), None);
        assert_eq!(pending_acks.answered(99), None);
        assert_eq!(pending_acks.ask(room, Seq(4)), Some(3));
    }

    #[test]
    fn one_that_is_late_is_forgotten() {
        let pending_acks = PlainPendingAcks::new(1, Duration::ZERO, Count::default());
        let room = RoomId::new();
        assert_eq!(pending_acks.ask(room, Seq(1)), Some(1));
        assert_eq!(pending_acks.answered(1), None);
        assert_eq!(pending_acks.ask(room, Seq(2)), Some(2));
        assert_eq!(pending_acks.ask(room, Seq(3)), Some(3));
        assert_eq!(pending_acks.state.lock().waiting.len(), 1);
    }
}
