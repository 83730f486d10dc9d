//! One socket of the React rooms app, and the rooms that it has joined. The socket receives only the messages
//! of these rooms.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use entity::RoomId;
use parking_lot::Mutex;

use crate::{
    chat::{Chat, ClientKey},
    gateway::socketio::root::DisconnectReason,
    identity::Caller,
};

pub struct Visit {
    chat: Chat,
    /// `None` for a client that cannot be recognised when it returns.
    client: Option<ClientKey>,
    joined: Mutex<BTreeSet<RoomId>>,
    has_left: AtomicBool,
}

impl Visit {
    /// Begins with the rooms that the same client has joined before.
    pub fn new(chat: Chat, client: Option<ClientKey>, joined: Vec<RoomId>) -> Self {
        let joined = Mutex::new(joined.into_iter().collect());
        Self { chat, client, joined, has_left: AtomicBool::new(false) }
    }

    pub fn has_joined(&self, room: RoomId) -> bool {
        self.joined.lock().contains(&room)
    }

    /// Joins a room, and notes that for the time when the client returns.
    pub async fn join(&self, caller: &Caller, room: RoomId) {
        let is_new = self.joined.lock().insert(room);
        let Some(client) = self.client.filter(|_| is_new) else { return };
        if let Err(err) = self.chat.note_joined(caller, client, room).await {
            // The room is joined anyway, until the connection is lost.
            tracing::warn!(error = ?err, room.id = %room, "could not note a joined room");
        }
        if self.has_left.load(Ordering::SeqCst) {
            self.chat.forget_joined(client);
        }
    }

    /// A client that leaves on purpose does not return to its rooms.
    pub fn end(&self, reason: DisconnectReason) {
        let on_purpose =
            matches!(reason, DisconnectReason::ClientNSDisconnect | DisconnectReason::ServerNSDisconnect);
        if !on_purpose {
            return;
        }
        self.has_left.store(true, Ordering::SeqCst);
        if let Some(client) = self.client
            && !self.joined.lock().is_empty()
        {
            self.chat.forget_joined(client);
        }
    }
}
