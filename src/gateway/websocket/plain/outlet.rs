//! The outlet of a native client on a plain WebSocket: sends events as frames.

use std::{sync::Arc, time::Duration};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::frame;
use crate::{
    backlog::Backlog,
    chat::{
        connections::connection::{Connection, Emitted, Lagging, Outlet},
        event::{Envelope, Event},
        model::Message,
    },
    gateway::{
        native::{AckIds, ReceiptMode, Rendered, render},
        websocket::{close::Goodbye, outgoing::Outgoing},
    },
};

/// An event as a whole frame.
struct PlainFrame(Utf8Bytes);

/// See the module.
pub struct PlainOutlet {
    pub outgoing: Arc<Outgoing>,
    pub ack_ids: Arc<AckIds>,
    pub receipts: ReceiptMode,
}

impl PlainOutlet {
    /// The message whose acknowledgement an event should ask for.
    fn asks<'a>(&self, event: &'a Event, rendered: &Rendered) -> Option<&'a Message> {
        match event {
            Event::Message(message) if rendered.is_response && self.receipts == ReceiptMode::Acknowledged => {
                Some(message)
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
        self.receipts == ReceiptMode::Acknowledged && self.ack_ids.pending.are_pressing()
    }

    fn silence(&self) -> Option<Duration> {
        self.outgoing.silence()
    }

    fn emit(&self, _: &Arc<Connection>, envelope: &Envelope) -> Result<Emitted, Lagging> {
        let rendered: &Rendered = envelope.rendered(render);
        let asks = self.asks(&envelope.event, rendered);
        let id = asks.and_then(|message| self.ack_ids.ask(message.row.room_id, message.row.seq));
        let text = match id {
            Some(id) => frame::event_with_id(rendered, id),
            // All clients that are not asked for an acknowledgement get the same bytes.
            None => envelope.rendered(|_| PlainFrame(frame::event(rendered))).0.clone(),
        };
        match self.outgoing.push(text) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ if asks.is_some() && id.is_none() => Ok(Emitted::Unrequested),
            _ => Ok(Emitted::AsUsual),
        }
    }

    fn follows_rooms(&self) -> bool {
        true
    }

    fn take_acks(&self, _: &Arc<Connection>) -> bool {
        // They are passed on as they are read.
        self.receipts == ReceiptMode::Acknowledged
    }

    fn end(&self) {
        self.outgoing.end(Goodbye::Ended);
    }

    fn log_out(&self) {
        self.outgoing.end(Goodbye::LoginOver);
    }

    fn disconnect(&self) {
        self.outgoing.abort();
    }
}
