//! The way out to a native client on a plain WebSocket: events as frames.

use std::sync::Arc;

use super::{frame, unanswered::Unanswered};
use crate::{
    backlog::Backlog,
    chat::{
        connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event, Form},
    },
    gateway::{
        native::{Receipts, Rendered, render},
        websocket::{close::Goodbye, outgoing::Outgoing},
    },
};

/// See the module.
pub struct PlainOutlet {
    pub outgoing: Arc<Outgoing>,
    pub unanswered: Arc<Unanswered>,
    pub receipts: Receipts,
}

impl PlainOutlet {
    /// The id under which an event is to be acknowledged, if it is.
    fn asks(&self, event: &Event, rendered: &Rendered) -> Option<u64> {
        match event {
            Event::Message(message) if rendered.is_response && self.receipts == Receipts::Acknowledged => {
                self.unanswered.ask(message.row.room_id, message.row.seq)
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
        self.receipts == Receipts::Acknowledged && self.unanswered.is_pressed()
    }

    fn emit(&self, _: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let rendered: &Rendered = envelope.rendered(Form::Native, render).ok_or(Lagging)?;
        let text = match self.asks(&envelope.event, rendered) {
            Some(id) => frame::event_with_id(rendered, id),
            // The same bytes for all who are not asked.
            None => envelope.rendered(Form::Frame, |_| frame::event(rendered)).ok_or(Lagging)?.clone(),
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
