//! A `/chat` socket's way out: events as Socket.IO packets, and their acknowledgements back.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use socketioxide::{
    SocketIo, TransportType,
    socket::{Sid, Socket},
};

use super::render::{Rendered, render};
use crate::{
    chat::{
        Chat,
        connection::{Connection, Lagging, Outlet},
        event::{Envelope, Event, Form},
    },
    gateway::{line::Line, socketio::Gateway},
    shutdown::Shutdown,
};

use super::super::sessions::Sessions;

/// How long a client that was told goodbye may take to close its connection.
const GOODBYE: Duration = Duration::from_secs(5);

/// How a client says that messages have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipts {
    /// It acknowledges each `response`.
    Acknowledged,
    /// It emits `delivered` when it likes.
    Batched,
}

/// See the module.
pub struct ChatOutlet {
    /// Weak: the socket holds the connection, which holds this.
    socket: Weak<Socket>,
    sid: Sid,
    /// Its websocket, where the session began with one.
    websocket: Option<Line>,
    receipts: Receipts,
    unacknowledged: Arc<AtomicUsize>,
    most_unacknowledged: usize,
    chat: Chat,
    sessions: Sessions,
    io: SocketIo,
    shutdown: Shutdown,
}

/// What a client acknowledges `response` with. Anything else counts as success: that it answered
/// says that the message is there.
#[derive(Deserialize)]
struct Acknowledgement {
    success: Option<bool>,
}

impl ChatOutlet {
    pub fn new(gateway: &Gateway, socket: &Arc<Socket>, websocket: Option<Line>, receipts: Receipts) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            sid: socket.id,
            io: gateway.io.clone(),
            websocket,
            receipts,
            unacknowledged: Arc::default(),
            most_unacknowledged: gateway.settings.unacknowledged,
            chat: gateway.chat.clone(),
            sessions: gateway.sessions.clone(),
            shutdown: gateway.shutdown.clone(),
        }
    }

    /// Emits a message and waits, in a task, for its acknowledgement.
    fn emit_response(
        &self,
        socket: &Socket,
        connection: &Arc<Connection>,
        envelope: &Envelope,
        rendered: &Rendered,
    ) -> Result<(), Lagging> {
        let Event::Message(message) = &envelope.event else { return Err(Lagging) };
        let answer = socket
            .emit_with_ack::<_, serde_json::Value>(rendered.name, &*rendered.payload)
            .map_err(|_| Lagging)?;
        self.unacknowledged.fetch_add(1, Ordering::Relaxed);
        let (chat, unacknowledged) = (self.chat.clone(), self.unacknowledged.clone());
        // Weak, so that a client that never answers does not keep its connection.
        let connection = Arc::downgrade(connection);
        let (room, seq) = (message.row.room_id, message.row.seq);
        self.shutdown.spawn(async move {
            let answer = answer.await;
            unacknowledged.fetch_sub(1, Ordering::Relaxed);
            let arrived = match answer {
                Ok(answer) => serde_json::from_value::<Acknowledgement>(answer)
                    .map_or(true, |answer| answer.success != Some(false)),
                Err(socketioxide::AckError::Decode(_)) => true,
                Err(_) => false,
            };
            if let (true, Some(connection)) = (arrived, connection.upgrade()) {
                chat.acknowledge(&connection, room, seq);
            }
        });
        Ok(())
    }
}

impl Outlet for ChatOutlet {
    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging> {
        let socket = self.socket.upgrade().ok_or(Lagging)?;
        let rendered: &Rendered = envelope.rendered(Form::Native, render).ok_or(Lagging)?;
        // A client that acknowledges nothing is asked no more after a while: it still gets everything,
        // its receipt just does not move.
        let asks = self.receipts == Receipts::Acknowledged
            && self.unacknowledged.load(Ordering::Relaxed) < self.most_unacknowledged;
        if rendered.is_response && asks {
            return self.emit_response(&socket, connection, envelope, rendered);
        }
        match socket.emit(rendered.name, &*rendered.payload) {
            Err(_) if !rendered.is_lossy => Err(Lagging),
            _ => Ok(()),
        }
    }

    fn end(&self) {
        let Some(socket) = self.socket.upgrade() else { return };
        let is_websocket = socket.transport_type() == TransportType::Websocket;
        if socket.disconnect().is_err() {
            self.cut();
            return;
        }
        // The namespace is left, the connection below is the client's to close; one that does not
        // would stay for as long as it answers pings.
        let (sessions, sid, line) = (self.sessions.clone(), self.sid, self.websocket.clone());
        let (shutdown, io) = (self.shutdown.clone(), self.io.clone());
        self.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(GOODBYE) => {}
                () = shutdown.begun() => return,
            }
            // One that has come back on the same connection, with a newer token, stays.
            if io.of("/chat").is_none_or(|namespace| namespace.get_socket(sid).is_none()) {
                sessions.cut(&sid.to_string(), is_websocket, line.as_ref());
            }
        });
    }

    fn cut(&self) {
        let is_websocket =
            self.socket.upgrade().is_some_and(|socket| socket.transport_type() == TransportType::Websocket);
        self.sessions.cut(&self.sid.to_string(), is_websocket, self.websocket.as_ref());
    }
}
