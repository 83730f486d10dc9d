//! The acknowledgements that a `/chat` socket has promised: waited for by one task while there are any. It waits
//! for them in the order in which they were asked for, which is the order in which clients give them; those that
//! are late it keeps aside, and looks at only when they come. A task for each would cost more than the message.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use entity::{RoomId, Seq};
use futures_util::{FutureExt, StreamExt, future::FusedFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use socketioxide::{AckError, ack::AckStream};
use tokio::sync::Notify;

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
    /// Notified when one was asked for.
    asked: Notify,
    chat: Chat,
    shutdown: Shutdown,
}

#[derive(Default)]
struct Queue {
    /// As many as may be unacknowledged.
    waiting: VecDeque<Promise>,
    /// A task waits for them.
    is_awaited: bool,
    /// It has taken all, and waits for late ones.
    is_idle: bool,
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
            asked: Notify::new(),
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
        } else if queue.is_idle {
            self.asked.notify_one();
        }
    }

    async fn wait(self: Arc<Self>, connection: Weak<Connection>) {
        let mut kept = Vec::new();
        while let Some(promise) = self.next(true) {
            let mut answer = pin!(answered(promise));
            if let Poll::Ready((answer, place)) = futures_util::poll!(answer.as_mut()) {
                // What has come in together moves the receipts together.
                self.over(answer, place, &mut kept);
                continue;
            }
            self.acknowledge(&connection, &mut kept);
            match tokio::time::timeout(TURN, answer.as_mut()).await {
                Ok((answer, place)) => self.over(answer, place, &mut kept),
                Err(_) => self.wait_for_late(answer, &connection, &mut kept).await,
            }
        }
        self.acknowledge(&connection, &mut kept);
    }

    /// Waits for one that is late and for those behind it, in whatever order they come, until there are none.
    async fn wait_for_late(
        &self,
        first: Pin<&mut impl Future<Output = Answer>>,
        connection: &Weak<Connection>,
        kept: &mut Vec<(RoomId, Seq)>,
    ) {
        let mut first = first.fuse();
        // As many as may be unacknowledged, at most.
        let mut late = FuturesUnordered::new();
        loop {
            while let Some(promise) = self.next(false) {
                late.push(answered(promise));
            }
            // What has come in together moves the receipts together, here too.
            while let Some(Some((answer, place))) = late.next().now_or_never() {
                self.over(answer, place, kept);
            }
            self.acknowledge(connection, kept);
            if late.is_empty() && first.is_terminated() {
                return;
            }
            let (answer, place) = tokio::select! {
                over = &mut first, if !first.is_terminated() => over,
                Some(over) = late.next() => over,
                () = self.asked.notified() => continue,
            };
            self.over(answer, place, kept);
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

    /// The next one. Where there is none, the task either ends or is notified of the next.
    fn next(&self, ends: bool) -> Option<Promise> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        queue.is_idle = next.is_none();
        if next.is_none() {
            // With the memory that a burst has taken.
            queue.waiting = VecDeque::new();
            queue.is_awaited = !ends;
        }
        next
    }
}

/// What became of an acknowledgement, and the message that it is about.
type Answer = (Result<Acknowledgement, AckError>, (RoomId, Seq));

async fn answered(promise: Promise) -> Answer {
    let Promise { answer, place, counted } = promise;
    let answer = answer.await;
    drop(counted);
    (answer, place)
}
