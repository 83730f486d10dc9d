//! A connection's life: enter, listen, open, and leave.
//!
//! It enters the hub before its memberships are read, so a change meanwhile finds it; it listens
//! before it is open, so nothing is missed in between; and it is opened once its client has been
//! answered.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, room};
use sea_orm::{ConnectionTrait, EntityTrait};

use super::{
    Chat, Core,
    caller::{Caller, Ended, SessionWatch},
    connection::{ConnectOptions, Connection, Outlet},
    roster::{ById, Roster},
    watermark::Marks,
};
use crate::{
    db::Db,
    error::{Error, Result, Why},
    shutdown::Shutdown,
    together::Together,
};

/// The rooms, deleted ones left out, that users are members of, each with its newest message and the user's marks.
const ROOMS_OF: &str = "SELECT members.user_id, members.room_id, rooms.last_seq, members.delivered_seq, \
    members.read_seq, members.told_seq FROM members INNER JOIN rooms ON rooms.id = members.room_id \
    WHERE rooms.deleted_at IS NULL AND members.user_id IN (rows)";

/// A user's room as the database has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomOf {
    room: RoomId,
    last_seq: Seq,
    marks: Marks,
}

/// Asks for the rooms of users, for everyone who connects at the same time.
pub(super) type RoomsOf = Together<UserId, Vec<RoomOf>>;

pub(super) fn rooms_of(db: &Db, shutdown: &Shutdown) -> RoomsOf {
    let db = db.clone();
    Together::new(shutdown.clone(), db.patience(), move |users: Vec<UserId>| {
        let db = db.clone();
        Box::pin(async move {
            let asked = db.listing(ROOMS_OF, users.iter().map(|user| user.0));
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
    /// Lets a connection in: it listens to all its user's rooms, and hears nothing until
    /// [`Chat::open`]. Whoever connects must see to it that [`Chat::disconnect`] is called.
    ///
    /// # Errors
    /// `rate_limited` beyond the connections a user may have; `token_revoked` for a login that
    /// ended a moment ago; `unavailable` while the server goes down.
    pub async fn connect(
        &self,
        caller: Caller,
        outlet: Box<dyn Outlet>,
        options: ConnectOptions,
    ) -> Result<Arc<Connection>> {
        if self.core.shutdown.has_begun() {
            return Err(Error::Unavailable(crate::error::Busy::Draining));
        }
        let under_way = self.core.settings.under_way;
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

    /// The client was answered: from here on the connection hears events, what it missed first.
    pub fn open(&self, connection: &Arc<Connection>) {
        let core = &self.core;
        connection.open();
        if connection.is_ended() {
            // Its login ended while it came in.
            connection.end_late();
            return;
        }
        let rosters = connection.rosters.lock().clone();
        for roster in &rosters {
            core.bring_up(connection, roster);
            core.receipts.touch(roster);
        }
        core.expiry.watch(connection, core.settings.expiring_notice);
        core.came_online(connection);
        metrics::counter!("parlor_connections_opened_total").increment(1);
        let client = connection.caller().address;
        tracing::info!(connection.id = %connection.id, user.id = %connection.user(), %client, "connected");
    }

    /// The connection is gone, by whichever side.
    pub fn disconnect(&self, connection: &Arc<Connection>) {
        let core = &self.core;
        if !connection.close() {
            return;
        }
        core.expiry.forget(connection, core.settings.expiring_notice);
        let rosters = std::mem::take(&mut *connection.rosters.lock());
        for roster in &rosters {
            roster.unlisten(connection.id);
        }
        if let Some(departure) = core.hub.leave(connection) {
            core.went_away(departure, rosters);
        }
    }

    /// Lets go of every connection, when the gateways are about to close them all: the Socket.IO
    /// library tells nobody of those that it closes itself.
    pub fn disconnect_all(&self) {
        for connection in self.core.hub.all(None) {
            self.disconnect(&connection);
        }
    }

    /// Puts a newer token of the same user under a connection; it lives as long as that.
    pub fn refresh(&self, connection: &Arc<Connection>, newer: Caller) -> Result<()> {
        if newer.user != connection.user() {
            return Err(Error::Unauthenticated(Why::TokenInvalid));
        }
        let core = &self.core;
        core.hub.check(&newer)?;
        core.expiry.forget(connection, core.settings.expiring_notice);
        connection.set_caller(newer);
        if let Err(ended) = core.hub.check(&connection.caller()) {
            // It ended at this moment, and passed this connection by.
            connection.end("the login of this token has ended");
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
        let rosters = self.rooms_in_memory(rooms.iter().map(|room| room.room).collect()).await?;
        self.follow_database(user, &rooms, &rosters).await?;
        for roster in rosters {
            let since = since(options, &roster);
            if let Some(since) = since {
                // Who names a seq says that everything up to it has arrived.
                self.deliver(&roster, user, None, since);
            }
            let start = match (since, roster.member(user)) {
                (Some(since), _) => since,
                (None, Some(entry)) if options.catch_up => entry.marks.delivered,
                _ => roster.published(),
            };
            self.attach(connection, &roster, start);
            // Somebody who writes to this room at the moment may have come upon the connection first, and
            // does not know where its client asked to begin.
            roster.begin_after(connection.id, start);
        }
        self.follow_lobby(options).await?;
        let start = since(options, &self.lobby).unwrap_or_else(|| self.lobby.published());
        self.attach(connection, &self.lobby.clone(), start);
        Ok(())
    }

    /// Brings rooms in memory up to what the database has of them, for a user who connects: another process may
    /// have stored messages, moved the user's marks, or put the user into the room.
    async fn follow_database(
        self: &Arc<Self>,
        user: UserId,
        rooms: &[RoomOf],
        rosters: &[Arc<Roster>],
    ) -> Result<()> {
        let stored: ById<RoomId, &RoomOf> = rooms.iter().map(|room| (room.room, room)).collect();
        for roster in rosters {
            let Some(stored) = stored.get(&roster.id) else { continue };
            if !roster.raise_marks(user, stored.marks) {
                self.reread(roster.id).await?;
            }
            if stored.last_seq > roster.published() {
                // Most often a commit of this process is being published at this moment.
                self.writer.caught_up(roster.id).await;
            }
            self.is_stored_up_to(roster, stored.last_seq);
        }
        Ok(())
    }

    /// Reads the newest seq of the lobby if a client names one that memory does not know.
    async fn follow_lobby(self: &Arc<Self>, options: &ConnectOptions) -> Result<()> {
        let lobby = &self.lobby;
        let is_ahead = |(room, seq): &(RoomId, Seq)| *room == lobby.id && *seq > lobby.published();
        if options.since.iter().any(is_ahead) {
            let row = room::Entity::find_by_id(lobby.id).one(self.db.reader()).await?;
            self.is_stored_up_to(lobby, row.map_or(Seq::ZERO, |row| row.last_seq));
        }
        Ok(())
    }

    /// Messages up to `seq` are in the database: listeners that were not sent them catch up.
    pub(super) fn is_stored_up_to(self: &Arc<Self>, roster: &Arc<Roster>, seq: Seq) {
        for late in roster.stored_up_to(seq) {
            self.fall_behind(&late, roster);
        }
    }

    /// Lets a connection listen to a room after `start`.
    pub(super) fn attach(self: &Arc<Self>, connection: &Arc<Connection>, roster: &Arc<Roster>, start: Seq) {
        if !roster.listen(connection, start) {
            return;
        }
        connection.rosters.lock().push(roster.clone());
        if connection.is_over() {
            // It left while it came in, and may have missed this room on its way out.
            roster.unlisten(connection.id);
        } else if connection.is_open() {
            self.bring_up(connection, roster);
        }
    }

    /// Lets all connections of a user listen to a room that they have come into.
    pub(super) fn attach_user(self: &Arc<Self>, user: UserId, roster: &Arc<Roster>, start: Seq) {
        for connection in self.hub.of_user(user) {
            self.attach(&connection, roster, start);
        }
    }

    /// Lets the connections of all members listen to a room that is being loaded, and that nobody else knows yet.
    pub(super) fn attach_members(self: &Arc<Self>, roster: &Arc<Roster>) {
        let published = roster.published();
        for (connection, delivered) in roster.members_among(&self.hub) {
            let start = if connection.catches_up() { delivered } else { published };
            self.attach(&connection, roster, start);
        }
    }

    /// Lets connections forget a room that they no longer listen to.
    pub(super) fn detach(&self, connections: &[Arc<Connection>], roster: &Roster) {
        for connection in connections {
            connection.rosters.lock().retain(|other| other.id != roster.id);
        }
    }
}

/// What the client says it has of a room.
fn since(options: &ConnectOptions, roster: &Roster) -> Option<Seq> {
    let (_, seq) = options.since.iter().find(|(room, _)| *room == roster.id)?;
    Some((*seq).clamp(Seq::ZERO, roster.published()))
}

impl SessionWatch for Chat {
    fn ended(&self, ended: Ended, reason: &'static str) {
        for connection in self.core.hub.ended(&ended) {
            connection.end(reason);
        }
    }
}
