//! The one place where a socket's events are decoded, limited, handled and answered.
//!
//! The library would run every handler in a task of its own, so that quick messages of one client
//! overtake each other, and would drop an event whose payload it cannot decode. So this takes events
//! as they are read and handles those of one socket one after the other; sending a message only
//! queues it, so a socket's messages still share commits.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use socketioxide::{
    adapter::LocalAdapter,
    extract::AckSender,
    handler::{FromMessageParts, MessageHandler, Value},
    socket::Socket,
};
use tracing::Instrument;

use super::{Gateway, chat_ns, refusal::Failure};
use crate::{
    auth::Auth,
    chat::{Chat, caller::Caller, connection::Connection},
    error::{Busy, Error, Result, Why},
    limits::EventBudget,
};

/// One socket in `/chat`.
pub struct ChatSocket {
    pub connection: Arc<Connection>,
    pub address: IpAddr,
    gateway: Gateway,
    budget: EventBudget,
    inbox: Mutex<Inbox>,
}

/// Events that wait to be handled. While `held`, or while a task works on it, they gather.
struct Inbox {
    waiting: VecDeque<Incoming>,
    busy: bool,
}

/// An event as it was read, and the way to answer it.
struct Incoming {
    packet: Value,
    ack: Ack,
}

impl ChatSocket {
    /// Holds events back until [`ChatSocket::open`].
    pub fn new(gateway: Gateway, connection: Arc<Connection>, address: IpAddr) -> Arc<Self> {
        let settings = &gateway.settings;
        Arc::new(Self {
            budget: EventBudget::new(settings.events_per_second, settings.events_burst),
            inbox: Mutex::new(Inbox { waiting: VecDeque::new(), busy: true }),
            connection,
            address,
            gateway,
        })
    }

    /// The CONNECT packet is answered: what was missed goes out, and events are handled.
    pub fn open(self: &Arc<Self>) {
        self.gateway.chat.open(&self.connection);
        self.work();
    }

    pub fn leave(&self) {
        self.gateway.chat.disconnect(&self.connection);
    }

    pub fn chat(&self) -> &Chat {
        &self.gateway.chat
    }

    pub fn auth(&self) -> &Auth {
        &self.gateway.auth
    }

    pub fn caller(&self) -> Arc<Caller> {
        self.connection.caller()
    }

    fn receive(self: &Arc<Self>, incoming: Incoming) {
        if let Err(refused) = self.admit() {
            incoming.ack.refuse(&refused);
            return;
        }
        let begin = {
            let mut inbox = self.inbox.lock();
            if inbox.waiting.len() >= self.gateway.settings.waiting_events {
                drop(inbox);
                incoming.ack.refuse(&Error::Unavailable(Busy::Inbox));
                return;
            }
            inbox.waiting.push_back(incoming);
            !std::mem::replace(&mut inbox.busy, true)
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
        let socket = self.clone();
        let span = tracing::info_span!("socket", connection.id = %socket.connection.id, user.id = %socket.connection.user());
        let work = async move {
            while let Some(incoming) = socket.next() {
                socket.handle(incoming).await;
            }
        };
        self.gateway.shutdown.spawn_command(work.instrument(span));
    }

    fn next(&self) -> Option<Incoming> {
        let mut inbox = self.inbox.lock();
        let next = inbox.waiting.pop_front();
        inbox.busy = next.is_some();
        next
    }

    async fn handle(self: &Arc<Self>, incoming: Incoming) {
        let Incoming { packet, ack } = incoming;
        // Asked at the time of the event: the login may have ended since it was read.
        if !self.connection.is_live() {
            ack.refuse(&Error::Unauthenticated(Why::TokenRevoked));
            return;
        }
        if self.connection.is_cut() {
            ack.refuse(&Error::Unavailable(Busy::Reconnecting));
            return;
        }
        match Request::read(&packet) {
            Ok(request) => {
                // Not its name: that is a client's to choose, and clients put anything there.
                tracing::debug!("handling an event");
                metrics::counter!("parlor_events_total").increment(1);
                chat_ns::route(self, request, ack).await;
            }
            Err(err) => ack.refuse(&err),
        }
    }
}

impl Drop for ChatSocket {
    // Also where the CONNECT packet could not be answered, which nobody is told about.
    fn drop(&mut self) {
        self.leave();
    }
}

/// Registered once per socket as its fallback: it hears every event, in the order of the wire.
pub struct Dispatcher {
    socket: Arc<ChatSocket>,
}

impl Dispatcher {
    pub fn new(socket: Arc<ChatSocket>) -> Self {
        Self { socket }
    }
}

impl MessageHandler<LocalAdapter, ()> for Dispatcher {
    fn call(&self, socket: Arc<Socket>, mut packet: Value, ack_id: Option<i64>) {
        let Ok(sender) = AckSender::from_message_parts(&socket, &mut packet, &ack_id);
        let ack = Ack { sender, connection: self.socket.connection.clone() };
        self.socket.receive(Incoming { packet, ack });
    }
}

/// An event's name and its payload, undecoded.
pub struct Request<'a> {
    pub event: &'a str,
    payload: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    fn read(packet: &'a Value) -> Result<Self> {
        let (Value::Str(text, attachments), true) = (packet, true) else {
            return Err(Error::invalid("payload", "must be JSON"));
        };
        if attachments.as_ref().is_some_and(|attachments| !attachments.is_empty()) {
            return Err(Error::invalid("payload", "must be JSON without binary attachments"));
        }
        let parts: Vec<&RawValue> = serde_json::from_str(text.as_str())
            .map_err(|err| Error::invalid("payload", format!("is not JSON: {err}")))?;
        let name = parts.first().map(|name| name.get()).unwrap_or_default();
        // A name with escapes in it is none of ours.
        let event = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or_default();
        Ok(Self { event, payload: parts.get(1).copied() })
    }

    /// The payload; a missing one and `null` count as `{}`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        let json = self.payload.map(RawValue::get).filter(|json| *json != "null").unwrap_or("{}");
        if !json.starts_with('{') {
            return Err(Error::invalid("payload", "must be an object"));
        }
        serde_json::from_str(json).map_err(|err| {
            // Where in the text it was helps nobody: clients send objects, not text.
            let reason = err.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            Error::invalid("payload", reason)
        })
    }
}

/// The answer to one event. A queue too full for it cuts the connection: its client must not wait
/// for an answer that never comes, and asks again when it is back.
pub struct Ack {
    sender: AckSender,
    connection: Arc<Connection>,
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    response: T,
}

impl Ack {
    pub fn succeed<T: Serialize>(self, response: T) {
        self.send(&Success { success: true, response });
    }

    /// A connection that is about to go is not answered: a client that retries takes a refusal as
    /// final, and silence as a reason to send again when it is back.
    pub fn refuse(self, error: &Error) {
        if !matches!(error, Error::Unavailable(Busy::Draining | Busy::Reconnecting)) {
            self.send(&Failure::of(error));
        }
    }

    fn send<T: Serialize>(self, answer: &T) {
        if self.sender.send(answer).is_err() {
            self.connection.cut("its queue is full");
        }
    }
}
