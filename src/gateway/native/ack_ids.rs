//! The ids under which the `response` events of one websocket are to be acknowledged.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{PendingAck, PendingAcks};
use crate::{shutdown::Shutdown, sweep::WeakList};

/// If more than this wait at a time, their memory is freed when none waits.
const KEPT: usize = 16;

/// How often late ones are forgotten.
const SWEEP: Duration = Duration::from_secs(5);

/// Forgets what is not acknowledged in time, on all websockets. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct LateAcks(Arc<Mutex<WeakList<AckIds>>>);

impl LateAcks {
    /// Forgets late ones until the server shuts down.
    pub fn watch(&self, shutdown: &Shutdown) {
        let (late, begun) = (self.clone(), shutdown.clone());
        shutdown.spawn(async move {
            while !begun.begins_within(SWEEP).await {
                late.forget();
            }
        });
    }

    fn forget(&self) {
        let all: Vec<_> = {
            let mut all = self.0.lock();
            all.sweep();
            all.iter().collect()
        };
        let now = Instant::now();
        all.iter().for_each(|ids| ids.state.lock().forget(now));
    }
}

/// See the module. An event that is not acknowledged in time is forgotten, by [`LateAcks`] and whenever another one is
/// asked for.
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

impl AwaitedAcks {
    fn forget(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|oldest| oldest.until <= now) {
            self.waiting.pop_front();
        }
        self.free();
    }

    fn free(&mut self) {
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT {
            self.waiting = VecDeque::new();
        }
    }
}

impl AckIds {
    pub fn new(pending: Arc<PendingAcks>, timeout: Duration, late: &LateAcks) -> Arc<Self> {
        let ids = Arc::new(Self { pending, timeout, state: Mutex::default() });
        late.0.lock().push(Arc::downgrade(&ids));
        ids
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
        state.forget(now);
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
        state.free();
        drop(state);
        self.pending.moved();
        (until > Instant::now()).then_some((room, seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Count;

    fn ids(most: usize, timeout: Duration) -> Arc<AckIds> {
        AckIds::new(PendingAcks::new(most, Count::default()), timeout, &LateAcks::default())
    }

    #[tokio::test(start_paused = true)]
    async fn late_ones_are_forgotten_though_nothing_more_is_asked_for() {
        let (late, count) = (LateAcks::default(), Count::default());
        let ids = AckIds::new(PendingAcks::new(100, count.clone()), Duration::from_secs(60), &late);
        late.watch(&Shutdown::new());
        for seq in 1..=50 {
            ids.ask(RoomId::new(), Seq(seq));
        }
        assert_eq!(count.now(), 50);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(count.now(), 50);
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!((count.now(), ids.state.lock().waiting.capacity()), (0, 0));
        assert!(!ids.pending.are_pending());
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
