//! The rooms that a socket of the React rooms app has joined. The socket receives only the messages of these
//! rooms. The app does not join again after it reconnects. So if a user's only socket was lost, the next one
//! gets its rooms, for a limited time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use entity::{RoomId, UserId};
use parking_lot::Mutex;
use socketioxide::socket::DisconnectReason;

use crate::counts::{Count, Counted};

/// How long the rooms of a lost socket are kept.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// The rooms that one socket has joined.
#[derive(Default)]
pub struct Joined(Mutex<BTreeSet<RoomId>>);

impl Joined {
    /// Returns whether the room was not joined before.
    pub fn add(&self, room: RoomId) -> bool {
        self.0.lock().insert(room)
    }

    pub fn has(&self, room: RoomId) -> bool {
        self.0.lock().contains(&room)
    }
}

/// The connected users, and the rooms of the users whose only socket was lost a moment ago. Cheap to clone.
#[derive(Clone, Default)]
pub struct Lost {
    state: Arc<Mutex<Visitors>>,
    entries: Count,
}

impl Lost {
    /// `entries` counts the remembered users.
    pub fn new(entries: Count) -> Self {
        Self { state: Arc::default(), entries }
    }

    /// Whether sockets that were lost before the server started may still reconnect.
    pub fn may_reconnect(&self) -> bool {
        self.state.lock().since.elapsed() < KEPT_FOR
    }
}

/// Entries of users without a recent socket are removed when the number of entries has doubled.
struct Visitors {
    since: Instant,
    users: HashMap<UserId, Visitor>,
    sweep_at: usize,
}

impl Default for Visitors {
    fn default() -> Self {
        Self { since: Instant::now(), users: HashMap::new(), sweep_at: 0 }
    }
}

struct Visitor {
    /// In the order of their arrival.
    sockets: Vec<Weak<Joined>>,
    /// The rooms of the last socket, and when it was lost.
    lost: Option<(Instant, BTreeSet<RoomId>)>,
    _counted: Counted,
}

impl Visitor {
    fn new(counted: Counted) -> Self {
        Self { sockets: Vec::new(), lost: None, _counted: counted }
    }

    fn is_stale(&self, now: Instant) -> bool {
        let is_fresh = |(at, _): &(Instant, _)| now.duration_since(*at) < KEPT_FOR;
        self.sockets.is_empty() && !self.lost.as_ref().is_some_and(is_fresh)
    }
}

impl Lost {
    /// The rooms that the new socket has joined from the start, and whether its user was unknown here.
    fn arrive(&self, user: UserId, now: Instant) -> (Arc<Joined>, bool) {
        let mut state = self.state.lock();
        if state.users.len() > state.sweep_at {
            state.users.retain(|_, here| !here.is_stale(now));
            state.sweep_at = (state.users.len() * 2).max(256);
        }
        let here = state.users.entry(user).or_insert_with(|| Visitor::new(self.entries.one()));
        let is_news = here.is_stale(now);
        let lost = here.lost.take().filter(|(at, _)| now.duration_since(*at) < KEPT_FOR);
        let joined = Arc::new(Joined(Mutex::new(lost.map(|(_, rooms)| rooms).unwrap_or_default())));
        here.sockets.push(Arc::downgrade(&joined));
        (joined, is_news)
    }

    fn leave(&self, user: UserId, joined: &Arc<Joined>, loss: Loss, now: Instant) {
        let mut state = self.state.lock();
        let Some(here) = state.users.get_mut(&user) else { return };
        let place = here.sockets.iter().position(|socket| socket.as_ptr() == Arc::as_ptr(joined));
        let Some(place) = place else { return };
        here.sockets.remove(place);
        let rooms = joined.0.lock().clone();
        match (loss, here.sockets.as_slice()) {
            // The entry is kept for the same time, so that nobody reads the older entries of the database.
            (Loss::None, []) => here.lost = Some((now, BTreeSet::new())),
            (_, []) => here.lost = Some((now, rooms)),
            // This socket was lost before the other one connected, but the server noticed it later.
            (Loss::NoticedLate, [other]) if place == 0 => {
                if let Some(other) = other.upgrade() {
                    let mut theirs = other.0.lock();
                    if theirs.is_empty() {
                        *theirs = rooms;
                    }
                }
            }
            _ => {}
        }
    }
}

/// How a socket disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The client or the server ended it on purpose.
    None,
    Noticed,
    /// The socket had been silent for some time.
    NoticedLate,
}

/// One socket, from its arrival to its end.
pub struct Visit {
    lost: Lost,
    user: UserId,
    joined: Arc<Joined>,
    /// Whether no earlier socket of this user is known here.
    pub is_news: bool,
    over: AtomicBool,
}

impl Visit {
    /// Begins with the rooms of the user's only socket, if that socket was lost a moment ago.
    pub fn begin(lost: Lost, user: UserId) -> Self {
        let (joined, is_news) = lost.arrive(user, Instant::now());
        Self { lost, user, joined, is_news, over: AtomicBool::new(false) }
    }

    pub fn has_joined(&self, room: RoomId) -> bool {
        self.joined.has(room)
    }

    /// Returns whether the socket had not joined the room before.
    pub fn join(&self, room: RoomId) -> bool {
        self.joined.add(room)
    }

    pub fn over(&self, reason: DisconnectReason) {
        self.end(match reason {
            DisconnectReason::ClientNSDisconnect | DisconnectReason::ServerNSDisconnect => Loss::None,
            DisconnectReason::HeartbeatTimeout => Loss::NoticedLate,
            _ => Loss::Noticed,
        });
    }

    fn end(&self, loss: Loss) {
        if !self.over.swap(true, Ordering::SeqCst) {
            self.lost.leave(self.user, &self.joined, loss, Instant::now());
        }
    }
}

impl Drop for Visit {
    // Also runs if the socket was never accepted, which is reported nowhere else.
    fn drop(&mut self) {
        self.end(Loss::Noticed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(joined: &Joined) -> RoomId {
        let room = RoomId::new();
        joined.add(room);
        room
    }

    #[test]
    fn a_lost_only_socket_leaves_its_rooms_to_the_next() {
        let (lost, user, now) = (Lost::default(), UserId::new(), Instant::now());
        for (loss, later, gets_back) in [
            (Loss::Noticed, KEPT_FOR - Duration::from_millis(1), true),
            (Loss::Noticed, KEPT_FOR, false),
            (Loss::NoticedLate, Duration::ZERO, true),
            (Loss::None, Duration::ZERO, false),
        ] {
            let first = lost.arrive(user, now).0;
            let room = join(&first);
            lost.leave(user, &first, loss, now);
            let second = lost.arrive(user, now + later).0;
            assert_eq!(second.has(room), gets_back, "{loss:?} {later:?}");
            lost.leave(user, &second, Loss::None, now);
        }
    }

    #[test]
    fn rooms_come_back_once_and_to_their_user_only() {
        let (lost, user, now) = (Lost::default(), UserId::new(), Instant::now());
        let first = lost.arrive(user, now).0;
        let room = join(&first);
        lost.leave(user, &first, Loss::Noticed, now);
        assert!(!lost.arrive(UserId::new(), now).0.has(room));
        assert!(lost.arrive(user, now).0.has(room));
        assert!(!lost.arrive(user, now).0.has(room));
    }

    #[test]
    fn a_user_is_news_until_somebody_was_here_a_moment_ago() {
        let (lost, user, now) = (Lost::default(), UserId::new(), Instant::now());
        let (first, is_news) = lost.arrive(user, now);
        assert!(is_news);
        assert!(!lost.arrive(user, now).1);
        lost.leave(user, &first, Loss::Noticed, now);
        let other = UserId::new();
        let joined = lost.arrive(other, now).0;
        lost.leave(other, &joined, Loss::Noticed, now);
        assert!(!lost.arrive(other, now).1);
    }

    #[test]
    fn one_of_several_sockets_leaves_nothing() {
        let (lost, user, now) = (Lost::default(), UserId::new(), Instant::now());
        let first = lost.arrive(user, now).0;
        let second = lost.arrive(user, now).0;
        let room = join(&first);
        lost.leave(user, &first, Loss::Noticed, now);
        assert!(!second.has(room));
        lost.leave(user, &second, Loss::Noticed, now);
        assert!(!lost.arrive(user, now).0.has(room));
    }

    #[test]
    fn what_was_lost_before_the_next_came_is_handed_on_when_that_is_noticed() {
        let (lost, user, now) = (Lost::default(), UserId::new(), Instant::now());
        let silent = lost.arrive(user, now).0;
        let room = join(&silent);
        let next = lost.arrive(user, now).0;
        lost.leave(user, &silent, Loss::NoticedLate, now);
        assert!(next.has(room));
        // It does not replace the rooms that the next socket has joined itself, and it does not pass them to
        // an older socket.
        let third = lost.arrive(user, now).0;
        let other = join(&third);
        lost.leave(user, &next, Loss::NoticedLate, now);
        assert!(third.has(other) && !third.has(room));
        let fourth = lost.arrive(user, now).0;
        let late = join(&fourth);
        lost.leave(user, &fourth, Loss::NoticedLate, now);
        assert!(!third.has(late));
    }

    #[test]
    fn those_who_are_long_gone_are_forgotten() {
        let (lost, now) = (Lost::default(), Instant::now());
        let come_and_go = |now| {
            let user = UserId::new();
            lost.leave(user, &lost.arrive(user, now).0, Loss::Noticed, now);
        };
        (0..1_000).for_each(|_| come_and_go(now));
        assert_eq!(lost.state.lock().users.len(), 1_000);
        (0..1_100).for_each(|_| come_and_go(now + KEPT_FOR));
        assert!(lost.state.lock().users.len() <= 1_100);
    }
}
