//! A `/chat` socket's way out: events as Socket.IO packets, and their acknowledgements back.

use std::sync::Arc;

use super::{
    PATH,
    promises::{Promise, Promises},
};
use crate::{
    chat::{
        connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event, Form},
    },
    counts::Count,
    gateway::{
        native::{Receipts, Rendered, render},
        socketio::{Gateway, encoded::Encoded, way::Way},
    },
};

/// See the module.
pub struct ChatOutlet {
    way: Way,
    receipts: Receipts,
    promises: Arc<Promises>,
    unanswered: Count,
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
        let answer = self.way.socket()?.emit_with_ack(rendered.name, &*rendered.payload);
        let answer = answer.map_err(|_| Lagging)?;
        self.promises.add(connection, Promise { answer, place, counted: self.unanswered.one() });
        Ok(())
    }
}

impl Outlet for ChatOutlet {
    fn gateway(&self) -> &'static str {
        "chat"
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
