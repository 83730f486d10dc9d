//! The acknowledgements that a `/chat` socket has promised: waited for in the order in which they were asked
//! for, which is the order in which clients give them, by one task while there are any. One task and one
//! timer for each would cost more than the message.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use socketioxide::{AckError, ack::AckStream};

use crate::{
    chat::{Chat, connection::Connection},
    counts::Counted,
    gateway::native::{Acknowledgement, Pressure},
    shutdown::Shutdown,
};

/// How long those behind an acknowledgement wait for it. It may be one that never comes.
const TURN: Duration = Duration::from_millis(100);

/// See the module.
pub struct Promises {
    most: usize,
    open: AtomicUsize,
    pressure: Pressure,
    queue: Mutex<Queue>,
    chat: Chat,
    shutdown: Shutdown,
}

#[derive(Default)]
struct Queue {
    /// As many as may be unacknowledged.
    waiting: VecDeque<Promise>,
    /// A task waits for them.
    is_awaited: bool,
}

/// One acknowledgement that is waited for.
pub struct Promise {
    pub answer: AckStream<Acknowledgement>,
    /// The message that it is about.
    pub place: (RoomId, Seq),
    pub counted: Counted,
}

impl Promises {
    /// At most `most` are waited for.
    pub fn new(most: usize, chat: Chat, shutdown: Shutdown) -> Self {
        Self {
            most,
            open: AtomicUsize::new(0),
            pressure: Pressure::new(most),
            queue: Mutex::default(),
            chat,
            shutdown,
        }
    }

    /// Whether there is room for one more.
    pub fn may_ask(&self) -> bool {
        self.open.load(Ordering::Relaxed) < self.most
    }

    pub fn are_pressing(&self) -> bool {
        self.pressure.is_felt(self.open.load(Ordering::Relaxed))
    }

    pub fn add(self: &Arc<Self>, connection: &Arc<Connection>, promise: Promise) {
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            self.pressure.moved();
        }
        let mut queue = self.queue.lock();
        queue.waiting.push_back(promise);
        if !std::mem::replace(&mut queue.is_awaited, true) {
            // Weak, so that a client that never answers does not keep its connection.
            let connection = Arc::downgrade(connection);
            self.shutdown.spawn(self.clone().wait(connection));
        }
    }

    async fn wait(self: Arc<Self>, connection: Weak<Connection>) {
        let mut kept = Vec::new();
        while let Some(Promise { answer, place, counted }) = self.next() {
            let _counted = counted;
            let mut answer = pin!(answer);
            if let Poll::Ready(answer) = futures_util::poll!(answer.as_mut()) {
                // What has come in together moves the receipts together.
                self.over(answer, place, &mut kept);
                continue;
            }
            self.acknowledge(&connection, &mut kept);
            let in_time = tokio::time::timeout(TURN, answer.as_mut()).await;
            let is_late = in_time.is_err();
            let answer = match in_time {
                Ok(answer) => answer,
                Err(_) => {
                    self.let_pass(&connection);
                    answer.await
                }
            };
            self.over(answer, place, &mut kept);
            if is_late {
                break;
            }
        }
        self.acknowledge(&connection, &mut kept);
    }

    /// Those behind one that does not come are waited for by themselves, and what is asked for from now on
    /// by another task.
    fn let_pass(self: &Arc<Self>, connection: &Weak<Connection>) {
        let behind = std::mem::take(&mut *self.queue.lock());
        for promise in behind.waiting {
            let (this, connection) = (self.clone(), connection.clone());
            self.shutdown.spawn(async move {
                let mut kept = Vec::new();
                this.over(promise.answer.await, promise.place, &mut kept);
                drop(promise.counted);
                this.acknowledge(&connection, &mut kept);
            });
        }
    }

    fn over(
        &self,
        answer: Result<Acknowledgement, AckError>,
        place: (RoomId, Seq),
        kept: &mut Vec<(RoomId, Seq)>,
    ) {
        let has_arrived = match answer {
            Ok(answer) => answer.says_arrived(),
            // An answer all the same.
            Err(AckError::Decode(_)) => true,
            Err(_) => false,
        };
        if has_arrived {
            self.pressure.moved();
            kept.push(place);
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn acknowledge(&self, connection: &Weak<Connection>, kept: &mut Vec<(RoomId, Seq)>) {
        if let (false, Some(connection)) = (kept.is_empty(), connection.upgrade()) {
            self.chat.acknowledge(&connection, kept);
        }
        kept.clear();
    }

    fn next(&self) -> Option<Promise> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            // With the memory that a burst has taken.
            *queue = Queue::default();
        }
        next
    }
}
