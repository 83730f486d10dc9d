//! The ids under which the `response` events of one websocket are to be acknowledged.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{PendingAck, PendingAcks};

/// If more than this wait at a time, their memory is freed when none waits.
const KEPT: usize = 16;

/// See the module. An event that is not acknowledged in time is forgotten.
#[derive(Debug)]
pub struct AckIds {
    pub pending: Arc<PendingAcks>,
    timeout: Duration,
    state: Mutex<AwaitedAcks>,
}

#[derive(Debug, Default)]
struct AwaitedAcks {
    last: u64,
    /// By age, the oldest first: clients acknowledge in this order.
    waiting: VecDeque<AwaitedAck>,
}

#[derive(Debug)]
struct AwaitedAck {
    id: u64,
    room: RoomId,
    seq: Seq,
    until: Instant,
    _pending: PendingAck,
}

impl AckIds {
    pub fn new(pending: Arc<PendingAcks>, timeout: Duration) -> Self {
        Self { pending, timeout, state: Mutex::default() }
    }

    /// The next id of this websocket, under which a message is to be acknowledged. `None` if too many are pending.
    pub fn ask(&self, room: RoomId, seq: Seq) -> Option<u64> {
        self.ask_as(room, seq, |last| last + 1)
    }

    /// The same with an id that other websockets have for this message, too. Returns whether to ask.
    pub fn ask_with(&self, id: u64, room: RoomId, seq: Seq) -> bool {
        self.ask_as(room, seq, |_| id).is_some()
    }

    fn ask_as(&self, room: RoomId, seq: Seq, id: impl FnOnce(u64) -> u64) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock();
        while state.waiting.front().is_some_and(|oldest| oldest.until <= now) {
            state.waiting.pop_front();
        }
        let pending = self.pending.ask()?;
        let id = id(state.last);
        state.last = id;
        let until = now + self.timeout;
        state.waiting.push_back(AwaitedAck { id, room, seq, until, _pending: pending });
        Some(id)
    }

    /// The message with this id, if it was not acknowledged before and is still in time.
    pub fn answered(&self, id: u64) -> Option<(RoomId, Seq)> {
        let mut state = self.state.lock();
        let place = state.waiting.iter().position(|waiting| waiting.id == id)?;
        let AwaitedAck { room, seq, until, .. } = state.waiting.remove(place)?;
        if state.waiting.is_empty() && state.waiting.capacity() > KEPT {
            state.waiting = VecDeque::new();
        }
        drop(state);
        self.pending.moved();
        (until > Instant::now()).then_some((room, seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Count;

    fn ids(most: usize, timeout: Duration) -> AckIds {
        AckIds::new(PendingAcks::new(most, Count::default()), timeout)
    }

    #[test]
    fn each_is_acknowledged_once_and_no_more_are_kept_than_allowed() {
        let ids = ids(2, Duration::from_secs(60));
        let room = RoomId::new();
        assert_eq!(ids.ask(room, Seq(1)), Some(1));
        assert_eq!(ids.ask(room, Seq(2)), Some(2));
        assert_eq!(ids.ask(room, Seq(3)), None);
        assert_eq!(ids.answered(2), Some((room, Seq(2))));
        assert_eq!(ids.answered(2), None);
        assert_eq!(ids.answered(99), None);
        assert_eq!(ids.ask(room, Seq(4)), Some(3));
    }

    #[test]
    fn a_message_may_have_the_id_that_it_has_elsewhere() {
        let ids = ids(2, Duration::from_secs(60));
        let room = RoomId::new();
        assert!(ids.ask_with(2_000, room, Seq(1)) && ids.ask_with(1_000, room, Seq(2)));
        assert!(!ids.ask_with(3_000, room, Seq(3)), "too many");
        assert_eq!(ids.answered(1_000), Some((room, Seq(2))));
        assert_eq!(ids.answered(2_000), Some((room, Seq(1))));
    }

    #[test]
    fn one_that_is_late_is_forgotten() {
        let ids = ids(1, Duration::ZERO);
        let room = RoomId::new();
        assert_eq!(ids.ask(room, Seq(1)), Some(1));
        assert_eq!(ids.answered(1), None);
        assert_eq!(ids.ask(room, Seq(2)), Some(2));
        assert_eq!(ids.ask(room, Seq(3)), Some(3));
        assert_eq!(ids.state.lock().waiting.len(), 1);
    }
}
