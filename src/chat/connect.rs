//! A connection's life: enter, listen, open, and leave.
//!
//! It enters the hub before its memberships are read, so a change meanwhile finds it; it listens
//! before it is open, so nothing is missed in between; and it is opened once its client has been
//! answered.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId};
use sea_orm::ConnectionTrait;

use super::{
    Chat, Core,
    caller::{Caller, Ended, SessionWatch},
    connection::{ConnectOptions, Connection, Outlet},
    roster::Roster,
};
use crate::{
    db::Db,
    error::{Error, Result, Why},
    shutdown::Shutdown,
    together::Together,
};

/// The rooms, deleted ones left out, that users are members of.
const ROOMS_OF: &str = "SELECT members.user_id, members.room_id \
    FROM members INNER JOIN rooms ON rooms.id = members.room_id \
    WHERE rooms.deleted_at IS NULL AND members.user_id IN (rows)";

/// Asks for the rooms of users, for everyone who connects at the same time.
pub(super) type RoomsOf = Together<UserId, Vec<RoomId>>;

pub(super) fn rooms_of(db: &Db, shutdown: &Shutdown) -> RoomsOf {
    let db = db.clone();
    Together::new(shutdown.clone(), move |users: Vec<UserId>| {
        let db = db.clone();
        Box::pin(async move {
            let asked = db.listing(ROOMS_OF, users.iter().map(|user| user.0));
            let mut rooms: HashMap<UserId, Vec<RoomId>> = HashMap::with_capacity(users.len());
            for row in db.reader().query_all_raw(asked).await? {
                rooms.entry(row.try_get_by_index(0)?).or_default().push(row.try_get_by_index(1)?);
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
        let connection = Connection::new(
            caller,
            outlet,
            under_way,
            options.gives_way,
            self.core.clock.clone(),
            &self.core.counts,
        );
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
        let rosters = self.rosters.get_all(rooms).await?;
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
        let start = since(options, &self.lobby).unwrap_or_else(|| self.lobby.published());
        self.attach(connection, &self.lobby.clone(), start);
        Ok(())
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
