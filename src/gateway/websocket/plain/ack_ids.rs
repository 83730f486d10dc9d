//! The ids under which the `response` events of one websocket are to be acknowledged.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::gateway::native::{PendingAck, PendingAcks};

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
    /// By id, and therefore by age.
    waiting: BTreeMap<u64, AwaitedAck>,
}

#[derive(Debug)]
struct AwaitedAck {
    room: RoomId,
    seq: Seq,
    until: Instant,
    _pending: PendingAck,
}

impl AckIds {
    pub fn new(pending: Arc<PendingAcks>, timeout: Duration) -> Self {
        Self { pending, timeout, state: Mutex::default() }
    }

    /// The id under which a message is to be acknowledged. `None` if too many are pending.
    pub fn ask(&self, room: RoomId, seq: Seq) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock();
        while state.waiting.first_key_value().is_some_and(|(_, oldest)| oldest.until <= now) {
            state.waiting.pop_first();
        }
        let pending = self.pending.ask()?;
        state.last += 1;
        let id = state.last;
        state.waiting.insert(id, AwaitedAck { room, seq, until: now + self.timeout, _pending: pending });
        Some(id)
    }

    /// The message with this id, if it was not acknowledged before and is still in time.
    pub fn answered(&self, id: u64) -> Option<(RoomId, Seq)> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let waiting = state.waiting.remove(&id)?;
        self.pending.moved();
        (waiting.until > now).then_some((waiting.room, waiting.seq))
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
