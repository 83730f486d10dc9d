//! What is wrong with this node alone, so that the proxy should send its clients elsewhere: it hears fewer nodes
//! over the bus than another one, or its clock differs from the database's. If the bus is away, no node hears it: then all stay ready,
//! and everything takes as long as a look.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// How long a node may hear less than another one. It connects again meanwhile.
const DEAF_FOR: Duration = Duration::from_secs(10);
/// By how much the clock of a node may differ: the times of messages come from it, and the ends of logins.
const SKEW: TimeDelta = TimeDelta::seconds(2);

/// See the module.
#[derive(Default)]
pub(in crate::chat) struct Fitness(Mutex<FitnessState>);

#[derive(Default)]
struct FitnessState {
    /// Since when this node hears fewer nodes than another one.
    deaf_since: Option<Instant>,
    skew: TimeDelta,
    /// What the log says.
    logged: Option<Unfit>,
}

/// Why this node alone should have no clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chat) enum Unfit {
    Deaf,
    Skewed,
}

impl Fitness {
    /// Why this node should have no clients, if it has a fault that others have not.
    pub fn unfit(&self) -> Option<Unfit> {
        self.0.lock().unfit(Instant::now())
    }

    /// By how much this node's clock is ahead of the database's. Less than that if the answer took long.
    pub fn skew(&self) -> TimeDelta {
        self.0.lock().skew
    }

    /// Whether this node hears fewer nodes than another one.
    pub(super) fn note_deaf(&self, is_deaf: bool) {
        let since = &mut self.0.lock().deaf_since;
        *since = is_deaf.then(|| since.unwrap_or_else(Instant::now));
    }

    /// The database has read its clock between two moments of this node's.
    pub(super) fn note_clock(&self, asked: DateTime<Utc>, database: DateTime<Utc>, answered: DateTime<Utc>) {
        self.0.lock().skew = skew(asked, database, answered);
    }

    /// Writes to the log if something is wrong now that was not, or the other way round.
    pub(super) fn log(&self) {
        let mut state = self.0.lock();
        let unfit = state.unfit(Instant::now());
        if unfit != state.logged {
            match unfit {
                Some(Unfit::Deaf) => {
                    tracing::error!("not ready: another node hears more nodes over the bus than this one")
                }
                Some(Unfit::Skewed) => {
                    let skew = state.skew.as_seconds_f64();
                    tracing::error!(skew, "not ready: the clock of this node differs from the database's");
                }
                None => tracing::info!("this node is as good as the others again"),
            }
            state.logged = unfit;
        }
    }

    /// This node is alone: there is nobody to differ from.
    pub(super) fn alone(&self) {
        *self.0.lock() = FitnessState::default();
    }
}

impl FitnessState {
    fn unfit(&self, now: Instant) -> Option<Unfit> {
        if self.skew.abs() > SKEW {
            return Some(Unfit::Skewed);
        }
        let deaf = self.deaf_since.filter(|since| now.saturating_duration_since(*since) >= DEAF_FOR);
        deaf.map(|_| Unfit::Deaf)
    }
}

/// The least difference that explains these times.
fn skew(asked: DateTime<Utc>, database: DateTime<Utc>, answered: DateTime<Utc>) -> TimeDelta {
    if database < asked {
        asked - database
    } else if database > answered {
        answered - database
    } else {
        TimeDelta::zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_that_the_way_cannot_explain_counts() {
        let at = |seconds: i64| DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap();
        for (asked, database, answered, expected) in
            [(10, 10, 10, 0), (10, 12, 14, 0), (10, 7, 10, 3), (10, 14, 11, -3), (10, 40, 60, 0)]
        {
            assert_eq!(skew(at(asked), at(database), at(answered)), TimeDelta::seconds(expected));
        }
        let fitness = Fitness::default();
        fitness.note_clock(at(10), at(13), at(10));
        assert_eq!(fitness.unfit(), Some(Unfit::Skewed));
        fitness.note_clock(at(10), at(12), at(10));
        assert_eq!(fitness.unfit(), None);
    }

    #[test]
    fn a_node_is_deaf_when_it_has_heard_less_than_another_one_for_some_time() {
        let fitness = Fitness::default();
        fitness.note_deaf(true);
        assert_eq!(fitness.unfit(), None, "it may hear in a moment");
        let later = Instant::now() + DEAF_FOR;
        assert_eq!(fitness.0.lock().unfit(later), Some(Unfit::Deaf));
        fitness.note_deaf(true);
        assert_eq!(fitness.0.lock().unfit(later), Some(Unfit::Deaf), "it counts from the beginning");
        fitness.note_deaf(false);
        assert_eq!(fitness.0.lock().unfit(later), None);
    }
}
