//! A `/chat` socket's way out: events as Socket.IO packets, and their acknowledgements back.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use super::{
    PATH,
    promises::{Promise, Promises},
};
use crate::{
    backlog::Backlog,
    chat::{
        connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event, Form},
    },
    counts::Count,
    gateway::{
        native::{Receipts, Rendered, render},
        socketio::{
            Gateway,
            encoded::{Encoded, arguments_bytes, packet_bytes},
            way::Way,
        },
    },
};

/// See the module.
pub struct ChatOutlet {
    way: Way,
    receipts: Receipts,
    promises: Arc<Promises>,
    unanswered: Count,
    /// How many acknowledgements were asked for.
    asked: AtomicI64,
}

impl ChatOutlet {
    pub fn new(gateway: &Gateway, way: Way, receipts: Receipts) -> Self {
        Self {
            way,
            receipts,
            promises: Arc::new(Promises::new(
                gateway.settings.unacknowledged,
                gateway.chat.clone(),
                gateway.shutdown.clone(),
            )),
            unanswered: gateway.chat.counts().acknowledgements.clone(),
            asked: AtomicI64::new(0),
        }
    }

    /// A client that acknowledges nothing is asked no more after a while: it still gets everything, its
    /// receipt just does not move.
    fn asks(&self) -> bool {
        self.receipts == Receipts::Acknowledged && self.promises.may_ask()
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
        // The library's own count of them on this socket, which begins with 1.
        let id = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = packet_bytes(PATH, Some(id), arguments_bytes(rendered.name, &rendered.payload));
        let answer = self.way.counted(bytes, || {
            socket.emit_with_ack(rendered.name, &*rendered.payload).map_err(|_| Lagging)
        })?;
        self.promises.add(connection, Promise { answer, place, counted: self.unanswered.one() });
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
        let rendered: &Rendered = envelope.rendered(Form::Native, render).ok_or(Lagging)?;
        if rendered.is_response && self.asks() {
            return self.emit_response(connection, envelope, rendered);
        }
        let encode = |_: &Event| Encoded::event(PATH, rendered.name, &rendered.payload);
        let packet: &Encoded = envelope.rendered(Form::Packet, encode).ok_or(Lagging)?;
        match self.way.emit(packet) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ => Ok(()),
        }
    }

    fn is_pressed(&self) -> bool {
        self.receipts == Receipts::Acknowledged && self.promises.are_pressing()
    }

    fn end(&self) {
        self.way.end();
    }

    fn cut(&self) {
        self.way.cut();
    }
}
