//! Who is connected here, by user. Tells events to users and to everyone; rooms tell their own
//! listeners (roster).

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId};
use parking_lot::RwLock;

use super::{
    caller::{Caller, Ended},
    connection::Connection,
    event::{Envelope, Event},
    roster::ById,
};
use crate::{
    clock::Clock,
    error::{Error, Result, Why},
};

/// Logins that ended this long ago are still remembered, for connections that were on their way in.
const REMEMBERED: Duration = Duration::from_secs(120);

pub(super) struct Hub {
    clock: Clock,
    connections_per_user: usize,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, Here>,
    sessions_ended: HashMap<SessionId, DateTime<Utc>>,
    users_ended: HashMap<UserId, (DateTime<Utc>, Option<SessionId>)>,
}

impl State {
    fn check(&self, caller: &Caller) -> Result<()> {
        let by_user = self.users_ended.get(&caller.user);
        let ended = self.sessions_ended.contains_key(&caller.session)
            || by_user.is_some_and(|(at, spare)| {
                *spare != Some(caller.session) && made_at(caller.session) <= at.timestamp_millis()
            });
        if ended { Err(Error::Unauthenticated(Why::TokenRevoked)) } else { Ok(()) }
    }
}

/// When a login was made, in Unix milliseconds: session ids are version 7 and tell. One that was made
/// after all others of its user were ended is not one of those.
fn made_at(session: SessionId) -> i64 {
    let made = session.0.get_timestamp().map(|time| time.to_unix());
    made.map_or(0, |(seconds, nanos)| {
        i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000) + i64::from(nanos / 1_000_000)
    })
}

/// A user with connections, or one whose last went a moment ago.
struct Here {
    username: Arc<str>,
    connections: Vec<Arc<Connection>>,
    /// Others were told that this user is online, and not yet that they have gone.
    announced: bool,
    /// Counts departures, so that a grace period notices that it was overtaken.
    departures: u64,
}

/// What the last connection of a user leaves behind: come back with it when the grace is over.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    pub user: UserId,
    pub username: Arc<str>,
    count: u64,
}

impl Hub {
    pub fn new(clock: Clock, connections_per_user: usize) -> Self {
        Self { clock, connections_per_user, state: RwLock::default() }
    }

    /// Enters a connection, refusing one whose login ended on its way in. One too many is refused,
    /// too, or takes the place of the oldest that gives way, which is then to be closed.
    pub fn enter(&self, connection: &Arc<Connection>) -> Result<Option<Arc<Connection>>> {
        let caller = connection.caller();
        let mut state = self.state.write();
        state.check(&caller)?;
        let here = state.users.entry(caller.user).or_insert_with(|| Here {
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

    /// Refuses a login that ended a moment ago: whoever checked it against the database before that
    /// may have been passed by.
    pub fn check(&self, caller: &Caller) -> Result<()> {
        self.state.read().check(caller)
    }

    /// The logins that connections here belong to.
    pub fn sessions(&self) -> Vec<SessionId> {
        let state = self.state.read();
        let all = state.users.values().flat_map(|here| &here.connections);
        all.map(|connection| connection.caller().session).collect()
    }

    /// Marks a user as online, and calls `tell` if they were not before. It is called under the lock, so that
    /// online and offline are told in the order in which they happened; it must not ask the hub anything.
    pub fn announce(&self, user: UserId, tell: impl FnOnce()) {
        let mut state = self.state.write();
        if let Some(here) = state.users.get_mut(&user)
            && !std::mem::replace(&mut here.announced, true)
        {
            tell();
        }
    }

    /// A connection has gone. Where it was the last of an announced user, the departure to come
    /// back with.
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

    /// The grace is over: if the user is still gone, they are offline from here on, and `tell` is called, under
    /// the lock as in [`Hub::announce`].
    pub fn confirm(&self, departure: &Departure, tell: impl FnOnce()) {
        let mut state = self.state.write();
        let gone = state
            .users
            .get(&departure.user)
            .is_some_and(|here| here.connections.is_empty() && here.departures == departure.count);
        if gone {
            state.users.remove(&departure.user);
            tell();
        }
    }

    pub fn is_online(&self, user: UserId) -> bool {
        self.state.read().users.get(&user).is_some_and(|here| here.announced)
    }

    /// Users who are online.
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

    /// The connections of those of these users who are here, each with what is known of its user.
    pub fn connections_among<'a, V>(&self, users: &'a ById<UserId, V>) -> Vec<(Arc<Connection>, &'a V)> {
        let state = self.state.read();
        let mut found = Vec::new();
        let mut add = |here: &Here, value: &'a V| {
            found.extend(here.connections.iter().map(|connection| (connection.clone(), value)));
        };
        // The shorter of the two is gone through.
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

    /// Whether any connection of the user has heard it.
    pub fn tell_user(&self, user: UserId, event: Event) -> bool {
        self.tell_users([user], event)
    }

    /// Whether as many bytes as this wait for a connection of the user.
    pub fn is_behind(&self, user: UserId, bytes: usize) -> bool {
        let state = self.state.read();
        let here = state.users.get(&user);
        here.is_some_and(|here| here.connections.iter().any(|connection| connection.waiting_bytes() >= bytes))
    }

    /// Whether any connection of the users has heard it; rendered once for all of them.
    pub fn tell_users(&self, users: impl IntoIterator<Item = UserId>, event: Event) -> bool {
        let envelope = Envelope::new(event);
        let mut heard = false;
        for connection in users.into_iter().flat_map(|user| self.of_user(user)) {
            heard |= connection.tell(&envelope);
        }
        heard
    }

    /// Takes note that logins ended and returns their connections.
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
                // Long enough for the thread to overtake, if it can.
                std::thread::sleep(Duration::from_millis(100));
                told.lock().push("offline");
            });
        });
        assert_eq!(*told.lock(), ["offline", "online"]);
        assert!(hub.is_online(ada));
    }
}
