//! All connections of this process, by user. Notifies users, or everyone, of events. Rooms notify their own
//! subscribers (`room`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId};
use parking_lot::RwLock;

use super::connection::Connection;
use crate::{
    chat::{
        event::{Envelope, Event},
        room::ById,
    },
    identity::{Caller, Ended},
};
use crate::{
    clock::Clock,
    error::{AuthError, Error, Result},
};

/// How long an ended login is remembered, for connections that were about to be accepted when it ended.
const REMEMBERED: Duration = Duration::from_secs(120);

pub(in crate::chat) struct Hub {
    clock: Clock,
    connections_per_user: usize,
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
    pub fn new(clock: Clock, connections_per_user: usize) -> Self {
        Self { clock, connections_per_user, state: RwLock::default() }
    }

    /// Adds a connection. Refuses it if its login has ended meanwhile. If the user has too many connections,
    /// also refuses it; but if it gives way, and an older one does too, removes the oldest of these and
    /// returns it, and the caller must close that one.
    pub fn enter(&self, connection: &Arc<Connection>) -> Result<Option<Arc<Connection>>> {
        let caller = connection.caller();
        let mut state = self.state.write();
        state.check(&caller)?;
        let here = state.users.entry(caller.user).or_insert_with(|| OnlineUser {
            username: caller.username.clone(),
            connections: Vec::new(),
            announced: false,
            departures: 0,
        });
        let mut replaced = None;
        if here.connections.len() >= self.connections_per_user {
            let oldest = here.connections.iter().position(|other| connection.gives_way && other.gives_way);
            let Some(oldest) = oldest else {
                return Err(Error::RateLimited { retry_after: Duration::from_secs(5) });
            };
            replaced = Some(here.connections.remove(oldest));
        }
        here.connections.push(connection.clone());
        Ok(replaced)
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

    /// The users who are online.
    pub fn online(&self) -> Vec<UserId> {
        let state = self.state.read();
        state.users.iter().filter(|(_, here)| here.announced).map(|(user, _)| *user).collect()
    }

    pub fn online_count(&self) -> usize {
        self.state.read().users.len()
    }

    pub fn connection_count(&self) -> usize {
        self.state.read().users.values().map(|here| here.connections.len()).sum()
    }

    pub fn of_user(&self, user: UserId) -> Vec<Arc<Connection>> {
        self.state.read().users.get(&user).map(|here| here.connections.clone()).unwrap_or_default()
    }

    /// The connections of these users, each with the value of its user.
    pub fn connections_among<'a, V>(&self, users: &'a ById<UserId, V>) -> Vec<(Arc<Connection>, &'a V)> {
        let state = self.state.read();
        let mut found = Vec::new();
        let mut add = |here: &OnlineUser, value: &'a V| {
            found.extend(here.connections.iter().map(|connection| (connection.clone(), value)));
        };
        // Iterates over the shorter of the two.
        if users.len() <= state.users.len() {
            for (user, value) in users {
                state.users.get(user).into_iter().for_each(|here| add(here, value));
            }
        } else {
            for (user, here) in &state.users {
                users.get(user).into_iter().for_each(|value| add(here, value));
            }
        }
        found
    }

    pub fn all(&self, except: Option<UserId>) -> Vec<Arc<Connection>> {
        let state = self.state.read();
        let others = state.users.iter().filter(|(user, _)| except != Some(**user));
        others.flat_map(|(_, here)| here.connections.iter().cloned()).collect()
    }

    /// Notifies a user. Returns whether any of their connections received it.
    pub fn notify_user(&self, user: UserId, event: Event) -> bool {
        self.notify_users([user], event)
    }

    /// Whether at least `bytes` bytes wait for one connection of the user.
    pub fn is_behind(&self, user: UserId, bytes: usize) -> bool {
        let state = self.state.read();
        let here = state.users.get(&user);
        here.is_some_and(|here| here.connections.iter().any(|connection| connection.waiting_bytes() >= bytes))
    }

    /// Notifies users. Returns whether any of their connections received it. The event is rendered once for
    /// all of them.
    pub fn notify_users(&self, users: impl IntoIterator<Item = UserId>, event: Event) -> bool {
        let envelope = Envelope::new(event);
        let mut heard = false;
        for connection in users.into_iter().flat_map(|user| self.of_user(user)) {
            heard |= connection.notify(&envelope);
        }
        heard
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
        let hub = Hub::new(Clock::real(), 20);
        let ada = UserId::new();
        let (first, second) = (Connection::silent(ada), Connection::silent(ada));
        hub.enter(&first).unwrap();
        hub.announce(ada, || {});
        let departure = hub.leave(&first).unwrap();
        let told = Mutex::new(Vec::new());
        std::thread::scope(|threads| {
            hub.confirm(&departure, || {
                threads.spawn(|| {
                    hub.enter(&second).unwrap();
                    hub.announce(ada, || told.lock().push("online"));
                });
                // Long enough for the other thread to be faster, if it can.
                std::thread::sleep(Duration::from_millis(100));
                told.lock().push("offline");
            });
        });
        assert_eq!(*told.lock(), ["offline", "online"]);
        assert!(hub.is_online(ada));
    }
}
