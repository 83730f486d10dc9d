//! Waits for the acknowledgements of a `/chat` socket. One task waits for all of them, and only while there are
//! any. It waits in the order of the requests, which is the order in which clients answer. It
//! sets late acknowledgements aside and checks them only when they arrive. A task for each would cost more
//! than the message.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use entity::{RoomId, Seq};
use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use socketioxide::{AckError, ack::AckStream};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::ReusableBoxFuture;

use crate::{
    chat::{Chat, connections::connection::Connection},
    gateway::native::{Acknowledgement, PendingAck, PendingAcks},
    shutdown::Shutdown,
};

/// How long the task waits for one acknowledgement before it sets it aside. It may never arrive.
const TURN: Duration = Duration::from_millis(100);

/// How long the task waits when only late ones are left, which wake it when they arrive.
const IDLE: Duration = Duration::from_secs(3_600);

/// See the module.
pub struct AckTask {
    pub pending: Arc<PendingAcks>,
    queue: Mutex<AckQueue>,
    /// Acknowledgements that were taken from the queue and are being passed on. It stays locked until they are
    /// passed on, so that an event that follows an acknowledgement is never handled before it.
    arrived: Mutex<Vec<(RoomId, Seq)>>,
    /// Notified when the task has to look at the queue again.
    changed: Notify,
    chat: Chat,
    shutdown: Shutdown,
}

/// All of them together are at most as many as may be unacknowledged.
#[derive(Default)]
struct AckQueue {
    /// The one that is waited for, and since when.
    first: Option<(ReusableBoxFuture<'static, AckResult>, Instant)>,
    /// Those behind it. They were not polled yet.
    waiting: VecDeque<AskedAck>,
    late: FuturesUnordered<ReusableBoxFuture<'static, AckResult>>,
    /// Whether a task waits for them.
    is_awaited: bool,
}

/// One acknowledgement that was requested.
pub struct AskedAck {
    pub answer: AckStream<Acknowledgement>,
    /// The message that it acknowledges.
    pub place: (RoomId, Seq),
    pub pending: PendingAck,
}

impl AckQueue {
    /// The next acknowledgement that has arrived, or that will not arrive.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<AckResult> {
        if let Poll::Ready(Some(answer)) = self.late.poll_next_unpin(cx) {
            return Poll::Ready(answer);
        }
        let (first, since) = match &mut self.first {
            Some(first) => first,
            None => {
                let Some(next) = self.waiting.pop_front() else { return Poll::Pending };
                self.first.insert((ReusableBoxFuture::new(answered(next)), Instant::now()))
            }
        };
        let Poll::Ready(answer) = first.poll(cx) else { return Poll::Pending };
        match self.waiting.pop_front() {
            // In the same memory.
            Some(next) => {
                first.set(answered(next));
                *since = Instant::now();
            }
            None => self.first = None,
        }
        Poll::Ready(answer)
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.waiting.is_empty() && self.late.is_empty()
    }
}

impl AckTask {
    /// Waits for nothing yet.
    pub fn new(pending: Arc<PendingAcks>, chat: Chat, shutdown: Shutdown) -> Self {
        Self {
            pending,
            queue: Mutex::default(),
            arrived: Mutex::default(),
            changed: Notify::new(),
            chat,
            shutdown,
        }
    }

    pub fn add(self: &Arc<Self>, connection: &Arc<Connection>, ack: AskedAck) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(ack);
        if !std::mem::replace(&mut queue.is_awaited, true) {
            // Weak, so that a client that never answers does not keep its connection.
            let connection = Arc::downgrade(connection);
            self.shutdown.spawn(self.clone().wait(connection));
        } else if queue.first.is_none() {
            self.changed.notify_one();
        }
    }

    /// Passes on what has arrived, without waiting for the task to do so.
    pub fn take(&self, connection: &Arc<Connection>) {
        let has_some = self.pass_on(Some(connection), &mut Context::from_waker(Waker::noop()));
        if has_some || self.pending.are_pending() {
            // Those that are left would wake this call and not the task; and without any, the task ends.
            self.changed.notify_one();
        }
    }

    /// Passes on what has arrived: acknowledgements that have arrived together move the receipts together.
    /// Returns whether any was taken from the queue. `None` for a connection that is gone.
    fn pass_on(&self, connection: Option<&Arc<Connection>>, cx: &mut Context<'_>) -> bool {
        let mut arrived = self.arrived.lock();
        let mut is_over = false;
        while let Poll::Ready(answer) = self.poll_next(cx) {
            self.over(answer, &mut arrived);
            is_over = true;
        }
        if let (false, Some(connection)) = (arrived.is_empty(), connection) {
            self.chat.acknowledge(connection, &arrived);
        }
        arrived.clear();
        is_over
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<AckResult> {
        self.queue.lock().poll_next(cx)
    }

    async fn wait(self: Arc<Self>, connection: Weak<Connection>) {
        while let Some(turn) = self.turn() {
            let arrived = poll_fn(|cx| match self.pass_on(connection.upgrade().as_ref(), cx) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            tokio::select! {
                biased;
                () = arrived => {}
                () = self.changed.notified() => {}
                () = sleep_until(turn) => self.set_aside(),
            }
        }
    }

    /// Until when the task waits for the first one. `None` ends the task: nothing is left to wait for.
    fn turn(&self) -> Option<Instant> {
        let mut queue = self.queue.lock();
        if queue.is_empty() {
            // Also frees the memory that a burst has taken.
            *queue = AckQueue::default();
            return None;
        }
        let since = queue.first.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        Some(since + if queue.first.is_some() || !queue.waiting.is_empty() { TURN } else { IDLE })
    }

    /// The first one is late.
    fn set_aside(&self) {
        let mut queue = self.queue.lock();
        if queue.first.as_ref().is_some_and(|(_, since)| since.elapsed() >= TURN)
            && let Some((first, _)) = queue.first.take()
        {
            queue.late.push(first);
        }
    }

    fn over(&self, (answer, place): AckResult, kept: &mut Vec<(RoomId, Seq)>) {
        let has_arrived = match answer {
            Ok(answer) => answer.says_arrived(),
            // The client has answered, although not in the expected form.
            Err(AckError::Decode(_)) => true,
            Err(_) => false,
        };
        if has_arrived {
            self.pending.moved();
            kept.push(place);
        }
    }
}

/// The result of waiting for an acknowledgement, and the message that it acknowledges.
type AckResult = (Result<Acknowledgement, AckError>, (RoomId, Seq));

async fn answered(ack: AskedAck) -> AckResult {
    let AskedAck { answer, place, pending } = ack;
    let answer = answer.await;
    drop(pending);
    (answer, place)
}
