//! All connections of this process, by user: who is online, and which logins have ended. Its file `publish`
//! writes events to them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId};
use parking_lot::RwLock;

use super::{ConnectionId, connection::Connection};
use crate::{
    chat::room::ById,
    clock::Clock,
    error::{AuthError, Error, Result},
    identity::{Caller, Ended},
};

/// How long an ended login is remembered, for connections that were about to be accepted when it ended.
const REMEMBERED: Duration = Duration::from_secs(120);

pub(in crate::chat) struct Hub {
    clock: Clock,
    state: RwLock<HubState>,
}

#[derive(Default)]
struct HubState {
    users: HashMap<UserId, OnlineUser>,
    sessions_ended: HashMap<SessionId, DateTime<Utc>>,
    users_ended: HashMap<UserId, (DateTime<Utc>, Option<SessionId>)>,
}

impl HubState {
    fn check(&self, caller: &Caller) -> Result<()> {
        let by_user = self.users_ended.get(&caller.user);
        let ended = self.sessions_ended.contains_key(&caller.session)
            || by_user.is_some_and(|(at, spare)| {
                *spare != Some(caller.session) && made_at(caller.session) <= at.timestamp_millis()
            });
        if ended { Err(Error::Unauthenticated(AuthError::TokenRevoked)) } else { Ok(()) }
    }
}

/// When a login was made, in Unix milliseconds. Session ids are version 7 and contain this time. If all
/// logins of a user are ended, a login that is made later stays valid.
fn made_at(session: SessionId) -> i64 {
    let made = session.0.get_timestamp().map(|time| time.to_unix());
    made.map_or(0, |(seconds, nanos)| {
        i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000) + i64::from(nanos / 1_000_000)
    })
}

/// A user with connections, or a user whose last connection has ended a moment ago.
struct OnlineUser {
    username: Arc<str>,
    connections: Vec<Arc<Connection>>,
    /// Others were notified that this user is online, and not yet that the user has gone.
    announced: bool,
    /// When the last connection went, if that was since the user is known here.
    went_at: Option<DateTime<Utc>>,
    /// Counts departures, so that a departure is ignored if the user reconnected during the grace period.
    departures: u64,
}

/// The departure of a user's last connection: pass it to [`Hub::confirm`] after the grace period.
#[derive(Clone, Debug)]
pub(in crate::chat) struct Departure {
    pub user: UserId,
    pub username: Arc<str>,
    count: u64,
}

impl Hub {
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: RwLock::default() }
    }

    /// Adds a connection. Refuses it if its login has ended meanwhile. Returns when the user's last connection
    /// went, if that was a moment ago or before other connections that are here.
    pub fn enter(&self, connection: &Arc<Connection>) -> Result<Option<DateTime<Utc>>> {
        let caller = connection.caller();
        let mut state = self.state.write();
        state.check(&caller)?;
        let here = state.users.entry(caller.user).or_insert_with(|| OnlineUser {
            username: caller.username.clone(),
            connections: Vec::new(),
            announced: false,
            went_at: None,
            departures: 0,
        });
        here.connections.push(connection.clone());
        Ok(here.went_at)
    }

    /// Removes the connections of a user that are too many: the one that was silent the longest, or else the oldest, but
    /// never `new`. The caller must displace them. `surplus` says how many of so many they are; it is called under the
    /// lock, and must not call the hub.
    pub fn take_surplus(
        &self,
        user: UserId,
        new: Option<ConnectionId>,
        surplus: impl FnOnce(usize) -> usize,
    ) -> Vec<Arc<Connection>> {
        let mut state = self.state.write();
        let Some(here) = state.users.get_mut(&user) else { return Vec::new() };
        let mut displaced = Vec::new();
        let surplus = surplus(here.connections.len());
        while displaced.len() < surplus {
            let others = || here.connections.iter().enumerate().filter(|(_, other)| Some(other.id) != new);
            let silent = others().filter_map(|(at, other)| Some((other.silence()?, at))).max();
            let Some(at) = silent.map(|(_, at)| at).or_else(|| Some(others().next()?.0)) else { break };
            displaced.push(here.connections.remove(at));
        }
        displaced
    }

    /// Refuses a login that ended a moment ago: the check against the database may have happened before that.
    pub fn check(&self, caller: &Caller) -> Result<()> {
        self.state.read().check(caller)
    }

    /// The logins of all connections.
    pub fn sessions(&self) -> Vec<SessionId> {
        let state = self.state.read();
        let all = state.users.values().flat_map(|here| &here.connections);
        all.map(|connection| connection.caller().session).collect()
    }

    /// Marks a user as online, and calls `notify` if the user was not online before. It calls `notify` under the
    /// lock, so that online and offline are published in the order in which they happened. `notify` must not
    /// call the hub.
    pub fn announce(&self, user: UserId, notify: impl FnOnce()) {
        let mut state = self.state.write();
        if let Some(here) = state.users.get_mut(&user)
            && !std::mem::replace(&mut here.announced, true)
        {
            notify();
        }
    }

    /// Removes a connection. If it was the last one of an announced user, returns the departure for
    /// [`Hub::confirm`].
    pub fn leave(&self, connection: &Arc<Connection>) -> Option<Departure> {
        let user = connection.user();
        let mut state = self.state.write();
        let here = state.users.get_mut(&user)?;
        here.connections.retain(|other| other.id != connection.id);
        if !here.connections.is_empty() {
            return None;
        }
        if !here.announced {
            state.users.remove(&user);
            return None;
        }
        here.departures += 1;
        here.went_at = Some(self.clock.now());
        Some(Departure { user, username: here.username.clone(), count: here.departures })
    }

    /// Ends the grace period: if the user is still gone, marks them as offline and calls `notify`, under the
    /// lock as in [`Hub::announce`].
    pub fn confirm(&self, departure: &Departure, notify: impl FnOnce()) {
        let mut state = self.state.write();
        let gone = state
            .users
            .get(&departure.user)
            .is_some_and(|here| here.connections.is_empty() && here.departures == departure.count);
        if gone {
            state.users.remove(&departure.user);
            notify();
        }
    }

    pub fn is_online(&self, user: UserId) -> bool {
        self.state.read().users.get(&user).is_some_and(|here| here.announced)
    }

    /// Calls `notify` if a user is not online here, under the lock as in [`Hub::announce`].
    pub fn unless_online(&self, user: UserId, notify: impl FnOnce()) {
        let state = self.state.read();
        if !state.users.get(&user).is_some_and(|here| here.announced) {
            notify();
        }
    }

    /// The users who are online.
    pub fn online(&self) -> Vec<UserId> {
        let state = self.state.read();
        state.users.iter().filter(|(_, here)| here.announced).map(|(user, _)| *user).collect()
    }

    /// The number of users with a connection, or whose last one ended within the grace period. [`Hub::online`]
    /// has only those who were announced.
    pub fn online_count(&self) -> usize {
        self.state.read().users.len()
    }

    pub fn connection_count(&self) -> usize {
        self.state.read().users.values().map(|here| here.connections.len()).sum()
    }

    pub fn of_user(&self, user: UserId) -> Vec<Arc<Connection>> {
        self.state.read().users.get(&user).map(|here| here.connections.clone()).unwrap_or_default()
    }

    /// The number of a user's connections here, open or not yet.
    pub fn count_of(&self, user: UserId) -> usize {
        self.state.read().users.get(&user).map_or(0, |here| here.connections.len())
    }

    /// Whether a user has a connection here, open or not yet.
    pub fn has(&self, user: UserId) -> bool {
        self.count_of(user) > 0
    }

    /// Whether a user has a connection besides `except` whose client follows what changes in the user's rooms.
    pub fn has_follower(&self, user: UserId, except: Option<ConnectionId>) -> bool {
        let state = self.state.read();
        let follows = |other: &Arc<Connection>| Some(other.id) != except && other.follows_rooms();
        state.users.get(&user).is_some_and(|here| here.connections.iter().any(follows))
    }

    /// The connections of the users who are keys of this map.
    pub fn connections_among<V>(&self, users: &ById<UserId, V>) -> Vec<Arc<Connection>> {
        let state = self.state.read();
        // Iterates over the shorter of the two.
        let here: Vec<&OnlineUser> = if users.len() <= state.users.len() {
            users.keys().filter_map(|user| state.users.get(user)).collect()
        } else {
            state.users.iter().filter(|(user, _)| users.contains_key(*user)).map(|(_, here)| here).collect()
        };
        here.into_iter().flat_map(|here| here.connections.iter().cloned()).collect()
    }

    pub fn all(&self) -> Vec<Arc<Connection>> {
        let state = self.state.read();
        state.users.values().flat_map(|here| here.connections.iter().cloned()).collect()
    }

    /// Whether at least `bytes` bytes wait for one connection of the user.
    pub fn is_behind(&self, user: UserId, bytes: usize) -> bool {
        let state = self.state.read();
        let here = state.users.get(&user);
        here.is_some_and(|here| here.connections.iter().any(|connection| connection.waiting_bytes() >= bytes))
    }

    /// Notes that logins have ended, and returns their connections.
    pub fn ended(&self, ended: &Ended) -> Vec<Arc<Connection>> {
        let now = self.clock.now();
        let mut state = self.state.write();
        let fresh = |at: &DateTime<Utc>| (now - *at).to_std().unwrap_or_default() < REMEMBERED;
        state.sessions_ended.retain(|_, at| fresh(at));
        state.users_ended.retain(|_, (at, _)| fresh(at));
        let hit: Box<dyn Fn(&Connection) -> bool> = match *ended {
            Ended::Session(session) => {
                state.sessions_ended.insert(session, now);
                Box::new(move |connection| connection.caller().session == session)
            }
            Ended::User { user, spare } => {
                state.users_ended.insert(user, (now, spare));
                Box::new(move |connection| {
                    let caller = connection.caller();
                    caller.user == user && Some(caller.session) != spare
                })
            }
        };
        let all = state.users.values().flat_map(|here| &here.connections);
        all.filter(|connection| hit(connection)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn a_user_who_reconnects_while_they_are_marked_as_offline_is_told_to_be_online_last() {
        let hub = Hub::new(Clock::real());
        let ada = UserId::new();
        let (first, second) = (Connection::silent(ada), Connection::silent(ada));
        hub.enter(&first).unwrap();
        hub.announce(ada, || {});
        let departure = hub.leave(&first).unwrap();
        let published = Mutex::new(Vec::new());
        std::thread::scope(|threads| {
            hub.confirm(&departure, || {
                threads.spawn(|| {
                    hub.enter(&second).unwrap();
                    hub.announce(ada, || published.lock().push("online"));
                });
                // Long enough for the other thread to be faster, if it can.
                std::thread::sleep(Duration::from_millis(100));
                published.lock().push("offline");
            });
        });
        assert_eq!(*published.lock(), ["offline", "online"]);
        assert!(hub.is_online(ada));
    }

    #[test]
    fn the_most_silent_connection_makes_room_and_otherwise_the_oldest() {
        let hub = Hub::new(Clock::real());
        let ada = UserId::new();
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        let connections =
            [None, minutes(1), minutes(2), None].map(|silence| Connection::silent_for(ada, silence));
        let mut displaced = Vec::new();
        let mut enter = |connection: &Arc<Connection>| {
            hub.enter(connection).unwrap();
            let surplus = hub.take_surplus(ada, Some(connection.id), |here| here.saturating_sub(3));
            displaced.extend(surplus.iter().map(|other| other.id));
        };
        connections.iter().for_each(&mut enter);
        let newer = [minutes(9), None].map(|silence| Connection::silent_for(ada, silence));
        newer.iter().for_each(&mut enter);
        let [oldest, less_silent, most_silent, _] = connections.map(|connection| connection.id);
        assert_eq!(displaced[..2], [most_silent, less_silent], "a new one stays, however silent it is");
        assert_eq!(displaced[2], newer[0].id);
        let last = Connection::silent(ada);
        hub.enter(&last).unwrap();
        let displaced: Vec<_> =
            hub.take_surplus(ada, Some(last.id), |here| here - 3).iter().map(|other| other.id).collect();
        assert_eq!(displaced, [oldest]);
        assert_eq!(hub.connection_count(), 3);
    }
}
