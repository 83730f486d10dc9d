//! Rate limits: wrong passwords per account and address, and events per socket. This module knows neither
//! what is guessed nor who the caller is.

mod pending;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use parking_lot::Mutex;

pub use self::pending::{Pending, PendingConnections};
use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// Maximum number of remembered pairs, and of remembered addresses: about 10 MB. When that many are within
/// the window, the eighth with the oldest last attempts is forgotten. To make the server forget, an attacker
/// first has to make that many attempts, and each of them costs a password hash.
const REMEMBERED: usize = 65_536;

/// Wrong passwords within a sliding window, counted per account and address, and per address alone.
///
/// `account` is whatever is guessed. Two kinds of it (logins, room passwords) need different prefixes;
/// otherwise a success with one kind clears the failures of the other. An IPv6 network of 64 bits counts as
/// one address, because that is what one household or one rented machine gets.
#[derive(Clone)]
pub struct Failures(Arc<FailureLimits>);

struct FailureLimits {
    clock: Clock,
    per_account: usize,
    per_address: usize,
    window: TimeDelta,
    /// Accounts are remembered by hash: the text that people type may be long, and it is private.
    names: RandomState,
    counted: Mutex<FailureCounts>,
}

type Pair = (u64, IpAddr);
/// The times of the counted attempts, oldest first. Never empty in a map.
type Times = VecDeque<DateTime<Utc>>;

#[derive(Default)]
struct FailureCounts {
    pairs: HashMap<Pair, Times>,
    addresses: HashMap<IpAddr, Times>,
    swept: DateTime<Utc>,
}

/// An attempt in progress. It counts as failed from the start, so that a hundred attempts at the same time
/// cannot exceed the limit. Dropping it leaves it counted.
#[must_use = "an attempt counts as failed until it is told how it ended"]
pub struct Attempt {
    failures: Failures,
    pair: Pair,
    at: DateTime<Utc>,
}

impl Failures {
    pub fn new(clock: Clock, per_account: u32, per_address: u32, window: Duration) -> Self {
        Self(Arc::new(FailureLimits {
            clock,
            per_account: (per_account as usize).max(1),
            per_address: (per_address as usize).max(1),
            // A year has the same effect as no end, and cannot overflow.
            window: TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX).min(TimeDelta::days(366)),
            names: RandomState::new(),
            counted: Mutex::default(),
        }))
    }

    /// Permits one attempt, or returns `RateLimited` with the time until the next one is permitted. A refused
    /// attempt does not count.
    pub fn attempt(&self, account: &str, address: IpAddr) -> Result<Attempt> {
        let limits = &*self.0;
        let address = network(address);
        let pair = (limits.names.hash_one(account), address);
        let mut counted = limits.counted.lock();
        // The time is read under the lock, so that times are in order.
        let at = limits.clock.now();
        let stale = at - limits.window;
        counted.sweep(at, stale);

        let by_pair = frees_at(&mut counted.pairs, &pair, limits.per_account, stale);
        let by_address = frees_at(&mut counted.addresses, &address, limits.per_address, stale);
        if let Some(oldest) = by_pair.max(by_address) {
            // A clock that was set back must not refuse anybody for longer than the window.
            let wait = (oldest - stale).clamp(TimeDelta::milliseconds(1), limits.window);
            // The log does not say which account: people type their passwords into the wrong field.
            tracing::info!(client = %address, "refused to look at another guess");
            return Err(Error::RateLimited { retry_after: wait.to_std().unwrap_or_default() });
        }
        count(&mut counted.pairs, pair, at, stale);
        count(&mut counted.addresses, address, at, stale);
        Ok(Attempt { failures: self.clone(), pair, at })
    }
}

impl Attempt {
    /// The password was right: forgets the failures of this account and address. Other failures of the
    /// address stay; otherwise a login to one's own account would permit more guesses at other accounts.
    pub fn succeeded(self) {
        let mut counted = self.failures.0.counted.lock();
        counted.pairs.remove(&self.pair);
        uncount(&mut counted.addresses, &self.pair.1, self.at);
    }

    /// Nothing was checked, because of a fault of the server: the attempt does not count.
    pub fn withdraw(self) {
        let mut counted = self.failures.0.counted.lock();
        uncount(&mut counted.pairs, &self.pair, self.at);
        uncount(&mut counted.addresses, &self.pair.1, self.at);
    }
}

impl FailureCounts {
    /// Once per window, forgets those with no attempt within the window.
    fn sweep(&mut self, now: DateTime<Utc>, stale: DateTime<Utc>) {
        if self.swept < stale {
            forget_quiet(&mut self.pairs, stale);
            forget_quiet(&mut self.addresses, stale);
            self.swept = now;
        }
    }
}

/// The counted attempt that has to leave the window before another is permitted; none if one is permitted
/// now.
fn frees_at<K: Eq + Hash>(
    map: &mut HashMap<K, Times>,
    key: &K,
    limit: usize,
    stale: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let times = map.get_mut(key)?;
    while times.front().is_some_and(|at| *at <= stale) {
        times.pop_front();
    }
    let blocking = times.len().checked_sub(limit).and_then(|index| times.get(index)).copied();
    if times.is_empty() {
        map.remove(key);
    }
    blocking
}

fn count<K: Eq + Hash>(map: &mut HashMap<K, Times>, key: K, at: DateTime<Utc>, stale: DateTime<Utc>) {
    if map.len() >= REMEMBERED && !map.contains_key(&key) {
        make_room(map, stale);
    }
    map.entry(key).or_default().push_back(at);
}

fn uncount<K: Eq + Hash>(map: &mut HashMap<K, Times>, key: &K, at: DateTime<Utc>) {
    if let Some(times) = map.get_mut(key) {
        if let Some(index) = times.iter().rposition(|time| *time == at) {
            times.remove(index);
        }
        if times.is_empty() {
            map.remove(key);
        }
    }
}

fn forget_quiet<K: Eq + Hash>(map: &mut HashMap<K, Times>, until: DateTime<Utc>) {
    map.retain(|_, times| times.back().is_some_and(|last| *last > until));
}

fn make_room<K: Eq + Hash>(map: &mut HashMap<K, Times>, stale: DateTime<Utc>) {
    forget_quiet(map, stale);
    if map.len() >= REMEMBERED {
        let mut last: Vec<_> = map.values().filter_map(|times| times.back().copied()).collect();
        let (_, quiet, _) = last.select_nth_unstable(REMEMBERED / 8);
        forget_quiet(map, *quiet);
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Limits the events of one socket: a rate per second, and a burst.
pub struct EventBudget(DefaultDirectRateLimiter);

impl EventBudget {
    pub fn new(per_second: u32, burst: u32) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        Self(RateLimiter::direct(quota))
    }

    /// Spends one event, or returns the time until one is available.
    pub fn take(&self) -> Result<()> {
        self.0.check().map_err(|not_until| Error::RateLimited {
            retry_after: not_until.wait_time_from(self.0.clock().now()).max(Duration::from_millis(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_secs(300);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn refused(attempt: Result<Attempt>) -> Duration {
        match attempt.map(drop) {
            Err(Error::RateLimited { retry_after }) => retry_after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sixth_wrong_attempt_waits_until_the_first_leaves_the_window() {
        let clock = Clock::movable();
        let failures = Failures::new(clock.clone(), 5, 100, MINUTES);
        let here = ip("192.0.2.1");
        for _ in 0..5 {
            drop(failures.attempt("ada", here).unwrap());
            clock.advance(TimeDelta::seconds(10));
        }
        let wait = refused(failures.attempt("ada", here));
        assert!((249..=250).contains(&wait.as_secs()), "{wait:?}");
        // Another account, and the same account from another address, are not affected.
        failures.attempt("bob", here).unwrap().succeeded();
        failures.attempt("ada", ip("192.0.2.2")).unwrap().succeeded();
        clock.advance(TimeDelta::seconds(251));
        drop(failures.attempt("ada", here).unwrap());
        assert!(refused(failures.attempt("ada", here)) <= Duration::from_secs(10));
    }

    #[test]
    fn attempts_under_way_count() {
        let failures = Failures::new(Clock::movable(), 3, 100, MINUTES);
        let under_way: Vec<_> = (0..3).map(|_| failures.attempt("ada", ip("192.0.2.1")).unwrap()).collect();
        refused(failures.attempt("ada", ip("192.0.2.1")));
        drop(under_way);
        refused(failures.attempt("ada", ip("192.0.2.1")));
    }

    #[test]
    fn threads_racing_get_no_more_than_the_limit() {
        let failures = Failures::new(Clock::real(), 5, 100, MINUTES);
        let racing = || (0..50).filter(|_| failures.attempt("ada", ip("192.0.2.1")).is_ok()).count();
        let allowed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(racing)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, 5);
    }

    #[test]
    fn success_forgives_the_pair_but_not_the_address() {
        let failures = Failures::new(Clock::movable(), 5, 6, MINUTES);
        let here = ip("192.0.2.1");
        for _ in 0..4 {
            drop(failures.attempt("ada", here).unwrap());
        }
        failures.attempt("ada", here).unwrap().succeeded();
        for account in ["bob", "eve"] {
            drop(failures.attempt(account, here).unwrap());
        }
        refused(failures.attempt("ada", here));
        drop(failures.attempt("ada", ip("192.0.2.2")).unwrap());
    }

    #[test]
    fn an_attempt_that_was_never_made_is_not_counted() {
        let failures = Failures::new(Clock::movable(), 1, 1, MINUTES);
        failures.attempt("ada", ip("192.0.2.1")).unwrap().withdraw();
        drop(failures.attempt("ada", ip("192.0.2.1")).unwrap());
        refused(failures.attempt("ada", ip("192.0.2.1")));
    }

    #[test]
    fn one_ipv6_network_and_one_mapped_address_are_one_address() {
        let failures = Failures::new(Clock::movable(), 1, 100, MINUTES);
        drop(failures.attempt("ada", ip("2001:db8::1")).unwrap());
        refused(failures.attempt("ada", ip("2001:db8::ffff:2")));
        drop(failures.attempt("ada", ip("2001:db8:0:1::1")).unwrap());
        drop(failures.attempt("ada", ip("192.0.2.1")).unwrap());
        refused(failures.attempt("ada", ip("::ffff:192.0.2.1")));
    }

    #[test]
    fn memory_is_bounded_and_the_quiet_go_first() {
        let clock = Clock::movable();
        let failures = Failures::new(clock.clone(), 1, 1_000_000, MINUTES);
        let here = ip("192.0.2.1");
        for number in 0..REMEMBERED + 10 {
            clock.advance(TimeDelta::milliseconds(1));
            drop(failures.attempt(&number.to_string(), here).unwrap());
        }
        let remembered = failures.0.counted.lock().pairs.len();
        assert!((REMEMBERED * 7 / 8..=REMEMBERED).contains(&remembered), "{remembered}");
        refused(failures.attempt(&REMEMBERED.to_string(), here));
        drop(failures.attempt("0", here).unwrap());

        clock.advance(TimeDelta::seconds(601));
        drop(failures.attempt("again", here).unwrap());
        let counted = failures.0.counted.lock();
        assert_eq!((counted.pairs.len(), counted.addresses.len()), (1, 1));
    }

    #[test]
    fn an_event_budget_allows_its_burst_and_says_how_long_to_wait() {
        let budget = EventBudget::new(1, 3);
        for _ in 0..3 {
            budget.take().unwrap();
        }
        let Err(Error::RateLimited { retry_after }) = budget.take() else {
            panic!("a fourth event passed");
        };
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(1), "{retry_after:?}");
    }
}
