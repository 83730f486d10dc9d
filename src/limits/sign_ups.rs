//! Sign-ups of one address within an hour.

use std::{net::IpAddr, sync::Arc};

use chrono::TimeDelta;
use ipnet::IpNet;
use parking_lot::Mutex;

use super::{
    network::networks,
    tally::{Admission, Forgets, Rule, Tally},
};
use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct SignUps(Arc<Limit>);

struct Limit {
    clock: Clock,
    rule: Rule,
    counted: Mutex<Tally<IpNet>>,
}

impl SignUps {
    /// `most` within an hour.
    pub fn new(clock: Clock, most: u32) -> Self {
        let rule =
            Rule { most: most as usize, at_once: usize::MAX, forgets: Forgets::After(TimeDelta::hours(1)) };
        Self(Arc::new(Limit { clock, rule, counted: Mutex::default() }))
    }

    /// Counts a sign-up, whether it succeeds or not.
    ///
    /// # Errors
    /// `rate_limited` with the time until the address may sign up again.
    pub fn count(&self, address: IpAddr) -> Result<()> {
        let Limit { clock, rule, counted } = &*self.0;
        let mut counted = counted.lock();
        let now = clock.now();
        let refused =
            networks(address).filter_map(|network| match counted.ask(&network, rule, true, &[], now) {
                Admission::No(wait) => Some(wait),
                Admission::Yes | Admission::Wait(_) => None,
            });
        if let Some(wait) = refused.max() {
            return Err(Error::rate_limited(wait.to_std().unwrap_or_default()));
        }
        for network in networks(address) {
            counted.begin(network, now);
            let until = counted.until(&network, rule, &[], now);
            counted.end(&network, Some(until));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_sign_up_so_often_an_hour() {
        let clock = Clock::movable();
        let sign_ups = SignUps::new(clock.clone(), 2);
        let count = |address: &str| sign_ups.count(address.parse().unwrap());
        count("192.0.2.1").unwrap();
        count("192.0.2.1").unwrap();
        assert!(matches!(count("192.0.2.1"), Err(Error::RateLimited { .. })));
        count("192.0.2.2").unwrap();
        // A /64 and a /48 are addresses, too.
        count("2001:db8::1").unwrap();
        count("2001:db8:0:1::1").unwrap();
        assert!(count("2001:db8:0:2::1").is_err());
        count("2001:db8:1::1").unwrap();
        clock.advance(TimeDelta::minutes(61));
        count("192.0.2.1").unwrap();
    }
}
