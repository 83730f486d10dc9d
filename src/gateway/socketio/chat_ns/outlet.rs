//! A `/chat` socket's way out: events as Socket.IO packets, and their acknowledgements back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::Value as Json;

use crate::{
    chat::{
        Chat,
        connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event, Form},
    },
    gateway::{
        native::{Receipts, Rendered, acknowledges, render},
        socketio::{Gateway, way::Way},
    },
    shutdown::Shutdown,
};

/// A client that has acknowledged nothing for so long is not waited for: it may never do so.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub struct ChatOutlet {
    way: Way,
    receipts: Receipts,
    promises: Arc<Promises>,
    most_unacknowledged: usize,
    /// As many as may be missed messages on their way, which have to fit as well.
    most_before_pressed: usize,
    chat: Chat,
    shutdown: Shutdown,
}

/// The acknowledgements that are waited for.
struct Promises {
    open: AtomicUsize,
    /// When the last one came, or where none has, when the first was asked for.
    kept_at: Mutex<Instant>,
}

impl Promises {
    fn made(&self) {
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.kept_at.lock() = Instant::now();
        }
    }

    fn over(&self, kept: bool) {
        if kept {
            *self.kept_at.lock() = Instant::now();
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ChatOutlet {
    pub fn new(gateway: &Gateway, way: Way, receipts: Receipts) -> Self {
        Self {
            way,
            receipts,
            promises: Arc::new(Promises { open: AtomicUsize::new(0), kept_at: Mutex::new(Instant::now()) }),
            most_unacknowledged: gateway.settings.unacknowledged,
            most_before_pressed: gateway.settings.unacknowledged - gateway.settings.unacknowledged / 2,
            chat: gateway.chat.clone(),
            shutdown: gateway.shutdown.clone(),
        }
    }

    /// Emits a message and waits, in a task, for its acknowledgement.
    fn emit_response(
        &self,
        connection: &Arc<Connection>,
        envelope: &Envelope,
        rendered: &Rendered,
    ) -> Result<(), Lagging> {
        let Event::Message(message) = &envelope.event else { return Err(Lagging) };
        let answer = self
            .way
            .socket()?
            .emit_with_ack::<_, Json>(rendered.name, &*rendered.payload)
            .map_err(|_| Lagging)?;
        self.promises.made();
        let (chat, promises) = (self.chat.clone(), self.promises.clone());
        let counted = self.chat.counts().acknowledgements.one();
        // Weak, so that a client that never answers does not keep its connection.
        let connection = Arc::downgrade(connection);
        let (room, seq) = (message.row.room_id, message.row.seq);
        self.shutdown.spawn(async move {
            let answer = answer.await;
            drop(counted);
            let arrived = match answer {
                Ok(answer) => acknowledges(answer),
                Err(socketioxide::AckError::Decode(_)) => true,
                Err(_) => false,
            };
            promises.over(arrived);
            if let (true, Some(connection)) = (arrived, connection.upgrade()) {
                chat.acknowledge(&connection, room, seq);
            }
        });
        Ok(())
    }
}

impl Outlet for ChatOutlet {
    fn gateway(&self) -> &'static str {
        "chat"
    }

    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let rendered: &Rendered = envelope.rendered(Form::Native, render).ok_or(Lagging)?;
        // A client that acknowledges nothing is asked no more after a while: it still gets everything,
        // its receipt just does not move.
        let asks = self.receipts == Receipts::Acknowledged
            && self.promises.open.load(Ordering::Relaxed) < self.most_unacknowledged;
        if rendered.is_response && asks {
            return self.emit_response(connection, envelope, rendered);
        }
        match self.way.emit(rendered.name, &*rendered.payload) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ => Ok(()),
        }
    }

    /// Up to here messages go out as they are published; then they come from the database, page by page
    /// and as the client keeps up, so that each of them is acknowledged.
    fn is_pressed(&self) -> bool {
        self.receipts == Receipts::Acknowledged
            && self.promises.open.load(Ordering::Relaxed) >= self.most_before_pressed
            && self.promises.kept_at.lock().elapsed() < PATIENCE
    }

    fn end(&self) {
        self.way.end();
    }

    fn cut(&self) {
        self.way.cut();
    }
}
