//! The life of a connection: enter the hub, subscribe to rooms, open, leave.
//!
//! It enters the hub before its memberships are read, so that a change at the same time finds it. It
//! subscribes before it opens, so that it misses nothing in between. It opens after its client was answered.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, RoomId, Seq, UserId, room};
use sea_orm::{ConnectionTrait, EntityTrait};

use super::{
    ConnectionId,
    connection::{ConnectOptions, Connection, Outlet},
    options::{DeviceCursor, News, TypingPlace},
};
use crate::{
    chat::{
        Chat, Core,
        room::{ById, Heads, Held, Room, watermark::Marks},
        sql,
    },
    db::{Db, coalesce::Coalescer},
    error::{AuthError, Error, Result},
    identity::Caller,
    metrics,
    shutdown::Shutdown,
};

/// A room of a user, as in the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomOf {
    room: RoomId,
    heads: Heads,
    marks: Marks,
    /// When the user was last seen, as saved.
    last_seen: Option<DateTime<Utc>>,
}

/// Reads the rooms of users, with one query for all users who connect at the same time.
pub(super) type RoomsOf = Coalescer<UserId, Vec<RoomOf>>;

pub(super) fn rooms_of(db: &Db, shutdown: &Shutdown) -> RoomsOf {
    let db = db.clone();
    Coalescer::new(shutdown.clone(), db.patience(), move |users: Vec<UserId>| {
        let db = db.clone();
        Box::pin(async move {
            let asked = db.values_list(sql::ROOMS_OF, users.iter().map(|user| user.0));
            let mut rooms: HashMap<UserId, Vec<RoomOf>> = HashMap::with_capacity(users.len());
            for row in db.reader().query_all_raw(asked).await? {
                let room = RoomOf {
                    room: row.try_get_by_index(1)?,
                    heads: Heads { seq: row.try_get_by_index(2)?, change: row.try_get_by_index(7)? },
                    marks: Marks {
                        delivered: row.try_get_by_index(3)?,
                        read: row.try_get_by_index(4)?,
                        notified: row.try_get_by_index(5)?,
                        read_at: 0,
                    },
                    last_seen: row.try_get_by_index(6)?,
                };
                rooms.entry(row.try_get_by_index(0)?).or_default().push(room);
            }
            // One user may connect twice at the same time.
            Ok(users.iter().map(|user| rooms.get(user).cloned().unwrap_or_default()).collect())
        })
    })
}

impl Chat {
    /// Accepts a connection and subscribes it to all rooms of its user. It receives nothing until
    /// [`Chat::open`]. The caller must ensure that [`Chat::remove`] is called.
    ///
    /// If the user then has too many connections, another one is displaced.
    ///
    /// # Errors
    /// `token_revoked` for a login that ended a moment ago; `unavailable` while the server shuts down.
    pub async fn connect(
        &self,
        caller: Caller,
        outlet: Box<dyn Outlet>,
        options: ConnectOptions,
    ) -> Result<Arc<Connection>> {
        if self.core.shutdown.has_begun() {
            return Err(Error::Unavailable(crate::error::Unavailable::Draining));
        }
        let under_way = self.core.settings.under_way();
        let connection =
            Connection::new(caller, outlet, under_way, &options, self.core.clock.clone(), &self.core.counts);
        let went_at = self.core.hub.enter(&connection)?;
        if let Err(err) = self.core.listen_to_rooms(&connection, &options, went_at).await {
            self.remove(&connection);
            return Err(err);
        }
        // Only now: a connection that fails must not take the place of another one.
        self.core.displace_surplus(&connection);
        if self.core.hub.count_of(connection.user()) > 1 {
            self.core.cluster.came_or_went(connection.user());
        }
        self.core.cluster.elsewhere.has_grown(connection.user());
        Ok(connection)
    }

    /// Opens a connection after its client was answered: it now receives events, missed messages first.
    pub fn open(&self, connection: &Arc<Connection>) {
        let core = &self.core;
        connection.open();
        if connection.is_ended() {
            // Its login ended while it connected.
            connection.end_late();
            return;
        }
        let live_rooms = connection.rooms.lock().clone();
        let announced_later = core.tell_news(connection, &live_rooms);
        for room in live_rooms.iter().filter(|room| !announced_later.contains(&room.id)) {
            core.bring_up(connection, room);
            core.receipts.touch(room);
        }
        core.tell_when_synced(connection);
        core.connecting.expiry.watch(connection, core.settings.expiring_notice);
        core.came_online(connection);
        metrics::CONNECTIONS_OPENED.one();
        let client = connection.caller().address;
        tracing::info!(connection.id = %connection.id, user.id = %connection.user(), %client, "connected");
    }

    /// Removes a connection that is gone; either side may have ended it.
    pub fn remove(&self, connection: &Arc<Connection>) {
        let core = &self.core;
        if !connection.mark_gone() {
            return;
        }
        core.connecting.expiry.forget(connection, core.settings.expiring_notice);
        let live_rooms = std::mem::take(&mut *connection.rooms.lock());
        for room in &live_rooms {
            room.unsubscribe(connection.id);
        }
        let typing = std::mem::take(&mut *connection.typing.lock());
        core.stopped_typing(connection, typing, &live_rooms);
        match core.hub.leave(connection) {
            Some(departure) => core.went_away(departure, live_rooms),
            // Its user has fewer connections here.
            None => core.cluster.came_or_went(connection.user()),
        }
    }

    /// Removes every connection, when the gateways are about to close them all. The Socket.IO library does
    /// not notify of connections that it closes itself.
    pub fn remove_all(&self) {
        for connection in self.core.hub.all() {
            self.remove(&connection);
        }
    }

    /// Gives a connection a newer token of the same user. The connection then lives as long as that token. A
    /// token that ends before the current one changes nothing. Returns when the connection's token expires.
    pub fn refresh(&self, connection: &Arc<Connection>, newer: Caller) -> Result<DateTime<Utc>> {
        if newer.user != connection.user() {
            return Err(Error::Unauthenticated(AuthError::TokenInvalid));
        }
        let core = &self.core;
        core.hub.check(&newer)?;
        let expires_at = newer.expires_at;
        let current = connection.caller().expires_at;
        if expires_at < current {
            return Ok(current);
        }
        core.connecting.expiry.forget(connection, core.settings.expiring_notice);
        connection.set_caller(newer);
        if let Err(ended) = core.hub.check(&connection.caller()) {
            // It ended at this moment, before the connection had the new login.
            connection.end("The login of this token has ended");
            return Err(ended);
        }
        core.connecting.expiry.watch(connection, core.settings.expiring_notice);
        Ok(expires_at)
    }
}

impl Core {
    async fn listen_to_rooms(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        options: &ConnectOptions,
        went_at: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let user = connection.user();
        let rooms = self.connecting.rooms_of.ask(user).await?;
        if options.wants_news {
            let saved = || rooms.iter().find_map(|room| room.last_seen);
            let went_at = went_at.or_else(|| self.receipts.last_seen(user)).or_else(saved);
            let named = options.since.as_ref().map(|since| since.iter().map(|(room, _)| *room).collect());
            *connection.news.lock() = Some(News { named, went_at });
        }
        let live_rooms = self.rooms_in_memory(rooms.iter().map(|room| room.room).collect()).await?;
        self.follow_database(user, &rooms, &live_rooms).await?;
        for live in live_rooms {
            let since = since(options, &live);
            if let Some(since) = since {
                // A client that names a seq has received everything up to it.
                self.deliver(&live, user, None, since);
            }
            let start = match (since, live.marks(user)) {
                (Some(since), _) => since,
                (None, Some(marks)) if options.catch_up => marks.delivered,
                _ => live.published(),
            };
            self.attach(connection, &live, start);
            let held = held(options, connection, &live);
            // Another task that has just loaded this room may have subscribed the connection already, without
            // knowing where its client asked to begin.
            live.begin_after(connection.id, start, since.is_some(), held);
        }
        self.follow_lobby(options).await?;
        let lobby = self.rooms.lobby();
        let start = since(options, lobby).unwrap_or_else(|| lobby.published());
        self.attach(connection, lobby, start);
        // The lobby replays no changes.
        lobby.begin_after(connection.id, start, false, Held::All);
        Ok(())
    }

    /// Brings rooms in memory up to date with the database for a user who connects: another process may have
    /// stored messages, moved the user's marks, or added the user to the room.
    async fn follow_database(
        self: &Arc<Self>,
        user: UserId,
        rooms: &[RoomOf],
        live_rooms: &[Arc<Room>],
    ) -> Result<()> {
        // What another connection here was not notified of is not taken for notified.
        let is_only = self.hub.count_of(user) <= 1;
        let stored: ById<RoomId, &RoomOf> = rooms.iter().map(|room| (room.room, room)).collect();
        for live in live_rooms {
            let Some(stored) = stored.get(&live.id) else { continue };
            let known = live.marks(user).map_or(stored.marks.notified, |marks| marks.notified);
            let notified = if is_only { stored.marks.notified } else { known };
            if !live.raise_marks(user, Marks { notified, ..stored.marks }) {
                self.reread(live.id).await?;
            }
            if live.is_ahead(stored.heads) {
                // Usually a commit of this process is being published at this moment.
                self.writer.caught_up(live.id).await;
            }
            self.note_stored_up_to(live, stored.heads);
        }
        Ok(())
    }

    /// Reads the newest seq of the lobby if a client names one that memory does not know.
    async fn follow_lobby(self: &Arc<Self>, options: &ConnectOptions) -> Result<()> {
        let lobby = self.rooms.lobby();
        let is_ahead = |(room, seq): &(RoomId, Seq)| *room == lobby.id && *seq > lobby.published();
        if options.since.iter().flatten().any(is_ahead) {
            let row = room::Entity::find_by_id(lobby.id).one(self.db.reader()).await?;
            let heads = row.map(|row| Heads { seq: row.last_seq, change: row.last_change });
            self.note_stored_up_to(lobby, heads.unwrap_or_default());
        }
        Ok(())
    }

    /// Messages and changes up to these are in the database: subscriptions that were not sent them catch up.
    pub(in crate::chat) fn note_stored_up_to(self: &Arc<Self>, room: &Arc<Room>, heads: Heads) {
        let known = room.changed();
        if heads.change > known {
            self.rooms.forget_messages(room);
            self.views.has_missed(room, known);
        }
        for late in room.stored_up_to(heads) {
            self.bring_up(&late, room);
        }
    }

    /// Subscribes a connection to a room after `start`.
    pub(in crate::chat) fn attach(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        room: &Arc<Room>,
        start: Seq,
    ) {
        if !room.subscribe(connection, start) {
            return;
        }
        if connection.device_sync().is_some_and(|sync| sync.hears(room.id)) {
            room.must_read_again(connection.id);
        }
        connection.rooms.lock().push(room.clone());
        if connection.is_over() {
            // It disconnected while it connected, and its disconnect may not have seen this room.
            room.unsubscribe(connection.id);
        } else if connection.is_open() {
            self.bring_up(connection, room);
        }
    }

    /// Subscribes all connections of a user to a room that the user has joined.
    pub(in crate::chat) fn attach_user(self: &Arc<Self>, user: UserId, room: &Arc<Room>, start: Seq) {
        for connection in self.hub.of_user(user) {
            self.attach(&connection, room, start);
        }
    }

    /// Subscribes the connections of all members to a room that is being loaded and that no other task knows
    /// yet. A connection that is open was connected before its user was in the room: it gets what was stored since, also
    /// if it does not catch up otherwise.
    pub(in crate::chat) fn attach_members(self: &Arc<Self>, room: &Arc<Room>) {
        for (connection, after) in room.members_among(&self.hub) {
            self.attach(&connection, room, after);
        }
    }

    /// Removes a room from connections that are no longer subscribed to it.
    pub(in crate::chat) fn detach(self: &Arc<Self>, connections: &[Arc<Connection>], room: &Arc<Room>) {
        for connection in connections {
            connection.rooms.lock().retain(|other| other.id != room.id);
            if let Some(sync) = connection.device_sync() {
                sync.ended(room.id);
            }
            let place = TypingPlace::Group(room.id);
            let typing = connection.typing.lock().take(&place);
            self.stopped_typing(connection, typing, std::slice::from_ref(room));
        }
    }
}

/// The seq up to which the client says it has everything of a room.
fn since(options: &ConnectOptions, live: &Room) -> Option<Seq> {
    let (_, seq) = options.since.iter().flatten().find(|(room, _)| *room == live.id)?;
    Some((*seq).clamp(Seq::ZERO, live.published()))
}

/// What the client says that it has of the changes of a room. It has to read the room again if the numbers cannot be
/// this server's.
fn held(options: &ConnectOptions, connection: &Connection, live: &Room) -> Held {
    let Some(cursors) = &options.changes else { return Held::All };
    let since = options.since.iter().flatten().find(|(room, _)| *room == live.id).map(|(_, seq)| *seq);
    let named = cursors.iter().find(|(room, _)| *room == live.id).map(|(_, cursor)| *cursor);
    let cursor = match (named, since) {
        (Some(cursor), _) => cursor,
        // It holds messages, and has never heard of a change.
        (None, Some(_)) => DeviceCursor { change: ChangeNumber::ZERO, from: Seq::ZERO },
        (None, None) => return Held::All,
    };
    let heads = live.heads();
    if cursor.change > heads.change || since.is_some_and(|since| since > heads.seq) {
        return Held::Unknown;
    }
    if let Some(sync) = connection.device_sync() {
        sync.hold_from(live.id, cursor.from);
    }
    Held::UpTo(cursor.change)
}

impl Core {
    /// Closes the connections of this node that are too many beside a new one of their user.
    fn displace_surplus(&self, new: &Connection) {
        let limit = self.settings.limits.connections_per_user;
        self.displace(new.user(), Some(new.id), |here| here.saturating_sub(limit));
    }

    /// Closes the connections of a user here that are too many, with those of the other nodes.
    pub(in crate::chat) fn displace_crowded(&self, user: UserId) {
        let limit = self.settings.limits.connections_per_user;
        self.displace(user, None, |here| self.cluster.surplus(user, here, limit));
    }

    fn displace(&self, user: UserId, new: Option<ConnectionId>, surplus: impl FnOnce(usize) -> usize) {
        for displaced in self.hub.take_surplus(user, new, surplus) {
            displaced.displace();
        }
    }
}
