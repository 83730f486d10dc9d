//! The life of a connection: enter the hub, subscribe to rooms, open, leave.
//!
//! It enters the hub before its memberships are read, so that a change at the same time finds it. It
//! subscribes before it opens, so that it misses nothing in between. It opens after its client was answered.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, room};
use sea_orm::{ConnectionTrait, EntityTrait};

use super::connection::{ConnectOptions, Connection, Outlet};
use crate::{
    chat::{
        Chat, Core,
        room::{ById, Room, watermark::Marks},
        sql,
    },
    identity::{Caller, Ended, SessionWatch},
};
use crate::{
    db::{Db, coalesce::Coalescer},
    error::{AuthError, Error, Result},
    shutdown::Shutdown,
};

/// A room of a user, as in the database.
#[derive(Clone, Copy, Debug)]
pub(in crate::chat) struct RoomOf {
    room: RoomId,
    last_seq: Seq,
    marks: Marks,
}

/// Reads the rooms of users, with one query for all users who connect at the same time.
pub(in crate::chat) type RoomsOf = Coalescer<UserId, Vec<RoomOf>>;

pub(in crate::chat) fn rooms_of(db: &Db, shutdown: &Shutdown) -> RoomsOf {
    let db = db.clone();
    Coalescer::new(shutdown.clone(), db.patience(), move |users: Vec<UserId>| {
        let db = db.clone();
        Box::pin(async move {
            let asked = db.values_list(sql::ROOMS_OF, users.iter().map(|user| user.0));
            let mut rooms: HashMap<UserId, Vec<RoomOf>> = HashMap::with_capacity(users.len());
            for row in db.reader().query_all_raw(asked).await? {
                let room = RoomOf {
                    room: row.try_get_by_index(1)?,
                    last_seq: row.try_get_by_index(2)?,
                    marks: Marks {
                        delivered: row.try_get_by_index(3)?,
                        read: row.try_get_by_index(4)?,
                        told: row.try_get_by_index(5)?,
                    },
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
    /// [`Chat::open`]. The caller must ensure that [`Chat::disconnect`] is called.
    ///
    /// # Errors
    /// `rate_limited` if the user has too many connections; `token_revoked` for a login that ended a moment
    /// ago; `unavailable` while the server shuts down.
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
        if let Some(replaced) = self.core.hub.enter(&connection)? {
            replaced.give_way();
        }
        if let Err(err) = self.core.listen_to_rooms(&connection, &options).await {
            self.disconnect(&connection);
            return Err(err);
        }
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
        for room in &live_rooms {
            core.bring_up(connection, room);
            core.receipts.touch(room);
        }
        core.expiry.watch(connection, core.settings.expiring_notice);
        core.came_online(connection);
        metrics::counter!("parlor_connections_opened_total").increment(1);
        let client = connection.caller().address;
        tracing::info!(connection.id = %connection.id, user.id = %connection.user(), %client, "connected");
    }

    /// Removes a connection that is gone; either side may have ended it.
    pub fn disconnect(&self, connection: &Arc<Connection>) {
        let core = &self.core;
        if !connection.close() {
            return;
        }
        core.expiry.forget(connection, core.settings.expiring_notice);
        let live_rooms = std::mem::take(&mut *connection.rooms.lock());
        for room in &live_rooms {
            room.unsubscribe(connection.id);
        }
        if let Some(departure) = core.hub.leave(connection) {
            core.went_away(departure, live_rooms);
        }
    }

    /// Removes every connection, when the gateways are about to close them all. The Socket.IO library does
    /// not notify of connections that it closes itself.
    pub fn disconnect_all(&self) {
        for connection in self.core.hub.all(None) {
            self.disconnect(&connection);
        }
    }

    /// Gives a connection a newer token of the same user. The connection then lives as long as that token.
    pub fn refresh(&self, connection: &Arc<Connection>, newer: Caller) -> Result<()> {
        if newer.user != connection.user() {
            return Err(Error::Unauthenticated(AuthError::TokenInvalid));
        }
        let core = &self.core;
        core.hub.check(&newer)?;
        core.expiry.forget(connection, core.settings.expiring_notice);
        connection.set_caller(newer);
        if let Err(ended) = core.hub.check(&connection.caller()) {
            // It ended at this moment, before the connection had the new login.
            connection.end("The login of this token has ended");
            return Err(ended);
        }
        core.expiry.watch(connection, core.settings.expiring_notice);
        Ok(())
    }
}

impl Core {
    async fn listen_to_rooms(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        options: &ConnectOptions,
    ) -> Result<()> {
        let user = connection.user();
        let rooms = self.rooms_of.ask(user).await?;
        let live_rooms = self.rooms_in_memory(rooms.iter().map(|room| room.room).collect()).await?;
        self.follow_database(user, &rooms, &live_rooms).await?;
        for live in live_rooms {
            let since = since(options, &live);
            if let Some(since) = since {
                // A client that names a seq has received everything up to it.
                self.deliver(&live, user, None, since);
            }
            let start = match (since, live.member(user)) {
                (Some(since), _) => since,
                (None, Some(entry)) if options.catch_up => entry.marks.delivered,
                _ => live.published(),
            };
            self.attach(connection, &live, start);
            // Another task that has just loaded this room may have subscribed the connection already, without
            // knowing where its client asked to begin.
            live.begin_after(connection.id, start);
        }
        self.follow_lobby(options).await?;
        let start = since(options, &self.lobby).unwrap_or_else(|| self.lobby.published());
        self.attach(connection, &self.lobby.clone(), start);
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
        let stored: ById<RoomId, &RoomOf> = rooms.iter().map(|room| (room.room, room)).collect();
        for live in live_rooms {
            let Some(stored) = stored.get(&live.id) else { continue };
            if !live.raise_marks(user, stored.marks) {
                self.reread(live.id).await?;
            }
            if stored.last_seq > live.published() {
                // Usually a commit of this process is being published at this moment.
                self.writer.caught_up(live.id).await;
            }
            self.note_stored_up_to(live, stored.last_seq);
        }
        Ok(())
    }

    /// Reads the newest seq of the lobby if a client names one that memory does not know.
    async fn follow_lobby(self: &Arc<Self>, options: &ConnectOptions) -> Result<()> {
        let lobby = &self.lobby;
        let is_ahead = |(room, seq): &(RoomId, Seq)| *room == lobby.id && *seq > lobby.published();
        if options.since.iter().any(is_ahead) {
            let row = room::Entity::find_by_id(lobby.id).one(self.db.reader()).await?;
            self.note_stored_up_to(lobby, row.map_or(Seq::ZERO, |row| row.last_seq));
        }
        Ok(())
    }

    /// Messages up to `seq` are in the database: subscriptions that were not sent them catch up.
    pub(in crate::chat) fn note_stored_up_to(self: &Arc<Self>, room: &Arc<Room>, seq: Seq) {
        for late in room.stored_up_to(seq) {
            self.fall_behind(&late, room);
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
    /// yet.
    pub(in crate::chat) fn attach_members(self: &Arc<Self>, room: &Arc<Room>) {
        let published = room.published();
        for (connection, delivered) in room.members_among(&self.hub) {
            let start = if connection.catches_up() { delivered } else { published };
            self.attach(&connection, room, start);
        }
    }

    /// Removes a room from connections that are no longer subscribed to it.
    pub(in crate::chat) fn detach(&self, connections: &[Arc<Connection>], room: &Room) {
        for connection in connections {
            connection.rooms.lock().retain(|other| other.id != room.id);
        }
    }
}

/// The seq up to which the client says it has everything of a room.
fn since(options: &ConnectOptions, live: &Room) -> Option<Seq> {
    let (_, seq) = options.since.iter().find(|(room, _)| *room == live.id)?;
    Some((*seq).clamp(Seq::ZERO, live.published()))
}

impl SessionWatch for Chat {
    fn ended(&self, ended: Ended, reason: &'static str) {
        for connection in self.core.hub.ended(&ended) {
            connection.end(reason);
        }
    }
}
