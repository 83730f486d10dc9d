//! Counts what went wrong, by key, and what is under way. Bounded and swept. [`super::guesses`] decides what
//! the keys are.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, futures::OwnedNotified};

/// Maximum number of remembered keys, about 200 bytes each. When that many are in use, the eighth that would
/// be forgotten first is forgotten. To make the server forget, an attacker first has to make that many
/// attempts, and each of them costs a password hash.
pub(super) const REMEMBERED: usize = 131_072;

/// How many are permitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// With that many counted, another one is refused.
    pub most: usize,
    /// With that many under way, another one waits.
    pub at_once: usize,
    pub forgets: Forgets,
}

/// When a counted one no longer counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forgets {
    /// Each one after this time: a sliding window.
    After(TimeDelta),
    /// One after the other, one in this time: a leaky bucket.
    OneIn(TimeDelta),
}

impl Rule {
    /// The longest time until nothing is counted any more.
    fn longest(&self) -> TimeDelta {
        match self.forgets {
            Forgets::After(time) => time,
            Forgets::OneIn(time) => {
                let most = i32::try_from(self.most).unwrap_or(i32::MAX);
                time.checked_mul(most).unwrap_or(TimeDelta::MAX).min(super::LONGEST)
            }
        }
    }

    fn until(&self, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
        match self.forgets {
            Forgets::After(time) => (now + time).max(last.unwrap_or(now)),
            Forgets::OneIn(time) => last.unwrap_or(now).max(now) + time,
        }
    }
}

/// Whether one more is permitted.
#[derive(Debug)]
pub(super) enum Admission {
    Yes,
    /// Not yet: what is under way may still go well. Ask again when one of them has ended.
    Wait(OwnedNotified),
    /// Not before this time has passed.
    No(TimeDelta),
}

#[derive(Debug)]
pub(super) struct Tally<K> {
    entries: HashMap<K, TallyEntry>,
    swept: DateTime<Utc>,
}

/// Never empty in the map.
#[derive(Debug, Default)]
struct TallyEntry {
    /// Until when each of the counted ones counts, ascending.
    until: VecDeque<DateTime<Utc>>,
    under_way: usize,
    /// Notified when one ends. Exists once somebody has waited.
    ended: Option<Arc<Notify>>,
}

impl TallyEntry {
    fn forget(&mut self, rule: &Rule, now: DateTime<Utc>) {
        while self.until.pop_front_if(|until| *until <= now).is_some() {}
        // The clock was set back. Nobody is refused for longer because of it.
        let latest = now + rule.longest();
        while self.until.pop_back_if(|until| *until > latest).is_some() {}
    }

    fn is_empty(&self) -> bool {
        self.until.is_empty() && self.under_way == 0
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.under_way == 0 && self.until.back().is_none_or(|until| *until <= now)
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { entries: HashMap::new(), swept: DateTime::UNIX_EPOCH }
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// Whether one more of this key is permitted. `elsewhere` says until when those count that others have counted.
    /// Without `counts`, what was counted is no reason to refuse it.
    pub fn ask(
        &mut self,
        key: &K,
        rule: &Rule,
        counts: bool,
        elsewhere: &[DateTime<Utc>],
        now: DateTime<Utc>,
    ) -> Admission {
        let mut entry = self.entries.get_mut(key);
        if let Some(entry) = &mut entry {
            entry.forget(rule, now);
        }
        let mut counted: Vec<DateTime<Utc>> = Vec::new();
        if counts {
            let here = entry.iter().flat_map(|entry| &entry.until);
            // The clock of another node may be wrong.
            let latest = now + rule.longest();
            counted.extend(here.chain(elsewhere.iter().filter(|until| **until > now && **until <= latest)));
            counted.sort_unstable();
        }
        if let Some(over) = counted.len().checked_sub(rule.most)
            && let Some(until) = counted.get(over)
        {
            return Admission::No(*until - now);
        }
        let Some(entry) = entry else { return Admission::Yes };
        let free = rule.at_once.min(rule.most.saturating_sub(counted.len()));
        if entry.under_way < free {
            return Admission::Yes;
        }
        Admission::Wait(entry.ended.get_or_insert_default().clone().notified_owned())
    }

    /// Until when one that ends now counts, after those that others have counted.
    pub fn until(
        &self,
        key: &K,
        rule: &Rule,
        elsewhere: &[DateTime<Utc>],
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let here = self.entries.get(key).and_then(|entry| entry.until.back());
        let last = here.into_iter().chain(elsewhere.last()).max().copied();
        rule.until(last.map(|last| last.min(now + rule.longest())), now)
    }

    /// The same for one that has just begun, if all that are under way go wrong before it.
    pub fn until_at_worst(
        &self,
        key: &K,
        rule: &Rule,
        elsewhere: &[DateTime<Utc>],
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let before = self.entries.get(key).map_or(0, |entry| entry.under_way.saturating_sub(1));
        let until = self.until(key, rule, elsewhere, now);
        match rule.forgets {
            Forgets::After(_) => until,
            Forgets::OneIn(time) => until + time * i32::try_from(before).unwrap_or(0),
        }
    }

    pub fn begin(&mut self, key: K, now: DateTime<Utc>) {
        self.sweep(now);
        if self.entries.len() >= REMEMBERED && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        self.entries.entry(key).or_default().under_way += 1;
    }

    /// One that had begun has ended. If it went wrong, it counts until then.
    pub fn end(&mut self, key: &K, until: Option<DateTime<Utc>>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.under_way = entry.under_way.saturating_sub(1);
        if let Some(until) = until {
            let later = entry.until.iter().rev().take_while(|other| **other > until).count();
            entry.until.insert(entry.until.len() - later, until);
        }
        if let Some(ended) = &entry.ended {
            ended.notify_waiters();
        }
        if entry.is_empty() {
            self.entries.remove(key);
        }
    }

    /// Forgets what was counted.
    pub fn clear(&mut self, key: &K) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.until.clear();
        if let Some(ended) = &entry.ended {
            ended.notify_waiters();
        }
        if entry.is_empty() {
            self.entries.remove(key);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every minute, forgets those that are over.
    fn sweep(&mut self, now: DateTime<Utc>) {
        if (now - self.swept).abs() > TimeDelta::minutes(1) {
            self.entries.retain(|_, entry| !entry.is_over(now));
            self.swept = now;
        }
    }

    fn make_room(&mut self, now: DateTime<Utc>) {
        let last = |entry: &TallyEntry| entry.until.back().copied().unwrap_or(now);
        make_room(&mut self.entries, now, |entry| {
            // What is under way stays.
            (entry.under_way == 0).then(|| last(entry))
        });
    }
}

/// Forgets the entries whose time has come. If there are none, forgets the eighth whose time comes first.
/// Entries without a time stay.
pub(super) fn make_room<K: Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    now: DateTime<Utc>,
    until: impl Fn(&V) -> Option<DateTime<Utc>>,
) {
    map.retain(|_, value| until(value).is_none_or(|until| until > now));
    if map.len() < REMEMBERED {
        return;
    }
    let mut times: Vec<_> = map.values().filter_map(&until).collect();
    let eighth = REMEMBERED / 8;
    if let Some(last) = times.len().checked_sub(1) {
        let (_, first, _) = times.select_nth_unstable(eighth.min(last));
        let first = *first;
        map.retain(|_, value| until(value).is_none_or(|until| until > first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Rule = Rule { most: 3, at_once: 3, forgets: Forgets::After(TimeDelta::minutes(5)) };
    const BUCKET: Rule = Rule { most: 3, at_once: 2, forgets: Forgets::OneIn(TimeDelta::minutes(10)) };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn goes_wrong(tally: &mut Tally<u8>, rule: &Rule, now: DateTime<Utc>) {
        tally.begin(1, now);
        let until = tally.until(&1, rule, &[], now);
        tally.end(&1, Some(until));
    }

    fn wait(tally: &mut Tally<u8>, rule: &Rule, now: DateTime<Utc>) -> Option<i64> {
        match tally.ask(&1, rule, true, &[], now) {
            Admission::No(wait) => Some(wait.num_seconds()),
            Admission::Yes => None,
            Admission::Wait(_) => panic!("nothing is under way"),
        }
    }

    #[test]
    fn a_window_forgets_each_after_its_time() {
        let mut tally = Tally::default();
        for seconds in [0, 10, 20] {
            assert_eq!(wait(&mut tally, &WINDOW, at(seconds)), None);
            goes_wrong(&mut tally, &WINDOW, at(seconds));
        }
        assert_eq!(wait(&mut tally, &WINDOW, at(20)), Some(280));
        assert!(matches!(tally.ask(&1, &WINDOW, false, &[], at(20)), Admission::Yes));
        assert_eq!(wait(&mut tally, &WINDOW, at(300)), None);
        goes_wrong(&mut tally, &WINDOW, at(300));
        assert_eq!(wait(&mut tally, &WINDOW, at(300)), Some(10));
    }

    #[test]
    fn a_bucket_forgets_one_at_a_time() {
        let mut tally = Tally::default();
        (0..3).for_each(|_| goes_wrong(&mut tally, &BUCKET, at(0)));
        assert_eq!(wait(&mut tally, &BUCKET, at(0)), Some(600));
        assert_eq!(wait(&mut tally, &BUCKET, at(600)), None);
        goes_wrong(&mut tally, &BUCKET, at(600));
        assert_eq!(wait(&mut tally, &BUCKET, at(600)), Some(600));
        assert_eq!(wait(&mut tally, &BUCKET, at(1_800)), None);
        tally.clear(&1);
        assert_eq!(wait(&mut tally, &BUCKET, at(1_800)), None);
    }

    #[tokio::test]
    async fn what_is_under_way_keeps_a_place_and_counts_only_if_it_goes_wrong() {
        let mut tally = Tally::default();
        goes_wrong(&mut tally, &WINDOW, at(0));
        (0..2).for_each(|_| tally.begin(1, at(0)));
        let Admission::Wait(ended) = tally.ask(&1, &WINDOW, true, &[], at(0)) else {
            panic!("a third place")
        };
        tally.end(&1, None);
        ended.await;
        assert!(matches!(tally.ask(&1, &WINDOW, true, &[], at(0)), Admission::Yes));
        tally.begin(1, at(0));
        for _ in 0..2 {
            let until = tally.until(&1, &WINDOW, &[], at(0));
            tally.end(&1, Some(until));
        }
        assert_eq!(wait(&mut tally, &WINDOW, at(0)), Some(300));
    }

    #[test]
    fn what_others_have_counted_counts_here_too() {
        let mut tally = Tally::default();
        let elsewhere = [at(300), at(310)];
        let wait = |tally: &mut Tally<u8>, now| match tally.ask(&1, &WINDOW, true, &elsewhere, now) {
            Admission::No(wait) => Some(wait.num_seconds()),
            _ => None,
        };
        assert_eq!(wait(&mut tally, at(20)), None);
        goes_wrong(&mut tally, &WINDOW, at(20));
        assert_eq!(wait(&mut tally, at(20)), Some(280));
        assert_eq!(wait(&mut tally, at(300)), None, "the first of the others is over");
        assert!(matches!(tally.ask(&1, &WINDOW, false, &elsewhere, at(20)), Admission::Yes));
        // A bucket forgets one at a time, whoever has counted them.
        assert_eq!(tally.until(&2, &BUCKET, &[at(1_000)], at(0)), at(1_600));
        assert!(matches!(tally.ask(&2, &WINDOW, true, &[at(5), at(6), at(7)], at(0)), Admission::No(_)));
    }

    #[test]
    fn a_clock_that_was_set_back_refuses_nobody_for_longer() {
        let mut tally = Tally::default();
        (0..3).for_each(|_| goes_wrong(&mut tally, &WINDOW, at(3_600)));
        assert_eq!(wait(&mut tally, &WINDOW, at(0)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_quiet_go_first() {
        let mut tally = Tally::default();
        tally.begin(usize::MAX, at(0));
        for number in 0..REMEMBERED + 10 {
            let now = at(number as i64 / 10_000);
            tally.begin(number, now);
            let until = tally.until(&number, &WINDOW, &[], now);
            tally.end(&number, Some(until));
        }
        assert!((REMEMBERED / 2..=REMEMBERED).contains(&tally.len()), "{}", tally.len());
        assert!(tally.entries.contains_key(&usize::MAX), "what is under way stays");
        assert!(tally.entries.contains_key(&REMEMBERED) && !tally.entries.contains_key(&0));
        tally.begin(0, at(1_000));
        assert_eq!(tally.len(), 2);
    }
}
