//! The acknowledgements that a `/chat` socket still has to send. One task waits for all of them, and only
//! while there are any. It waits in the order of the requests, which is the order in which clients answer. It
//! sets late acknowledgements aside and checks them only when they arrive. A task for each would cost more
//! than the message.

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
    chat::{Chat, connections::connection::Connection},
    counts::Counted,
    gateway::native::{Acknowledgement, Pressure},
    shutdown::Shutdown,
};

/// How long the task waits for one acknowledgement before it sets it aside. It may never arrive.
const TURN: Duration = Duration::from_millis(100);

/// See the module.
pub struct PendingAcks {
    most: usize,
    open: AtomicUsize,
    pressure: Pressure,
    queue: Mutex<AckQueue>,
    /// Notified when an acknowledgement is requested.
    asked: Notify,
    chat: Chat,
    shutdown: Shutdown,
}

#[derive(Default)]
struct AckQueue {
    /// At most as many as may be unacknowledged.
    waiting: VecDeque<PendingAck>,
    /// Whether a task waits for them.
    is_awaited: bool,
    /// Whether the task has taken all entries and waits for late ones.
    is_idle: bool,
}

/// One acknowledgement that is waited for.
pub struct PendingAck {
    pub answer: AckStream<Acknowledgement>,
    /// The message that it acknowledges.
    pub place: (RoomId, Seq),
    pub counted: Counted,
}

impl PendingAcks {
    /// Creates an empty list that waits for at most `most` acknowledgements.
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

    /// Whether one more acknowledgement may be requested.
    pub fn may_ask(&self) -> bool {
        self.open.load(Ordering::Relaxed) < self.most
    }

    pub fn are_pressing(&self) -> bool {
        self.pressure.is_felt(self.open.load(Ordering::Relaxed))
    }

    pub fn add(self: &Arc<Self>, connection: &Arc<Connection>, promise: PendingAck) {
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
                // Acknowledgements that have arrived together move the receipts together.
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

    /// Waits for a late acknowledgement and for those behind it, in the order of arrival, until none are
    /// left.
    async fn wait_for_late(
        &self,
        first: Pin<&mut impl Future<Output = Answer>>,
        connection: &Weak<Connection>,
        kept: &mut Vec<(RoomId, Seq)>,
    ) {
        let mut first = first.fuse();
        // At most as many as may be unacknowledged.
        let mut late = FuturesUnordered::new();
        loop {
            while let Some(promise) = self.next(false) {
                late.push(answered(promise));
            }
            // Here, too, acknowledgements that have arrived together move the receipts together.
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
            // The client has answered, although not in the expected form.
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

    /// The next one. If there is none, the task ends, or waits for a notification about the next one.
    fn next(&self, ends: bool) -> Option<PendingAck> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        queue.is_idle = next.is_none();
        if next.is_none() {
            // Also frees the memory that a burst has taken.
            queue.waiting = VecDeque::new();
            queue.is_awaited = !ends;
        }
        next
    }
}

/// The result of waiting for an acknowledgement, and the message that it acknowledges.
type Answer = (Result<Acknowledgement, AckError>, (RoomId, Seq));

async fn answered(promise: PendingAck) -> Answer {
    let PendingAck { answer, place, counted } = promise;
    let answer = answer.await;
    drop(counted);
    (answer, place)
}
