//! The events of one connection, from reading to handling. This is the only place that limits events.
//!
//! Events are taken in the order of the wire and handled one after the other. Sending a message only queues
//! it, so a connection's messages still share commits.

use std::{collections::VecDeque, future::Future, sync::Arc};

use parking_lot::Mutex;
use tracing::Instrument;

use super::{Ack, Request, Socket};
use crate::{
    config::LimitsConfig,
    error::{Error, Result, Unavailable},
    limits::EventBudget,
    shutdown::Shutdown,
};

/// How one wire form handles events, and how it refuses them.
pub trait Dialect: Send + Sync + 'static {
    /// Handles one event and answers it: at once, or, for a message, when the message is stored.
    fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) -> impl Future<Output = ()> + Send;

    fn refuse(&self, ack: Ack, error: &Error);
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
    /// The most events that may wait. One more is refused as `unavailable`.
    pub waiting_events: usize,
    /// The most bytes of waiting events. An event that would exceed this is refused as `unavailable`, unless
    /// it is the only one.
    pub waiting_bytes: usize,
}

impl Pace {
    pub fn of(limits: &LimitsConfig) -> Self {
        Self {
            events_per_second: limits.events_per_second,
            events_burst: limits.events_burst,
            waiting_events: limits.waiting_events,
            waiting_bytes: limits.packet_bytes.saturating_mul(2),
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
    pub dialect: D,
    pub socket: Socket,
    shutdown: Shutdown,
    budget: EventBudget,
    most_waiting: usize,
    most_bytes: usize,
    queue: Mutex<EventQueue<P>>,
}

/// Waiting events. They gather until the inbox is opened, and while a task handles them.
struct EventQueue<P> {
    waiting: VecDeque<Incoming<P>>,
    bytes: usize,
    busy: bool,
}

impl<P: Packet, D: Dialect> Inbox<P, D> {
    /// Creates an inbox that handles no events until [`Inbox::open`].
    pub fn new(socket: Socket, dialect: D, shutdown: Shutdown, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            dialect,
            socket,
            shutdown,
            budget: EventBudget::new(pace.events_per_second, pace.events_burst),
            most_waiting: pace.waiting_events,
            most_bytes: pace.waiting_bytes,
            queue: Mutex::new(EventQueue { waiting: VecDeque::new(), bytes: 0, busy: true }),
        })
    }

    /// The client has received the confirmation of its connection. Now the messages that the connection has
    /// missed are delivered, and events are handled.
    pub fn open(self: &Arc<Self>) {
        self.socket.chat.open(&self.socket.connection);
        self.work();
    }

    pub fn receive(self: &Arc<Self>, incoming: Incoming<P>) {
        if let Err(refused) = self.admit() {
            return self.dialect.refuse(incoming.ack, &refused);
        }
        let begin = {
            let mut queue = self.queue.lock();
            let bytes = queue.bytes + incoming.packet.bytes();
            let is_full = queue.waiting.len() >= self.most_waiting
                || (bytes > self.most_bytes && !queue.waiting.is_empty());
            if is_full {
                drop(queue);
                return self.dialect.refuse(incoming.ack, &Error::Unavailable(Unavailable::Inbox));
            }
            queue.bytes = bytes;
            queue.waiting.push_back(incoming);
            !std::mem::replace(&mut queue.busy, true)
        };
        if begin {
            self.work();
        }
    }

    /// The checks for every event, before its content is read.
    fn admit(&self) -> Result<()> {
        if self.shutdown.has_begun() {
            return Err(Error::Unavailable(Unavailable::Draining));
        }
        self.budget.take()
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
            while let Some(incoming) = inbox.next() {
                inbox.has_room().await;
                inbox.handle(incoming).await;
            }
        };
        self.shutdown.spawn_command(work.instrument(span));
    }

    /// Waits while too many bytes wait for the client, because the answer would wait there, too. Ends when
    /// the connection ends or the server shuts down.
    async fn has_room(&self) {
        if self.socket.backlog.is_above_half() {
            tokio::select! {
                () = self.socket.backlog.below_half() => {}
                () = self.socket.connection.over() => {}
                () = self.shutdown.begun() => {}
            }
        }
    }

    fn next(&self) -> Option<Incoming<P>> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        queue.bytes -= next.as_ref().map_or(0, |incoming| incoming.packet.bytes());
        queue.busy = next.is_some();
        next
    }

    async fn handle(&self, incoming: Incoming<P>) {
        let Incoming { packet, ack } = incoming;
        // Checked when the event is handled: the login may have ended after the event was read.
        if let Err(over) = self.socket.connection.check_login() {
            return self.dialect.refuse(ack, &over);
        }
        if self.shutdown.has_begun() && self.socket.backlog.is_above_half() {
            return self.dialect.refuse(ack, &Error::Unavailable(Unavailable::Draining));
        }
        if self.socket.connection.is_cut() {
            return self.dialect.refuse(ack, &Error::Unavailable(Unavailable::Reconnecting));
        }
        match packet.request() {
            Ok(request) => {
                // Does not log the event's name: the client chooses it, and it can be anything.
                tracing::debug!("handling an event");
                metrics::counter!("parlor_events_total").increment(1);
                self.dialect.handle(&self.socket, request, ack).await;
            }
            Err(err) => self.dialect.refuse(ack, &err),
        }
    }
}

impl<P, D> Inbox<P, D> {
    pub fn leave(&self) {
        self.socket.chat.disconnect(&self.socket.connection);
    }
}

impl<P, D> Drop for Inbox<P, D> {
    // Also runs if the client never received the confirmation of its connection, which is reported nowhere
    // else.
    fn drop(&mut self) {
        self.leave();
    }
}
