//! The outlet of a `/chat` socket: sends events as Socket.IO packets and receives their acknowledgements.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use entity::{RoomId, Seq};

use super::{
    PATH,
    ack_task::{AckTask, AskedAck},
    own_acks::{AskingEvent, OwnAcks},
};
use crate::{
    backlog::Backlog,
    chat::{
        connections::connection::{Connection, Emitted, Lagging, Outlet},
        event::{Envelope, Event},
    },
    gateway::{
        native::{PendingAcks, ReceiptMode, Rendered, render},
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
    /// Those that go past the library.
    own_acks: Arc<OwnAcks>,
    /// Those of a session that polls.
    acks: Arc<AckTask>,
    /// How many acknowledgements were requested.
    asked: AtomicI64,
}

impl ChatOutlet {
    pub fn new(gateway: &Gateway, handle: SocketHandle, receipts: ReceiptMode) -> Self {
        let count = gateway.chat.counts().acknowledgements.clone();
        let pending = PendingAcks::new(gateway.settings.limits.unacknowledged, count);
        let own_acks = OwnAcks::new(gateway, pending.clone());
        let acks = Arc::new(AckTask::new(pending, gateway.chat.clone(), gateway.shutdown.clone()));
        Self { handle, receipts, own_acks, acks, asked: AtomicI64::new(0) }
    }

    /// Whether an event should ask for an acknowledgement.
    fn asks(&self, rendered: &Rendered) -> bool {
        rendered.is_response && self.receipts == ReceiptMode::Acknowledged
    }

    /// Emits a `response` that is to be acknowledged. `None` if too many acknowledgements are pending.
    fn emit_response(
        &self,
        connection: &Arc<Connection>,
        envelope: &Envelope,
        rendered: &Rendered,
    ) -> Result<Option<Emitted>, Lagging> {
        let Event::Message(message) = &envelope.event else { return Err(Lagging) };
        let place = (message.row.room_id, message.row.seq);
        if !self.own_acks.can_take(self.handle.route())
            && let Some(emitted) = self.emit_by_library(connection, place, rendered)?
        {
            return Ok(emitted);
        }
        let asking: &AskingEvent = envelope.rendered(|_| AskingEvent::new(event(rendered)));
        if !self.own_acks.ask(connection, asking.id, place) {
            return Ok(None);
        }
        self.handle.emit(&asking.event).inspect_err(|_| self.own_acks.forget(asking.id))?;
        Ok(Some(Emitted::AsUsual))
    }

    /// The same for a session that polls. `None`, and nothing is written, if it does so no more.
    fn emit_by_library(
        &self,
        connection: &Arc<Connection>,
        place: (RoomId, Seq),
        rendered: &Rendered,
    ) -> Result<Option<Option<Emitted>>, Lagging> {
        let Some(pending) = self.acks.pending.ask() else { return Ok(Some(None)) };
        // The same number that the library gives it: the library counts the requests of a socket from 1.
        let id = self.asked.load(Ordering::Relaxed) + 1;
        let bytes = packet_bytes(PATH, Some(id), arguments_bytes(rendered.name, &rendered.payload));
        let answer = self.handle.route().by_library(bytes, |socket| {
            self.asked.fetch_add(1, Ordering::Relaxed);
            socket.emit_with_ack(rendered.name, &*rendered.payload).map_err(|_| Lagging)
        })?;
        let Some(answer) = answer else { return Ok(None) };
        self.acks.add(connection, AskedAck { answer, place, pending });
        Ok(Some(Some(Emitted::AsUsual)))
    }
}

fn event(rendered: &Rendered) -> Encoded {
    Encoded::event(PATH, rendered.name, &rendered.payload)
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
        if asks && let Some(emitted) = self.emit_response(connection, envelope, rendered)? {
            return Ok(emitted);
        }
        match self.handle.emit(envelope.rendered(|_| event(rendered))) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ if asks => Ok(Emitted::Unrequested),
            _ => Ok(Emitted::AsUsual),
        }
    }

    fn flush(&self) {
        self.handle.flush();
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
