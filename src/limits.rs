//! Limits on attempts and events: wrong passwords (`guesses`), sign-ups of an address (`sign_ups`),
//! connections that have joined nothing (`pending`), events of a socket. `tally` counts, `network` says what
//! one address is, `known` where right passwords came from, `shared` what other nodes have counted. This module knows neither what is guessed nor who
//! the caller is.

mod guesses;
mod known;
mod network;
mod pending;
mod shared;
mod sign_ups;
mod sql;
mod tally;

use std::num::NonZeroU32;

use chrono::TimeDelta;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};

pub use self::{
    guesses::{Attempt, GuessLimits, Guesser, Guesses, Refused},
    network::is_same_network,
    pending::{Pending, PendingConnections},
    shared::SharedGuesses,
    sign_ups::SignUps,
};
use crate::error::{Error, Result};

/// A year has the same effect as no end, and cannot overflow.
const LONGEST: TimeDelta = TimeDelta::days(366);

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
        self.0
            .check()
            .map_err(|not_until| Error::rate_limited(not_until.wait_time_from(self.0.clock().now())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
