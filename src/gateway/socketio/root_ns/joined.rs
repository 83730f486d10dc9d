//! Which rooms a socket of the React rooms app has joined: only these does it hear. The app does not
//! join again when it comes back, so who has lost their only socket gets its rooms back for a while.

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
    /// Whether that is new.
    pub fn add(&self, room: RoomId) -> bool {
        self.0.lock().insert(room)
    }

    pub fn has(&self, room: RoomId) -> bool {
        self.0.lock().contains(&room)
    }
}

/// Who is here, and what those had joined who were here a moment ago. Cheap to clone.
#[derive(Clone, Default)]
pub struct Kept {
    state: Arc<Mutex<State>>,
    entries: Count,
}

impl Kept {
    /// `entries` counts the users that are remembered.
    pub fn new(entries: Count) -> Self {
        Self { state: Arc::default(), entries }
    }

    /// Whether sockets that were lost before the server started may still be on their way back.
    pub fn may_come_back(&self) -> bool {
        self.state.lock().since.elapsed() < KEPT_FOR
    }
}

/// Entries of users who are long gone are swept when as many again have come.
struct State {
    since: Instant,
    users: HashMap<UserId, Here>,
    sweep_at: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { since: Instant::now(), users: HashMap::new(), sweep_at: 0 }
    }
}

struct Here {
    /// In the order in which they came.
    sockets: Vec<Weak<Joined>>,
    /// What the last of them had joined, and when it was lost.
    lost: Option<(Instant, BTreeSet<RoomId>)>,
    _counted: Counted,
}

impl Here {
    fn new(counted: Counted) -> Self {
        Self { sockets: Vec::new(), lost: None, _counted: counted }
    }

    fn is_stale(&self, now: Instant) -> bool {
        let is_fresh = |(at, _): &(Instant, _)| now.duration_since(*at) < KEPT_FOR;
        self.sockets.is_empty() && !self.lost.as_ref().is_some_and(is_fresh)
    }
}

impl Kept {
    /// What the new socket has joined from the start, and whether its user was not known here.
    fn arrive(&self, user: UserId, now: Instant) -> (Arc<Joined>, bool) {
        let mut state = self.state.lock();
        if state.users.len() > state.sweep_at {
            state.users.retain(|_, here| !here.is_stale(now));
            state.sweep_at = (state.users.len() * 2).max(256);
        }
        let here = state.users.entry(user).or_insert_with(|| Here::new(self.entries.one()));
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
            // Known for as long, so that nobody looks for what was noted earlier.
            (Loss::None, []) => here.lost = Some((now, BTreeSet::new())),
            (_, []) => here.lost = Some((now, rooms)),
            // It was lost before the other one came; only the server did not know yet.
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

/// How a socket went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// By its client's will, or the server's.
    None,
    Noticed,
    /// It had been silent for a while.
    NoticedLate,
}

/// One socket's stay.
pub struct Visit {
    kept: Kept,
    user: UserId,
    joined: Arc<Joined>,
    /// Nobody here knows of an earlier socket of this user.
    pub is_news: bool,
    over: AtomicBool,
}

impl Visit {
    /// Begins with what the user's only socket had joined, if that was lost a moment ago.
    pub fn begin(kept: Kept, user: UserId) -> Self {
        let (joined, is_news) = kept.arrive(user, Instant::now());
        Self { kept, user, joined, is_news, over: AtomicBool::new(false) }
    }

    pub fn joined(&self) -> Arc<Joined> {
        self.joined.clone()
    }

    /// Whether the socket had not joined the room before.
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
            self.kept.leave(self.user, &self.joined, loss, Instant::now());
        }
    }
}

impl Drop for Visit {
    // Also where it never came in, which nobody is told about.
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
        let (kept, user, now) = (Kept::default(), UserId::new(), Instant::now());
        for (loss, later, gets_back) in [
            (Loss::Noticed, KEPT_FOR - Duration::from_millis(1), true),
            (Loss::Noticed, KEPT_FOR, false),
            (Loss::NoticedLate, Duration::ZERO, true),
            (Loss::None, Duration::ZERO, false),
        ] {
            let first = kept.arrive(user, now).0;
            let room = join(&first);
            kept.leave(user, &first, loss, now);
            let second = kept.arrive(user, now + later).0;
            assert_eq!(second.has(room), gets_back, "{loss:?} {later:?}");
            kept.leave(user, &second, Loss::None, now);
        }
    }

    #[test]
    fn rooms_come_back_once_and_to_their_user_only() {
        let (kept, user, now) = (Kept::default(), UserId::new(), Instant::now());
        let first = kept.arrive(user, now).0;
        let room = join(&first);
        kept.leave(user, &first, Loss::Noticed, now);
        assert!(!kept.arrive(UserId::new(), now).0.has(room));
        assert!(kept.arrive(user, now).0.has(room));
        assert!(!kept.arrive(user, now).0.has(room));
    }

    #[test]
    fn a_user_is_news_until_somebody_was_here_a_moment_ago() {
        let (kept, user, now) = (Kept::default(), UserId::new(), Instant::now());
        let (first, is_news) = kept.arrive(user, now);
        assert!(is_news);
        assert!(!kept.arrive(user, now).1);
        kept.leave(user, &first, Loss::Noticed, now);
        let other = UserId::new();
        let lost = kept.arrive(other, now).0;
        kept.leave(other, &lost, Loss::Noticed, now);
        assert!(!kept.arrive(other, now).1);
    }

    #[test]
    fn one_of_several_sockets_leaves_nothing() {
        let (kept, user, now) = (Kept::default(), UserId::new(), Instant::now());
        let first = kept.arrive(user, now).0;
        let second = kept.arrive(user, now).0;
        let room = join(&first);
        kept.leave(user, &first, Loss::Noticed, now);
        assert!(!second.has(room));
        kept.leave(user, &second, Loss::Noticed, now);
        assert!(!kept.arrive(user, now).0.has(room));
    }

    #[test]
    fn what_was_lost_before_the_next_came_is_handed_on_when_that_is_noticed() {
        let (kept, user, now) = (Kept::default(), UserId::new(), Instant::now());
        let silent = kept.arrive(user, now).0;
        let room = join(&silent);
        let next = kept.arrive(user, now).0;
        kept.leave(user, &silent, Loss::NoticedLate, now);
        assert!(next.has(room));
        // Not over what the next one has joined by itself, and not to an older one.
        let third = kept.arrive(user, now).0;
        let other = join(&third);
        kept.leave(user, &next, Loss::NoticedLate, now);
        assert!(third.has(other) && !third.has(room));
        let fourth = kept.arrive(user, now).0;
        let late = join(&fourth);
        kept.leave(user, &fourth, Loss::NoticedLate, now);
        assert!(!third.has(late));
    }

    #[test]
    fn those_who_are_long_gone_are_forgotten() {
        let (kept, now) = (Kept::default(), Instant::now());
        let come_and_go = |now| {
            let user = UserId::new();
            kept.leave(user, &kept.arrive(user, now).0, Loss::Noticed, now);
        };
        (0..1_000).for_each(|_| come_and_go(now));
        assert_eq!(kept.state.lock().users.len(), 1_000);
        (0..1_100).for_each(|_| come_and_go(now + KEPT_FOR));
        assert!(kept.state.lock().users.len() <= 1_100);
    }
}
