//! The outlet of a `/chat` socket: sends events as Socket.IO packets and receives their acknowledgements.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    PATH,
    ack_task::{AckTask, AskedAck},
};
use crate::{
    backlog::Backlog,
    chat::{
        connections::connection::{Connection, Emitted, Lagging, Outlet},
        event::{Envelope, Event},
    },
    gateway::{
        native::{PendingAck, PendingAcks, ReceiptMode, Rendered, render},
        socketio::{
            Gateway,
            adapter::{Encoded, arguments_bytes, packet_bytes},
            socket_handle::SocketHandle,
        },
    },
};

/// See the module.
pub struct ChatOutlet {
    handle: SocketHandle,
    receipts: ReceiptMode,
    acks: Arc<AckTask>,
    /// How many acknowledgements were requested.
    asked: AtomicI64,
}

impl ChatOutlet {
    pub fn new(gateway: &Gateway, handle: SocketHandle, receipts: ReceiptMode) -> Self {
        let count = gateway.chat.counts().acknowledgements.clone();
        let pending = PendingAcks::new(gateway.settings.limits.unacknowledged, count);
        let acks = Arc::new(AckTask::new(pending, gateway.chat.clone(), gateway.shutdown.clone()));
        Self { handle, receipts, acks, asked: AtomicI64::new(0) }
    }

    /// Whether an event should ask for an acknowledgement.
    fn asks(&self, rendered: &Rendered) -> bool {
        rendered.is_response && self.receipts == ReceiptMode::Acknowledged
    }

    fn emit_response(
        &self,
        connection: &Arc<Connection>,
        envelope: &Envelope,
        rendered: &Rendered,
        pending: PendingAck,
    ) -> Result<Emitted, Lagging> {
        let Event::Message(message) = &envelope.event else { return Err(Lagging) };
        let place = (message.row.room_id, message.row.seq);
        let socket = self.handle.socket()?;
        // The same number that the library gives it: the library counts the requests of a socket from 1.
        let id = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = packet_bytes(PATH, Some(id), arguments_bytes(rendered.name, &rendered.payload));
        let answer = self.handle.counted(bytes, || {
            socket.emit_with_ack(rendered.name, &*rendered.payload).map_err(|_| Lagging)
        })?;
        self.acks.add(connection, AskedAck { answer, place, pending });
        Ok(Emitted::AsUsual)
    }
}

impl Outlet for ChatOutlet {
    fn gateway(&self) -> &'static str {
        "chat"
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.handle.backlog()
    }

    fn silence(&self) -> Option<Duration> {
        self.handle.silence()
    }

    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<Emitted, Lagging> {
        let rendered: &Rendered = envelope.rendered(render);
        let asks = self.asks(rendered);
        if let Some(pending) = asks.then(|| self.acks.pending.ask()).flatten() {
            return self.emit_response(connection, envelope, rendered, pending);
        }
        let encode = |_: &Event| Encoded::event(PATH, rendered.name, &rendered.payload);
        let packet: &Encoded = envelope.rendered(encode);
        match self.handle.emit(packet) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ if asks => Ok(Emitted::Unrequested),
            _ => Ok(Emitted::AsUsual),
        }
    }

    fn is_pressed(&self) -> bool {
        self.receipts == ReceiptMode::Acknowledged && self.acks.pending.are_pressing()
    }

    fn follows_rooms(&self) -> bool {
        true
    }

    fn take_acks(&self, connection: &Arc<Connection>) -> bool {
        let are_beside = self.receipts == ReceiptMode::Acknowledged;
        if are_beside {
            self.acks.take(connection);
        }
        are_beside
    }

    fn end(&self) {
        self.handle.end();
    }

    fn disconnect(&self) {
        self.handle.disconnect();
    }
}
