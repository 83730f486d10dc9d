//! The one place where a socket's events are decoded, limited, handled and answered.
//!
//! The library would run every handler in a task of its own, so that quick messages of one client
//! overtake each other, and would drop an event whose payload it cannot decode. So this takes events
//! as they are read and handles those of one socket one after the other; sending a message only
//! queues it, so a socket's messages still share commits.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use socketioxide::{
    adapter::LocalAdapter,
    extract::AckSender,
    handler::{FromMessageParts, MessageHandler, Value},
    socket::Socket,
};
use tracing::Instrument;

use super::{
    Gateway,
    call::{Ack, ChatSocket, Request},
    chat_ns,
};
use crate::{
    chat::connection::Connection,
    error::{Busy, Error, Result, Why},
    limits::EventBudget,
};

/// The events of one socket, from when they are read until they are handled.
pub struct Inbox {
    socket: ChatSocket,
    gateway: Gateway,
    budget: EventBudget,
    queue: Mutex<Queue>,
}

/// Events that wait. While nobody has opened the inbox, or a task works on it, they gather.
struct Queue {
    waiting: VecDeque<Incoming>,
    busy: bool,
}

/// An event as it was read, and the way to answer it.
struct Incoming {
    packet: Value,
    ack: Ack,
}

impl Inbox {
    /// Holds events back until [`Inbox::open`].
    pub fn new(gateway: Gateway, connection: Arc<Connection>, address: IpAddr) -> Arc<Self> {
        let settings = &gateway.settings;
        let (chat, auth) = (gateway.chat.clone(), gateway.auth.clone());
        Arc::new(Self {
            budget: EventBudget::new(settings.events_per_second, settings.events_burst),
            queue: Mutex::new(Queue { waiting: VecDeque::new(), busy: true }),
            socket: ChatSocket { connection, address, chat, auth },
            gateway,
        })
    }

    /// The CONNECT packet is answered: what was missed goes out, and events are handled.
    pub fn open(self: &Arc<Self>) {
        self.socket.chat.open(&self.socket.connection);
        self.work();
    }

    pub fn leave(&self) {
        self.socket.chat.disconnect(&self.socket.connection);
    }

    fn receive(self: &Arc<Self>, incoming: Incoming) {
        if let Err(refused) = self.admit() {
            incoming.ack.refuse(&refused);
            return;
        }
        let begin = {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= self.gateway.settings.waiting_events {
                drop(queue);
                incoming.ack.refuse(&Error::Unavailable(Busy::Inbox));
                return;
            }
            queue.waiting.push_back(incoming);
            !std::mem::replace(&mut queue.busy, true)
        };
        if begin {
            self.work();
        }
    }

    /// What is asked of every event before anybody looks into it.
    fn admit(&self) -> Result<()> {
        if self.gateway.shutdown.has_begun() {
            return Err(Error::Unavailable(Busy::Draining));
        }
        self.budget.take()
    }

    /// Handles what waits, in order, in a task that ends when nothing does.
    fn work(self: &Arc<Self>) {
        let inbox = self.clone();
        let connection = &self.socket.connection;
        let span =
            tracing::info_span!("socket", connection.id = %connection.id, user.id = %connection.user());
        let work = async move {
            while let Some(incoming) = inbox.next() {
                inbox.handle(incoming).await;
            }
        };
        self.gateway.shutdown.spawn_command(work.instrument(span));
    }

    fn next(&self) -> Option<Incoming> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        queue.busy = next.is_some();
        next
    }

    async fn handle(&self, incoming: Incoming) {
        let Incoming { packet, ack } = incoming;
        // Asked at the time of the event: the login may have ended since it was read.
        if !self.socket.connection.is_live() {
            ack.refuse(&Error::Unauthenticated(Why::TokenRevoked));
            return;
        }
        if self.socket.connection.is_cut() {
            ack.refuse(&Error::Unavailable(Busy::Reconnecting));
            return;
        }
        match Request::read(&packet) {
            Ok(request) => {
                // Not its name: that is a client's to choose, and clients put anything there.
                tracing::debug!("handling an event");
                metrics::counter!("parlor_events_total").increment(1);
                chat_ns::route(&self.socket, request, ack).await;
            }
            Err(err) => ack.refuse(&err),
        }
    }
}

impl Drop for Inbox {
    // Also where the CONNECT packet could not be answered, which nobody is told about.
    fn drop(&mut self) {
        self.leave();
    }
}

/// Registered once per socket as its fallback: it hears every event, in the order of the wire.
pub struct Dispatcher {
    inbox: Arc<Inbox>,
}

impl Dispatcher {
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox }
    }
}

impl MessageHandler<LocalAdapter, ()> for Dispatcher {
    fn call(&self, socket: Arc<Socket>, mut packet: Value, ack_id: Option<i64>) {
        let Ok(sender) = AckSender::from_message_parts(&socket, &mut packet, &ack_id);
        let ack = Ack::new(sender, self.inbox.socket.connection.clone());
        self.inbox.receive(Incoming { packet, ack });
    }
}
