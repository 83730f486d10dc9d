//! The outlet of a native client on a plain WebSocket: sends events as frames.

use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{frame, pending_acks::PlainPendingAcks};
use crate::{
    backlog::Backlog,
    chat::{
        connections::connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event},
    },
    gateway::{
        native::{ReceiptMode, Rendered, render},
        websocket::{close::Goodbye, outgoing::Outgoing},
    },
};

/// An event as a whole frame.
struct PlainFrame(Utf8Bytes);

/// See the module.
pub struct PlainOutlet {
    pub outgoing: Arc<Outgoing>,
    pub pending_acks: Arc<PlainPendingAcks>,
    pub receipts: ReceiptMode,
}

impl PlainOutlet {
    /// The id under which the client is to acknowledge an event, if it is to do so.
    fn asks(&self, event: &Event, rendered: &Rendered) -> Option<u64> {
        match event {
            Event::Message(message) if rendered.is_response && self.receipts == ReceiptMode::Acknowledged => {
                self.pending_acks.ask(message.row.room_id, message.row.seq)
            }
            _ => None,
        }
    }
}

impl Outlet for PlainOutlet {
    fn gateway(&self) -> &'static str {
        "websocket"
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.outgoing.backlog()
    }

    fn is_pressed(&self) -> bool {
        self.receipts == ReceiptMode::Acknowledged && self.pending_acks.is_pressed()
    }

    fn emit(&self, _: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let rendered: &Rendered = envelope.rendered(render);
        let text = match self.asks(&envelope.event, rendered) {
            Some(id) => frame::event_with_id(rendered, id),
            // All clients that are not asked for an acknowledgement get the same bytes.
            None => envelope.rendered(|_| PlainFrame(frame::event(rendered))).0.clone(),
        };
        match self.outgoing.push(text) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ => Ok(()),
        }
    }

    fn end(&self) {
        self.outgoing.end(Goodbye::Ended);
    }

    fn log_out(&self) {
        self.outgoing.end(Goodbye::LoginOver);
    }

    fn cut(&self) {
        self.outgoing.cut();
    }
}
