//! The events of one connection, from when they are read until they are handled: the one place where
//! they are limited and told from each other.
//!
//! They are taken in the order of the wire and handled one after the other; sending a message only
//! queues it, so a connection's messages still share commits.

use std::{collections::VecDeque, future::Future, sync::Arc};

use parking_lot::Mutex;
use tracing::Instrument;

use super::{Ack, Request, Socket};
use crate::{
    error::{Busy, Error, Result},
    limits::EventBudget,
    shutdown::Shutdown,
};

/// What one wire form does with events, and how it refuses them.
pub trait Dialect: Send + Sync + 'static {
    /// Handles one event and answers it, at once or, for a message, when it is stored.
    fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) -> impl Future<Output = ()> + Send;

    fn refuse(&self, ack: Ack, error: &Error);
}

/// An event as it was read.
pub trait Packet: Send + 'static {
    /// Its name and payload; fails where it has none.
    fn request(&self) -> Result<Request<'_>>;

    /// The bytes that it keeps while it waits.
    fn bytes(&self) -> usize;
}

/// How many events a connection may send, and how many may wait.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub events_per_second: u32,
    pub events_burst: u32,
    /// One more than this that waits is refused as `unavailable`.
    pub waiting_events: usize,
    /// And so is one that comes behind others and makes more bytes than this of them.
    pub waiting_bytes: usize,
}

/// An event on its way, and the way to answer it.
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
    queue: Mutex<Queue<P>>,
}

/// Events that wait. While nobody has opened the inbox, or a task works on it, they gather.
struct Queue<P> {
    waiting: VecDeque<Incoming<P>>,
    bytes: usize,
    busy: bool,
}

impl<P: Packet, D: Dialect> Inbox<P, D> {
    /// Holds events back until [`Inbox::open`].
    pub fn new(socket: Socket, dialect: D, shutdown: Shutdown, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            dialect,
            socket,
            shutdown,
            budget: EventBudget::new(pace.events_per_second, pace.events_burst),
            most_waiting: pace.waiting_events,
            most_bytes: pace.waiting_bytes,
            queue: Mutex::new(Queue { waiting: VecDeque::new(), bytes: 0, busy: true }),
        })
    }

    /// The client knows that it is in: what was missed goes out, and events are handled.
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
                return self.dialect.refuse(incoming.ack, &Error::Unavailable(Busy::Inbox));
            }
            queue.bytes = bytes;
            queue.waiting.push_back(incoming);
            !std::mem::replace(&mut queue.busy, true)
        };
        if begin {
            self.work();
        }
    }

    /// What is asked of every event before anybody looks into it.
    fn admit(&self) -> Result<()> {
        if self.shutdown.has_begun() {
            return Err(Error::Unavailable(Busy::Draining));
        }
        self.budget.take()
    }

    /// Handles what waits, in order, in a task that ends when nothing does. Most clients have said nothing
    /// yet when they come in, and need none.
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

    /// Waits while too much waits for the client: what it asks for would wait there, too. The end of the
    /// connection or of the server ends this.
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
        // Asked at the time of the event: the login may have ended since it was read.
        if let Err(over) = self.socket.connection.check_login() {
            return self.dialect.refuse(ack, &over);
        }
        if self.shutdown.has_begun() && self.socket.backlog.is_above_half() {
            return self.dialect.refuse(ack, &Error::Unavailable(Busy::Draining));
        }
        if self.socket.connection.is_cut() {
            return self.dialect.refuse(ack, &Error::Unavailable(Busy::Reconnecting));
        }
        match packet.request() {
            Ok(request) => {
                // Not its name: that is a client's to choose, and clients put anything there.
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
    // Also where the client could not be told that it is in, which nobody hears about.
    fn drop(&mut self) {
        self.leave();
    }
}
