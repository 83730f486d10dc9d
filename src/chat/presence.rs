//! Presence: which users are online, and which are typing. A user is online from the first connection until a
//! short time after the last one, so that a page reload does not show as offline.
//!
//! The first presence update is published at once. If many users connect at the same time, the next updates
//! are published together a moment later, so that each receiver is written to once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use entity::{UserId, room};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Chat, Core,
    connections::{
        ConnectionId, broadcast,
        connection::{Connection, Opening},
        hub::Departure,
    },
    event::{Envelope, Event},
    messages::Place,
    model::Presence,
    receipts,
    room::Room,
};
use crate::error::Result;
use crate::identity::Caller;

/// How long updates gather after one was published.
const GATHERING: Duration = Duration::from_millis(50);

/// Updates that are written to a connection without a pause: a queue keeps the memory of its greatest length.
const IN_ONE_GO: usize = 16;

/// Updates that a user is online or offline, in the order in which they happened, until they are published.
#[derive(Default)]
pub(super) struct PresenceUpdates {
    given: Mutex<Vec<PresenceUpdate>>,
    work: Notify,
}

struct PresenceUpdate {
    user: UserId,
    envelope: Envelope,
    /// The rooms that the user is a member of.
    rooms: Vec<Arc<Room>>,
    /// Connections that opened later than this do not receive it.
    at: Opening,
}

impl PresenceUpdate {
    fn of(user: UserId, presence: Presence, rooms: Vec<Arc<Room>>) -> Self {
        Self { user, envelope: Envelope::new(Event::Presence(presence)), rooms, at: Opening::now() }
    }
}

impl PresenceUpdates {
    fn give(&self, update: PresenceUpdate) {
        self.given.lock().push(update);
        self.work.notify_one();
    }
}

impl Chat {
    /// Notifies the others in a place that the caller is typing, or has stopped. Lossy by design.
    ///
    /// Only users who share a room with the caller are notified. In the lobby, which everyone is in, and
    /// between two users who never wrote to each other, nothing happens. That is no error.
    pub async fn typing(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        typing: bool,
    ) -> Result<()> {
        let found = self.core.find_place(caller, connection, &place).await?;
        let Some(room) = found.filter(|room| room.kind != room::Kind::Lobby) else { return Ok(()) };
        let (sender, receiver) = (caller.username.clone(), room.receiver_from(caller.user));
        let update = Envelope::new(Event::Typing { sender, receiver, typing });
        broadcast::notify_all(&room.subscribers(Some(caller.user)), &[update]).await;
        Ok(())
    }
}

impl Core {
    /// A connection has opened: notifies the others if its user was not online before.
    pub(super) fn came_online(&self, connection: &Arc<Connection>) {
        let caller = connection.caller();
        self.hub.announce(caller.user, || {
            let last_seen = self.clock.now();
            let presence = Presence { username: caller.username.clone(), online: true, last_seen };
            let rooms = connection.rooms.lock().clone();
            self.presence_updates.give(PresenceUpdate::of(caller.user, presence, rooms));
        });
    }

    /// The last connection of a user has gone: notifies the others unless the user reconnects in time.
    pub(super) fn went_away(self: &Arc<Self>, departure: Departure, rooms: Vec<Arc<Room>>) {
        let last_seen = self.clock.now();
        let core = self.clone();
        self.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(core.settings.presence.grace) => {}
                // `save_all_seen` takes over.
                () = core.shutdown.begun() => return,
            }
            core.hub.confirm(&departure, || {
                core.receipts.saw(departure.user, last_seen);
                let presence = Presence { username: departure.username.clone(), online: false, last_seen };
                core.presence_updates.give(PresenceUpdate::of(departure.user, presence, rooms));
            });
        });
    }

    /// Publishes to everyone while few users are online, and otherwise to users who share a room.
    async fn notify_presence(&self) {
        let presence_updates = std::mem::take(&mut *self.presence_updates.given.lock());
        if self.hub.online_count() > self.settings.presence.everyone_up_to {
            return self.notify_in_rooms(&presence_updates).await;
        }
        for presence_updates in presence_updates.chunks(IN_ONE_GO) {
            for connection in self.hub.all(None) {
                notify(&connection, presence_updates.iter());
            }
            // The sockets send what was written before more is written.
            tokio::task::yield_now().await;
        }
    }

    /// Publishes by receiver: what is written to a connection together is sent together.
    async fn notify_in_rooms(&self, presence_updates: &[PresenceUpdate]) {
        let mut pending: HashMap<ConnectionId, (Arc<Connection>, Vec<usize>)> = HashMap::new();
        for (at, update) in presence_updates.iter().enumerate() {
            for room in update.rooms.iter().filter(|room| room.id != self.lobby.id) {
                for connection in room.subscribers(Some(update.user)) {
                    let (_, presence_updates) =
                        pending.entry(connection.id).or_insert_with(|| (connection, Vec::new()));
                    // They may share several rooms.
                    if presence_updates.last() != Some(&at) {
                        presence_updates.push(at);
                    }
                }
            }
        }
        while !pending.is_empty() {
            for (connection, pending) in pending.values_mut() {
                let now = pending.drain(..pending.len().min(IN_ONE_GO));
                notify(connection, now.filter_map(|at| presence_updates.get(at)));
            }
            pending.retain(|_, (_, pending)| !pending.is_empty());
            tokio::task::yield_now().await;
        }
    }
}

fn notify<'a>(connection: &Arc<Connection>, presence_updates: impl Iterator<Item = &'a PresenceUpdate>) {
    for update in presence_updates {
        if connection.user() != update.user && connection.opened_by(update.at) {
            connection.notify(&update.envelope);
        }
    }
}

/// Publishes presence updates until the server shuts down.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.presence_updates.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        core.notify_presence().await;
        tokio::time::sleep(GATHERING).await;
    }
}

/// At shutdown: notes that everyone who is online was last seen now.
pub(super) async fn save_all_seen(core: &Arc<Core>) -> Result<()> {
    let now = core.clock.now();
    for user in core.hub.online() {
        core.receipts.saw(user, now);
    }
    receipts::flush(core).await
}
