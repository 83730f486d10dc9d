//! From which networks the right password of an account came not long ago.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use super::tally::{REMEMBERED, make_room};

/// An account, by the hash of its name, and a network.
type KnownPlace = (u64, IpNet);

/// See the module. At most [`REMEMBERED`] places, the newest ones.
#[derive(Debug)]
pub(super) struct Known {
    lasts: TimeDelta,
    until: HashMap<KnownPlace, DateTime<Utc>>,
}

impl Known {
    pub fn new(lasts: TimeDelta) -> Self {
        Self { lasts, until: HashMap::new() }
    }

    pub fn note(&mut self, place: KnownPlace, now: DateTime<Utc>) {
        if self.until.len() >= REMEMBERED && !self.until.contains_key(&place) {
            make_room(&mut self.until, now, |until| Some(*until));
        }
        self.until.insert(place, now + self.lasts);
    }

    pub fn contains(&self, place: &KnownPlace, now: DateTime<Utc>) -> bool {
        self.until.get(place).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_known_for_a_while_and_memory_is_bounded() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut known = Known::new(TimeDelta::days(30));
        let here: IpNet = "192.0.2.1/32".parse().unwrap();
        known.note((1, here), now);
        assert!(known.contains(&(1, here), now + TimeDelta::days(29)));
        assert!(!known.contains(&(1, here), now + TimeDelta::days(31)));
        assert!(!known.contains(&(2, here), now));
        for account in 0..REMEMBERED as u64 + 10 {
            known.note((account, here), now + TimeDelta::milliseconds(account as i64));
        }
        assert!(known.until.len() <= REMEMBERED);
        assert!(known.contains(&(REMEMBERED as u64, here), now));
    }
}
