//! Limits for one user: requests per second, and quotas per hour. This module knows neither what is requested
//! nor who the caller is.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use entity::UserId;
use parking_lot::Mutex;

use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// Maximum number of remembered users. When it is reached, users whose full allowance is available again are
/// forgotten. If there are none, the eighth with the oldest last requests is forgotten.
const REMEMBERED: usize = 65_536;

/// The request rate of each user: an average per second, and a burst. Cheap to clone.
#[derive(Clone)]
pub struct RequestRate(Arc<Requests>);

struct Requests {
    clock: Clock,
    /// The time between two requests at the average rate.
    interval: TimeDelta,
    /// How far ahead of the average rate a user may be (the burst).
    ahead: TimeDelta,
    /// When the full allowance of each user is available again.
    full_at: Mutex<HashMap<UserId, DateTime<Utc>>>,
}

impl RequestRate {
    pub fn new(clock: Clock, per_second: u32, burst: u32) -> Self {
        let interval = TimeDelta::nanoseconds(1_000_000_000 / i64::from(per_second.max(1)));
        let ahead = interval * i32::try_from(burst.max(1)).unwrap_or(i32::MAX);
        Self(Arc::new(Requests { clock, interval, ahead, full_at: Mutex::default() }))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `rate_limited` with the time until the next request is permitted.
    pub fn take(&self, user: UserId) -> Result<()> {
        let Requests { clock, interval, ahead, full_at } = &*self.0;
        let now = clock.now();
        let mut full_at = full_at.lock();
        if full_at.len() >= REMEMBERED && !full_at.contains_key(&user) {
            make_room(&mut full_at, now, |at| *at);
        }
        let at = full_at.entry(user).or_insert(now);
        let next = (*at).max(now) + *interval;
        let over = next - now - *ahead;
        if over > TimeDelta::zero() {
            return Err(Error::rate_limited(over.to_std().unwrap_or_default()));
        }
        *at = next;
        Ok(())
    }
}

/// A quota of each user within a sliding window, e.g. groups created within an hour. It is in memory: a
/// restart clears it, and each node counts by itself. Cheap to clone.
#[derive(Clone)]
pub struct Quota(Arc<QuotaCounts>);

struct QuotaCounts {
    clock: Clock,
    most: usize,
    window: TimeDelta,
    users: Mutex<HashMap<UserId, Taken>>,
}

/// What was taken, and when: oldest first.
#[derive(Default)]
struct Taken {
    times: VecDeque<(DateTime<Utc>, usize)>,
    sum: usize,
}

impl Taken {
    fn forget_until(&mut self, then: DateTime<Utc>) {
        while let Some((_, count)) = self.times.pop_front_if(|(at, _)| *at <= then) {
            self.sum -= count;
        }
    }

    fn last(&self) -> DateTime<Utc> {
        self.times.back().map_or(DateTime::<Utc>::MIN_UTC, |(at, _)| *at)
    }
}

/// A part of a [`Quota`] that was taken. Dropping it gives the part back; call [`Share::keep`] once the work
/// is done.
#[must_use = "what was taken is given back when this is dropped"]
pub struct Share {
    quota: Quota,
    user: UserId,
    at: DateTime<Utc>,
    count: usize,
}

impl Share {
    /// The work is done: the part stays taken.
    pub fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.count == 0 {
            return;
        }
        let mut users = self.quota.0.users.lock();
        let Some(taken) = users.get_mut(&self.user) else { return };
        let mine = taken.times.iter_mut().find(|(at, count)| *at == self.at && *count >= self.count);
        if let Some((_, count)) = mine {
            *count -= self.count;
            taken.sum -= self.count;
            taken.times.retain(|(_, count)| *count > 0);
        }
    }
}

impl Quota {
    pub fn new(clock: Clock, most: usize, window: Duration) -> Self {
        let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        Self(Arc::new(QuotaCounts { clock, most, window, users: Mutex::default() }))
    }

    /// The maximum that one user may take within the window.
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// Takes `count` units, or none of them.
    ///
    /// # Errors
    /// `rate_limited` with the time until `count` units are available. More than [`Quota::most`] are never
    /// available; the caller refuses those before.
    pub fn take(&self, user: UserId, count: usize) -> Result<Share> {
        let QuotaCounts { clock, most, window, users } = &*self.0;
        let now = clock.now();
        let mut users = users.lock();
        if users.len() >= REMEMBERED && !users.contains_key(&user) {
            make_room(&mut users, now - *window, Taken::last);
        }
        let taken = users.entry(user).or_default();
        taken.forget_until(now - *window);
        let mut over = (taken.sum + count).saturating_sub(*most);
        if over > 0 {
            // The time until enough of the oldest entries have left the window.
            let free_at = taken.times.iter().find_map(|(at, count)| {
                over = over.saturating_sub(*count);
                (over == 0).then_some(*at + *window)
            });
            let wait = free_at.map_or(*window, |at| at - now);
            return Err(Error::rate_limited(wait.to_std().unwrap_or_default()));
        }
        // Times have whole milliseconds, and entries of the same time are merged.
        match taken.times.back_mut() {
            Some((at, sum)) if *at == now => *sum += count,
            _ if count > 0 => taken.times.push_back((now, count)),
            _ => {}
        }
        taken.sum += count;
        Ok(Share { quota: self.clone(), user, at: now, count })
    }
}

/// Forgets the users whose time is not after `then`. If there are none, forgets the eighth with the oldest
/// times.
fn make_room<T>(users: &mut HashMap<UserId, T>, then: DateTime<Utc>, last: impl Fn(&T) -> DateTime<Utc>) {
    users.retain(|_, value| last(value) > then);
    if users.len() >= REMEMBERED {
        let mut times: Vec<_> = users.values().map(&last).collect();
        let (_, quiet, _) = times.select_nth_unstable(REMEMBERED / 8);
        let quiet = *quiet;
        users.retain(|_, value| last(value) > quiet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn wait<T>(refused: Result<T>) -> Duration {
        match refused {
            Err(Error::RateLimited { retry_after }) => retry_after,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it passed"),
        }
    }

    #[test]
    fn a_user_has_a_burst_and_then_so_many_a_second() {
        // The test clock also advances with the machine's time. So the rate is low: one request per second.
        let clock = Clock::movable();
        let rate = RequestRate::new(clock.clone(), 1, 100);
        let (ada, bob) = (UserId::new(), UserId::new());
        (0..100).for_each(|_| rate.take(ada).unwrap());
        assert!(wait(rate.take(ada)) <= Duration::from_secs(1));
        rate.take(bob).unwrap();
        clock.advance(TimeDelta::seconds(2));
        (0..2).for_each(|_| rate.take(ada).unwrap());
        assert!(wait(rate.take(ada)) <= Duration::from_secs(1));
        clock.advance(TimeDelta::seconds(1_000));
        (0..100).for_each(|_| rate.take(ada).unwrap());
        wait(rate.take(ada));
    }

    #[test]
    fn a_quota_is_taken_whole_or_not_and_comes_back_after_its_window() {
        let clock = Clock::movable();
        let quota = Quota::new(clock.clone(), 10, HOUR);
        let ada = UserId::new();
        quota.take(ada, 4).unwrap().keep();
        clock.advance(TimeDelta::minutes(10));
        quota.take(ada, 6).unwrap().keep();
        let refused = wait(quota.take(ada, 1));
        assert!(refused <= HOUR - Duration::from_secs(599), "{refused:?}");
        let refused = wait(quota.take(ada, 5));
        assert!(refused > HOUR - Duration::from_secs(60), "the second must leave, too: {refused:?}");
        quota.take(ada, 0).unwrap().keep();
        quota.take(UserId::new(), 10).unwrap().keep();
        clock.advance(TimeDelta::minutes(51));
        quota.take(ada, 4).unwrap().keep();
        wait(quota.take(ada, 1));
    }

    #[test]
    fn what_came_to_nothing_is_given_back() {
        let quota = Quota::new(Clock::movable(), 3, HOUR);
        let ada = UserId::new();
        drop(quota.take(ada, 3).unwrap());
        let first = quota.take(ada, 2).unwrap();
        quota.take(ada, 1).unwrap().keep();
        drop(first);
        quota.take(ada, 2).unwrap().keep();
        wait(quota.take(ada, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let clock = Clock::movable();
        let (rate, quota) = (RequestRate::new(clock.clone(), 1, 1), Quota::new(clock.clone(), 1, HOUR));
        for _ in 0..REMEMBERED + 10 {
            let user = UserId::new();
            rate.take(user).unwrap();
            quota.take(user, 1).unwrap().keep();
        }
        assert!(rate.0.full_at.lock().len() <= REMEMBERED);
        assert!(quota.0.users.lock().len() <= REMEMBERED);
    }
}
