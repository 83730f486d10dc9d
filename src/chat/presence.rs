//! Presence: which users are online, and which are typing. A user is online from the first connection until a
//! short time after the last one, so that a page reload does not show as offline.
//!
//! The first presence update is published at once. If many users connect at the same time, the next updates
//! are published together a moment later, so that each receiver is written to once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use entity::{RoomId, UserId, member, room};
use parking_lot::Mutex;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tokio::sync::Notify;

use super::{
    Chat, Core,
    connections::{
        ConnectionId, Opening, connection::Connection, hub::Departure, options::TypingPlace,
        publish::Audience,
    },
    event::{Envelope, Event},
    messages::Place,
    model::{Presence, Receiver},
    receipts,
    room::{
        Room,
        registry::{LISTED, people},
    },
};
use crate::{error::Result, identity::Caller};

/// How long updates gather after one was published.
const GATHERING: Duration = Duration::from_millis(50);

/// The most places in which one connection may be typing.
const TYPING_PLACES: usize = 64;

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
    /// In a group, the other members are notified; otherwise the user who is addressed. In the lobby, which
    /// everyone is in, nothing happens. That is no error.
    pub async fn typing(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        typing: bool,
    ) -> Result<()> {
        let core = &self.core;
        let room = core.find_place(caller, connection, &place).await?;
        let Some(place) = core.typing_place(caller, room.as_deref(), place).await? else { return Ok(()) };
        if let Some(connection) = connection
            && !note_typing(connection, &place, typing)
        {
            return Ok(());
        }
        core.notify_typing(caller, &place, room.as_deref(), typing).await;
        if typing && connection.is_some_and(|connection| connection.is_over()) {
            // Its disconnect may not have seen this place.
            core.notify_typing(caller, &place, room.as_deref(), false).await;
        }
        Ok(())
    }
}

/// Remembers where the user of a connection is typing. Returns false if they are typing in too many places:
/// nobody could be told of the end.
fn note_typing(connection: &Connection, place: &TypingPlace, typing: bool) -> bool {
    let mut places = connection.typing.lock();
    if !typing {
        places.remove(place);
    } else if !places.contains(place) {
        if places.len() >= TYPING_PLACES {
            return false;
        }
        places.insert(place.clone());
    }
    true
}

impl Core {
    /// `None` if nobody is to be notified.
    async fn typing_place(
        &self,
        caller: &Caller,
        room: Option<&Room>,
        place: Place,
    ) -> Result<Option<TypingPlace>> {
        let (user, name) = match (room, place) {
            (Some(room), _) if room.kind == room::Kind::Group => {
                return Ok(Some(TypingPlace::Group(room.id)));
            }
            (Some(room), _) => match (room.peer_of(caller.user), room.receiver_from(caller.user)) {
                (Some(user), Receiver::User(name)) => (user, name),
                _ => return Ok(None),
            },
            (None, Place::User(name)) => {
                let user = self.user_named(&name).await?;
                (user.id, user.username.into())
            }
            (None, _) => return Ok(None),
        };
        Ok((user != caller.user).then_some(TypingPlace::User(user, name)))
    }

    async fn notify_typing(&self, caller: &Caller, place: &TypingPlace, room: Option<&Room>, typing: bool) {
        self.cluster.types(caller.user, place, typing);
        self.show_typing((caller.user, &caller.username), place, room, typing).await;
    }

    /// Notifies those who are connected here. `room` is the group's.
    pub(super) async fn show_typing(
        &self,
        (sender, username): (UserId, &Arc<str>),
        place: &TypingPlace,
        room: Option<&Room>,
        typing: bool,
    ) {
        let (receiver, audience) = match (place, room) {
            (TypingPlace::User(user, name), _) => (Receiver::User(name.clone()), Audience::User(*user)),
            (TypingPlace::Group(id), Some(room)) => {
                (Receiver::Group(*id), Audience::Room(room, Some(sender)))
            }
            (TypingPlace::Group(_), None) => return,
        };
        let update = Envelope::new(Event::Typing { sender: username.clone(), receiver, typing });
        self.hub.publish_all(&[update], audience).await;
    }

    /// A connection has opened: notifies the others if its user was not online before.
    pub(super) fn came_online(&self, connection: &Arc<Connection>) {
        let caller = connection.caller();
        self.hub.announce(caller.user, || {
            self.cluster.came_or_went(caller.user);
            if self.cluster.elsewhere.is_online(caller.user) {
                return;
            }
            let last_seen = self.clock.now();
            let presence = Presence { username: caller.username.clone(), online: true, last_seen };
            let rooms = connection.rooms.lock().clone();
            self.presence.give(PresenceUpdate::of(caller.user, presence, rooms));
        });
    }

    /// A connection can no longer say that its user has stopped typing in these places: notifies the others,
    /// except where the user is typing on another connection. `rooms` are the connection's rooms.
    pub(super) fn stopped_typing(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        places: impl IntoIterator<Item = TypingPlace>,
        rooms: &[Arc<Room>],
    ) {
        let mut others = None;
        let mut types_elsewhere = |place: &TypingPlace| {
            let others = others.get_or_insert_with(|| self.hub.of_user(connection.user()));
            let mut others = others.iter().filter(|other| other.id != connection.id);
            others.any(|other| other.typing.lock().contains(place))
        };
        let over = places.into_iter().filter(|place| !types_elsewhere(place)).map(|place| {
            let room = rooms.iter().find(|room| place == TypingPlace::Group(room.id)).cloned();
            (place, room)
        });
        let over: Vec<_> = over.collect();
        if over.is_empty() {
            return;
        }
        let (core, caller) = (self.clone(), connection.caller());
        self.shutdown.spawn(async move {
            for (place, room) in over {
                core.notify_typing(&caller, &place, room.as_deref(), false).await;
            }
        });
    }

    /// The last connection of a user has gone: notifies the others unless the user reconnects in time.
    pub(super) fn went_away(self: &Arc<Self>, departure: Departure, rooms: Vec<Arc<Room>>) {
        let last_seen = self.clock.now();
        let core = self.clone();
        self.shutdown.spawn(async move {
            if core.shutdown.begins_within(core.settings.presence.grace).await {
                // `save_all_seen` takes over.
                return;
            }
            core.hub.confirm(&departure, || {
                core.cluster.came_or_went(departure.user);
                if core.cluster.elsewhere.is_online(departure.user) {
                    return;
                }
                core.receipts.saw(departure.user, last_seen);
                let presence = Presence { username: departure.username.clone(), online: false, last_seen };
                core.presence.give(PresenceUpdate::of(departure.user, presence, rooms));
            });
        });
    }

    /// Whether a user is online, here or at another node.
    pub(super) fn is_online(&self, user: UserId) -> bool {
        self.hub.is_online(user) || self.cluster.elsewhere.is_online(user)
    }

    /// Whether so many users are online that each update goes only to users who share a room.
    fn is_crowded(&self) -> bool {
        self.hub.online_count() + self.cluster.elsewhere.count() > self.settings.presence.everyone_up_to
    }

    /// Users have come online at another node, or gone from all others: notifies the connections here, unless the user
    /// is online here, too.
    pub(super) async fn came_or_went_elsewhere(&self, users: Vec<UserId>, online: bool) -> Result<()> {
        let news: HashSet<UserId> = users.into_iter().collect();
        if news.is_empty() {
            return Ok(());
        }
        let mut rooms = self.resident_rooms_of(&news).await?;
        for (user, person) in people(self.db.reader(), news).await? {
            let presence = Presence { username: person.username, online, last_seen: self.clock.now() };
            let rooms = rooms.remove(&user).unwrap_or_default();
            self.hub.unless_online(user, || self.presence.give(PresenceUpdate::of(user, presence, rooms)));
        }
        Ok(())
    }

    /// The rooms of these users that are in memory, if updates go only to users who share a room.
    async fn resident_rooms_of(&self, users: &HashSet<UserId>) -> Result<HashMap<UserId, Vec<Arc<Room>>>> {
        let mut rooms: HashMap<UserId, Vec<Arc<Room>>> = HashMap::new();
        if !self.is_crowded() {
            return Ok(rooms);
        }
        let users: Vec<UserId> = users.iter().copied().collect();
        for part in users.chunks(LISTED) {
            let rows: Vec<(UserId, RoomId)> = member::Entity::find()
                .filter(member::COLUMN.user_id.is_in(part.iter().copied()))
                .select_only()
                .columns([member::Column::UserId, member::Column::RoomId])
                .into_tuple()
                .all(self.db.reader())
                .await?;
            for (user, room) in rows {
                rooms.entry(user).or_default().extend(self.rooms.resident(room));
            }
        }
        Ok(rooms)
    }

    /// Publishes to everyone while few users are online, and otherwise to users who share a room.
    async fn notify_presence(&self) {
        let presence_updates = std::mem::take(&mut *self.presence.given.lock());
        if self.is_crowded() {
            return self.notify_in_rooms(&presence_updates).await;
        }
        for presence_updates in presence_updates.chunks(IN_ONE_GO) {
            for connection in self.hub.all() {
                self.hub.publish_to(&connection, due(&connection, presence_updates));
            }
            // The sockets send what was written before more is written.
            tokio::task::yield_now().await;
        }
    }

    /// Publishes by receiver: what is written to a connection together is sent together.
    async fn notify_in_rooms(&self, presence_updates: &[PresenceUpdate]) {
        let mut pending: HashMap<ConnectionId, (Arc<Connection>, Vec<usize>)> = HashMap::new();
        for (at, update) in presence_updates.iter().enumerate() {
            for room in update.rooms.iter().filter(|room| room.id != self.rooms.lobby().id) {
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
                let now = now.filter_map(|at| presence_updates.get(at));
                self.hub.publish_to(connection, due(connection, now));
            }
            pending.retain(|_, (_, pending)| !pending.is_empty());
            tokio::task::yield_now().await;
        }
    }
}

/// Those of the updates that a connection receives.
fn due<'a>(
    connection: &Connection,
    presence_updates: impl IntoIterator<Item = &'a PresenceUpdate>,
) -> impl Iterator<Item = &'a Envelope> {
    let due =
        move |update: &&PresenceUpdate| connection.user() != update.user && connection.opened_by(update.at);
    presence_updates.into_iter().filter(due).map(|update| &update.envelope)
}

/// Publishes presence updates until the server shuts down.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.presence.work.notified() => {}
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
