//! `synced`: tells a device that replays changes what it has now. The event comes when the device has caught up, once
//! for all rooms, and later for each room in which the device had to catch up again. That a room has to be read again
//! is told by its catch-up, before anything later in that room.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::chat::{
    Core,
    connections::{
        connection::{ConnectOptions, Connection},
        publish::Audience,
    },
    event::Event,
    model::SyncedRoom,
    room::{Room, Settled},
};

/// What is kept for the connection of such a device.
#[derive(Default)]
pub(in crate::chat) struct DeviceSync {
    /// The oldest message that the device holds, of rooms where it says so.
    oldest_held: Mutex<HashMap<RoomId, Seq>>,
    /// Rooms of which the device has messages, and in which it does not hear: its user is not a member.
    not_heard: Mutex<HashSet<RoomId>>,
    /// Whether it was told what it has of all rooms.
    has_begun: AtomicBool,
    /// Notified when the subscription to a room is live, or has ended.
    settled: Notify,
}

impl DeviceSync {
    /// Of a client that passes these options.
    pub fn new(options: &ConnectOptions) -> Self {
        let since = options.since.iter().flatten().map(|(room, _)| *room);
        let changes = options.changes.iter().flatten().map(|(room, _)| *room);
        Self { not_heard: Mutex::new(since.chain(changes).collect()), ..Self::default() }
    }

    pub fn hold_from(&self, room: RoomId, oldest: Seq) {
        self.oldest_held.lock().insert(room, oldest);
    }

    pub fn oldest_held(&self, room: RoomId) -> Seq {
        self.oldest_held.lock().get(&room).copied().unwrap_or_default()
    }

    /// Notes that the device hears a room. Returns whether it has messages of the time before, and may have missed
    /// changes of them.
    pub fn hears(&self, room: RoomId) -> bool {
        self.not_heard.lock().remove(&room)
    }

    /// The subscription of the connection to a room has ended.
    pub fn ended(&self, room: RoomId) {
        self.not_heard.lock().insert(room);
        self.settled.notify_waiters();
    }

    /// What to tell of a room; `None` if the connection is not live in it.
    fn of(&self, connection: &Connection, room: &Room) -> Option<SyncedRoom> {
        let Some(Settled::Live(heads)) = room.settled(connection.id) else { return None };
        // From here on it holds what it gets.
        self.oldest_held.lock().remove(&room.id);
        Some(SyncedRoom { room: room.id, seq: heads.seq, change: heads.change, reset: false })
    }
}

impl Connection {
    /// Whether its client replays changes.
    pub fn replays_changes(&self) -> bool {
        self.device_sync().is_some()
    }

    /// The oldest message of a room that its device holds, as far as it has said so.
    pub(in crate::chat) fn oldest_held(&self, room: RoomId) -> Seq {
        self.device_sync().map_or(Seq::ZERO, |sync| sync.oldest_held(room))
    }
}

impl Core {
    /// Tells a device what it has of all its rooms, as soon as it has caught up in all of them.
    pub(in crate::chat) fn tell_when_synced(self: &Arc<Self>, connection: &Arc<Connection>) {
        if connection.device_sync().is_none() {
            return;
        }
        let (core, connection) = (self.clone(), connection.clone());
        self.shutdown.spawn(async move {
            tokio::select! {
                () = synced(&core, &connection) => {}
                () = connection.over() => {}
            }
        });
    }

    /// A connection has caught up in one room.
    pub(in crate::chat) fn came_live(&self, connection: &Arc<Connection>, room: &Arc<Room>) {
        let Some(sync) = connection.device_sync() else { return };
        if sync.has_begun.load(Ordering::SeqCst)
            && let Some(state) = sync.of(connection, room)
        {
            self.hub.publish(Event::Synced(vec![state]), Audience::Connection(connection));
        }
        sync.settled.notify_waiters();
    }
}

async fn synced(core: &Arc<Core>, connection: &Arc<Connection>) {
    let Some(sync) = connection.device_sync() else { return };
    let live_rooms = connection.rooms.lock().clone();
    for room in &live_rooms {
        loop {
            // Created before the check, so that no change in between is missed.
            let settled = sync.settled.notified();
            if room.settled(connection.id).is_some() {
                break;
            }
            settled.await;
        }
    }
    // Set before the rooms are read: a room that becomes live at this moment is then in this event, or `came_live`
    // sends an event for it.
    sync.has_begun.store(true, Ordering::SeqCst);
    let live_rooms = connection.rooms.lock().clone();
    let states = live_rooms.iter().filter_map(|room| sync.of(connection, room)).collect();
    core.hub.publish(Event::Synced(states), Audience::Connection(connection));
}
