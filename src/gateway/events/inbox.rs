//! The events of one connection, from reading to handling. This is the only place that limits events.
//!
//! Events are taken in the order of the wire and handled one after the other. Sending a message only queues
//! it, so a connection's messages still share commits. Events over the rate wait for their turn: a client
//! sends what was written offline all at once, and does not repeat what is refused.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use entity::Seq;
use parking_lot::Mutex;
use tracing::Instrument;

use super::{Ack, Request, Socket};
use crate::{
    config::LimitsConfig,
    counts::Count,
    error::{Error, Result, Unavailable},
    limits::EventBudget,
    metrics,
    shutdown::Shutdown,
};

/// Handles the events of one wire form, and refuses them.
pub trait EventHandler: Send + Sync + 'static {
    /// Handles one event and answers it: at once, or, for a message, when the message is stored.
    fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) -> impl Future<Output = ()> + Send;

    fn refuse(&self, ack: Ack, error: &Error);

    /// What the client has acknowledged in the room that an event is for, at this moment. `None` if it does
    /// not matter for the event.
    fn acknowledged(&self, _socket: &Socket, _request: &Request<'_>) -> Option<Seq> {
        None
    }
}

/// An event as it was read.
pub trait Packet: Send + 'static {
    /// Its name and payload. Fails if it has none.
    fn request(&self) -> Result<Request<'_>>;

    /// The bytes that it occupies while it waits.
    fn bytes(&self) -> usize;
}

/// How many events a connection may send, and how many may wait.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub events_per_second: u32,
    pub events_burst: u32,
    /// The most events that may wait for the rate. One more is refused as `rate_limited`. The same number may
    /// wait within the rate, if they take long to handle. One more is refused as `unavailable`.
    pub waiting_events: usize,
    /// The most bytes of waiting events. An event that would exceed this is refused in the same way, unless
    /// it is the only one.
    pub waiting_bytes: usize,
    /// The most bytes of waiting events of all connections. The same holds for it.
    pub waiting_bytes_total: usize,
}

impl Pace {
    pub fn of(limits: &LimitsConfig) -> Self {
        Self {
            events_per_second: limits.events_per_second,
            events_burst: limits.events_burst,
            waiting_events: limits.waiting_events,
            waiting_bytes: limits.packet_bytes.saturating_mul(2),
            waiting_bytes_total: limits.waiting_bytes_total,
        }
    }
}

/// A received event and its [`Ack`].
pub struct Incoming<P> {
    pub packet: P,
    pub ack: Ack,
}

/// See the module.
pub struct Inbox<P, D> {
    pub handler: D,
    pub socket: Socket,
    shutdown: Shutdown,
    budget: EventBudget,
    pace: Pace,
    queue: Mutex<EventQueue<P>>,
}

/// A queue that has grown beyond this size frees its memory when it is empty.
const KEPT: usize = 32;

/// Waiting events. They gather until the inbox is opened, and while a task handles them.
struct EventQueue<P> {
    waiting: VecDeque<WaitingEvent<P>>,
    bytes: usize,
    busy: bool,
    /// How many of them have not spent their part of the budget: they are over the rate. They are the last
    /// ones.
    unpaid: usize,
}

struct WaitingEvent<P> {
    incoming: Incoming<P>,
    /// Whether it has spent one event of the budget.
    is_paid: bool,
    /// See [`EventHandler::acknowledged`]: its value when the event was read; by the time it is handled, the client may
    /// have acknowledged more. `None` if the client acknowledges by events, which are handled in turn.
    acknowledged: Option<Seq>,
}

impl<P: Packet, D: EventHandler> Inbox<P, D> {
    /// Creates an inbox that handles no events until [`Inbox::open`].
    pub fn new(socket: Socket, handler: D, shutdown: Shutdown, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            handler,
            socket,
            shutdown,
            budget: EventBudget::new(pace.events_per_second, pace.events_burst),
            pace,
            queue: Mutex::new(EventQueue { waiting: VecDeque::new(), bytes: 0, busy: true, unpaid: 0 }),
        })
    }

    /// The client has received the confirmation of its connection. Now the messages that the connection has
    /// missed are delivered, and events are handled.
    pub fn open(self: &Arc<Self>) {
        self.socket.chat.open(&self.socket.connection);
        self.work();
    }

    pub fn receive(self: &Arc<Self>, incoming: Incoming<P>) {
        if self.shutdown.has_begun() {
            return self.handler.refuse(incoming.ack, &Error::Unavailable(Unavailable::Draining));
        }
        // Acknowledgements before this event on the wire count for it, and those after it do not.
        let are_beside = self.socket.connection.take_acks();
        let bytes = incoming.packet.bytes();
        let is_paid = match self.admit(bytes) {
            Ok(admitted) => admitted,
            Err(refused) => return self.handler.refuse(incoming.ack, &refused),
        };
        let acknowledged = are_beside.then(|| self.acknowledged(&incoming.packet)).flatten();
        let begin = {
            let mut queue = self.queue.lock();
            queue.bytes += bytes;
            self.all_waiting().add(bytes);
            queue.unpaid += usize::from(!is_paid);
            queue.waiting.push_back(WaitingEvent { incoming, is_paid, acknowledged });
            !std::mem::replace(&mut queue.busy, true)
        };
        if begin {
            self.work();
        }
    }

    /// Whether there is room for one more event of this size. Returns whether it is within the rate.
    fn admit(&self, bytes: usize) -> Result<bool> {
        let queue = self.queue.lock();
        // Not while others wait for the rate: events do not overtake each other.
        let is_paid = queue.unpaid == 0 && self.budget.take().is_ok();
        // Those within the rate are not many, and will be handled soon.
        let alike = if is_paid { queue.waiting.len() } else { queue.unpaid };
        let exceeds = queue.bytes + bytes > self.pace.waiting_bytes
            || self.all_waiting().now() + bytes > self.pace.waiting_bytes_total;
        match alike >= self.pace.waiting_events || (exceeds && !queue.waiting.is_empty()) {
            true => Err(self.full(!is_paid)),
            false => Ok(is_paid),
        }
    }

    fn acknowledged(&self, packet: &P) -> Option<Seq> {
        let request = packet.request().ok()?;
        self.handler.acknowledged(&self.socket, &request)
    }

    /// Why one more event is refused. At the rate, half of the events that wait are handled in the time that
    /// it names.
    fn full(&self, is_over_rate: bool) -> Error {
        if !is_over_rate {
            return Error::Unavailable(Unavailable::Inbox);
        }
        let half = self.pace.waiting_events.div_ceil(2);
        let seconds = half as f64 / f64::from(self.pace.events_per_second.max(1));
        Error::rate_limited(Duration::from_secs_f64(seconds))
    }

    /// Handles the waiting events in order, in a task that ends when none wait. Most clients have sent
    /// nothing yet when they connect, and need no task.
    fn work(self: &Arc<Self>) {
        {
            let mut queue = self.queue.lock();
            if queue.waiting.is_empty() {
                queue.busy = false;
                return;
            }
        }
        let inbox = self.clone();
        let connection = &self.socket.connection;
        let span =
            tracing::info_span!("socket", connection.id = %connection.id, user.id = %connection.user());
        let work = async move {
            while let Some(is_paid) = inbox.has_next() {
                if !is_paid {
                    inbox.keeps_pace().await;
                }
                inbox.answers_drain().await;
                if let Some(event) = inbox.next() {
                    inbox.handle(event).await;
                }
            }
        };
        self.shutdown.spawn_command(work.instrument(span));
    }

    /// Waits while too many bytes wait for the client, because the answer would wait there, too. Ends when
    /// the connection ends or the server shuts down.
    async fn answers_drain(&self) {
        if self.socket.backlog.is_above_half() {
            tokio::select! {
                () = self.socket.backlog.below_half() => {}
                () = self.socket.connection.over() => {}
                () = self.shutdown.begun() => {}
            }
        }
    }

    /// Waits until the rate permits one more event. The events of a client that has disconnected meanwhile
    /// wait, too. At the shutdown, which the client did not choose, they are handled at once.
    async fn keeps_pace(&self) {
        while let Err(Error::RateLimited { retry_after }) = self.budget.take() {
            if self.shutdown.begins_within(retry_after).await {
                break;
            }
        }
    }

    /// Whether the next event has spent its part of the budget. Without a next event, the task ends.
    fn has_next(&self) -> Option<bool> {
        let mut queue = self.queue.lock();
        let is_paid = queue.waiting.front().map(|next| next.is_paid);
        queue.busy = is_paid.is_some();
        if !queue.busy && queue.waiting.capacity() > KEPT {
            queue.waiting = VecDeque::new();
        }
        is_paid
    }

    fn next(&self) -> Option<WaitingEvent<P>> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        if let Some(next) = &next {
            let bytes = next.incoming.packet.bytes();
            queue.bytes -= bytes;
            self.all_waiting().remove(bytes);
            queue.unpaid -= usize::from(!next.is_paid);
        }
        next
    }

    async fn handle(&self, event: WaitingEvent<P>) {
        let WaitingEvent { incoming: Incoming { packet, ack }, acknowledged, .. } = event;
        // Checked when the event is handled: the login may have ended after the event was read.
        if let Err(over) = self.socket.connection.check_login() {
            return self.handler.refuse(ack, &over);
        }
        if self.shutdown.has_begun() && self.socket.backlog.is_above_half() {
            return self.handler.refuse(ack, &Error::Unavailable(Unavailable::Draining));
        }
        if self.socket.connection.is_disconnected() {
            return self.handler.refuse(ack, &Error::Unavailable(Unavailable::Reconnecting));
        }
        match packet.request() {
            Ok(request) => {
                let request = request.after(acknowledged);
                // Does not log the event's name: the client chooses it, and it can be anything.
                tracing::debug!("handling an event");
                metrics::EVENTS.one();
                self.handler.handle(&self.socket, request, ack).await;
            }
            Err(err) => self.handler.refuse(ack, &err),
        }
    }
}

impl<P, D> Inbox<P, D> {
    /// The bytes of waiting events of all connections.
    fn all_waiting(&self) -> &Count {
        &self.socket.chat.counts().waiting_bytes
    }

    pub fn leave(&self) {
        self.socket.chat.remove(&self.socket.connection);
    }
}

impl<P, D> Drop for Inbox<P, D> {
    // Also runs if the client never received the confirmation of its connection, which is reported nowhere
    // else.
    fn drop(&mut self) {
        let left = self.queue.get_mut().bytes;
        self.all_waiting().remove(left);
        self.leave();
    }
}
