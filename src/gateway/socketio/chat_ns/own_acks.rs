//! Acknowledgements that go past the library, over a websocket. A message has the same id for all sockets, so they
//! share one packet. The TCP connection takes the acknowledgements out of what it reads, and they move the receipts
//! then and there: no task waits for them.

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use entity::{RoomId, Seq};
use serde_json::Value as Json;

use crate::{
    chat::{Chat, connections::connection::Connection},
    gateway::{
        native::{AckIds, Acknowledgement, PendingAcks},
        socketio::{Gateway, adapter::Encoded, route::Route},
        tcp::{AckFilter, AckSink, TakenAck},
    },
};

/// The ids have ten digits, and fit into 31 bits, because some clients keep them in 32. The library counts its own ids
/// from 1.
const FIRST: u32 = 1_000_000_000;
const NUMBER: u32 = i32::MAX as u32 - FIRST;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A `response` with the id under which it is to be acknowledged.
pub struct AskingEvent {
    pub id: u32,
    pub event: Encoded,
}

impl AskingEvent {
    pub fn new(event: Encoded) -> Self {
        let id = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % NUMBER;
        Self { id, event: event.acknowledged(id) }
    }
}

/// See the module.
pub struct OwnAcks {
    ids: Arc<AckIds>,
    /// Whether the TCP connection takes them out.
    are_taken: AtomicBool,
    /// The most bytes of a packet.
    longest: usize,
    connection: OnceLock<Weak<Connection>>,
    chat: Chat,
}

impl OwnAcks {
    pub fn new(gateway: &Gateway, pending: Arc<PendingAcks>) -> Arc<Self> {
        let limits = &gateway.settings.limits;
        Arc::new(Self {
            ids: AckIds::new(pending, limits.ack_timeout, &gateway.late_acks),
            are_taken: AtomicBool::new(false),
            longest: limits.packet_bytes,
            connection: OnceLock::new(),
            chat: gateway.chat.clone(),
        })
    }

    /// Whether acknowledgements can go this way: the session has a websocket.
    pub fn can_take(self: &Arc<Self>, route: &Route) -> bool {
        if !self.are_taken.load(Ordering::Acquire) {
            let sink: Weak<Self> = Arc::downgrade(self);
            let filter = AckFilter { begin: b"43/chat,", says_arrived, most: self.longest, sink };
            self.are_taken.store(route.take_acks(filter), Ordering::Release);
        }
        self.are_taken.load(Ordering::Acquire)
    }

    /// A message is about to be sent with this id. Returns whether it is to be acknowledged: not if too many are
    /// pending.
    pub fn ask(&self, connection: &Arc<Connection>, id: u32, (room, seq): (RoomId, Seq)) -> bool {
        self.connection.get_or_init(|| Arc::downgrade(connection));
        self.ids.ask_with(id.into(), room, seq)
    }

    /// A message was not sent with this id.
    pub fn forget(&self, id: u32) {
        self.ids.answered(id.into());
    }
}

impl AckSink for OwnAcks {
    fn acknowledged(&self, acks: &[TakenAck]) {
        let Some(connection) = self.connection.get().and_then(Weak::upgrade) else { return };
        let answered = acks.iter().filter_map(|ack| {
            let place = self.ids.answered(ack.id.into());
            place.filter(|_| ack.has_arrived)
        });
        let arrived: Vec<_> = answered.collect();
        if !arrived.is_empty() {
            self.chat.acknowledge(&connection, &arrived);
        }
    }
}

/// Whether the arguments of an acknowledgement say that the message has arrived.
fn says_arrived(arguments: &[u8]) -> bool {
    let first = serde_json::from_slice::<Vec<Json>>(arguments).ok().and_then(|all| all.into_iter().next());
    Acknowledgement::of(first.unwrap_or_default()).says_arrived()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_has_not_arrived() {
        for (arguments, expected) in [
            (r#"[{"success":false}]"#, false),
            (r#"[{"success":false,"receiver":"ada"},1]"#, false),
            (r#"[{"success":true,"more":false}]"#, true),
            ("[]", true),
            ("[false]", true),
            ("[no JSON", true),
        ] {
            assert_eq!(says_arrived(arguments.as_bytes()), expected, "{arguments}");
        }
    }
}
