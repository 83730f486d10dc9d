//! The outlet of a `/chat` socket: sends events as Socket.IO packets and receives their acknowledgements.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use super::{
    PATH,
    pending_acks::{PendingAck, PendingAcks},
};
use crate::{
    backlog::Backlog,
    chat::{
        connections::connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event},
    },
    counts::Count,
    gateway::{
        native::{ReceiptMode, Rendered, render},
        socketio::{
            Gateway,
            adapter::{Encoded, arguments_bytes, packet_bytes},
            socket_handle::SocketHandle,
        },
    },
};

/// See the module.
pub struct ChatOutlet {
    way: SocketHandle,
    receipts: ReceiptMode,
    pending_acks: Arc<PendingAcks>,
    unacknowledged_count: Count,
    /// How many acknowledgements were requested.
    asked: AtomicI64,
}

impl ChatOutlet {
    pub fn new(gateway: &Gateway, way: SocketHandle, receipts: ReceiptMode) -> Self {
        Self {
            way,
            receipts,
            pending_acks: Arc::new(PendingAcks::new(
                gateway.settings.limits.unacknowledged,
                gateway.chat.clone(),
                gateway.shutdown.clone(),
            )),
            unacknowledged_count: gateway.chat.counts().acknowledgements.clone(),
            asked: AtomicI64::new(0),
        }
    }

    /// Whether to request an acknowledgement. A client that acknowledges nothing reaches the limit of open
    /// requests. It still receives everything, but its receipt does not move.
    fn asks(&self) -> bool {
        self.receipts == ReceiptMode::Acknowledged && self.pending_acks.may_ask()
    }

    fn emit_response(
        &self,
        connection: &Arc<Connection>,
        envelope: &Envelope,
        rendered: &Rendered,
    ) -> Result<(), Lagging> {
        let Event::Message(message) = &envelope.event else { return Err(Lagging) };
        let place = (message.row.room_id, message.row.seq);
        let socket = self.way.socket()?;
        // The same number that the library gives it: the library counts the requests of a socket from 1.
        let id = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = packet_bytes(PATH, Some(id), arguments_bytes(rendered.name, &rendered.payload));
        let answer = self.way.counted(bytes, || {
            socket.emit_with_ack(rendered.name, &*rendered.payload).map_err(|_| Lagging)
        })?;
        self.pending_acks
            .add(connection, PendingAck { answer, place, counted: self.unacknowledged_count.one() });
        Ok(())
    }
}

impl Outlet for ChatOutlet {
    fn gateway(&self) -> &'static str {
        "chat"
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.way.backlog()
    }

    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let rendered: &Rendered = envelope.rendered(render);
        if rendered.is_response && self.asks() {
            return self.emit_response(connection, envelope, rendered);
        }
        let encode = |_: &Event| Encoded::event(PATH, rendered.name, &rendered.payload);
        let packet: &Encoded = envelope.rendered(encode);
        match self.way.emit(packet) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ => Ok(()),
        }
    }

    fn is_pressed(&self) -> bool {
        self.receipts == ReceiptMode::Acknowledged && self.pending_acks.are_pressing()
    }

    fn end(&self) {
        self.way.end();
    }

    fn cut(&self) {
        self.way.cut();
    }
}
