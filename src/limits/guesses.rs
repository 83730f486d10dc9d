//! Wrong passwords. Several counts apply at the same time; see [`Guesses`].
//!
//! An attempt that is under way is not a wrong one. It keeps a place that a wrong one could take, so that
//! guessing at the same time gets no further than guessing one by one: the next attempt waits until it is
//! known how the first ended. What other nodes have counted ([`super::shared`]) counts here, too; an attempt that is under
//! way there may turn out to be right, so it is waited for before another one is refused for it.

mod attempt;
mod elsewhere;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use entity::SessionId;
use ipnet::IpNet;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Semaphore, futures::OwnedNotified},
    time::Instant,
};
use uuid::Uuid;

pub use self::attempt::Attempt;
use self::elsewhere::CountedElsewhere;
use super::{
    known::Known,
    network::{network, networks},
    shared::SharedGuesses,
    tally::{Admission, Forgets, Rule, Tally},
};
use crate::{
    clock::Clock,
    error::{Error, Unavailable},
};

/// How many attempts of one address are looked at at the same time. More of them wait, so that one address
/// never takes all places of the hashing queue.
const AT_ONCE_PER_ADDRESS: usize = 16;
/// How many attempts may wait, over all addresses. One more is `unavailable`.
const WAITING: usize = 1_024;
/// How often, and after which pause, it is looked again whether attempts of other nodes have turned out to be right:
/// longer than [`UNDER_WAY`](super::shared::UNDER_WAY) altogether.
const LOOKS: usize = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How many attempts may look again at the same time.
const LOOKING: usize = 64;

/// How many wrong passwords are permitted.
#[derive(Clone, Copy, Debug)]
pub struct GuessLimits {
    /// Of one account from one address, within `window`.
    pub per_account_and_address: u32,
    /// From one address, whatever the account, within `window`.
    pub per_address: u32,
    pub window: Duration,
    /// Of one account from all addresses. One of them is forgotten in each `per_account_recovery`.
    pub per_account: u32,
    pub per_account_recovery: Duration,
    /// How long an address is known for an account after a right password.
    pub known_for: Duration,
}

/// Counts the wrong passwords of one kind of account: of logins, or of users who enter rooms.
///
/// - Of an account from an address: a short window. An IPv6 address is counted twice: with its /64
///   network and with its /48 network.
/// - From an address, whatever the account: the same window.
/// - Of an account from all addresses: a slow bucket.
///
/// An address is *known* for an account for which a right password came from there not long ago. There, only
/// the first count holds, and a slow bucket of that address alone. So guesses from elsewhere, or of neighbours
/// at other accounts, never refuse the account's owner. Who shows a live session of the account is counted by
/// that session alone, so that not even guesses at the same account from the same address refuse its owner.
///
/// On SQLite everything is in memory, and a restart forgets it. On PostgreSQL all nodes count together. Cheap to clone.
#[derive(Clone)]
pub struct Guesses(Arc<GuessBook>);

struct GuessBook {
    clock: Clock,
    rules: GuessRules,
    /// Accounts are remembered by hash: the text that people type may be long, and it is private. All nodes have the same
    /// key.
    hash_key: Sha256,
    counted: Mutex<GuessCounts>,
    shared: Option<SharedGuesses>,
    looking: Semaphore,
}

struct GuessRules {
    pair: Rule,
    address: Rule,
    slow: Rule,
}

struct GuessCounts {
    tally: Tally<Key>,
    known: Known,
    waiting: usize,
}

/// The origin of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Guesser {
    Address(IpAddr),
    /// Somebody at this address who has shown that this session of the account is theirs.
    Session(SessionId, IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum GuessSource {
    Network(IpNet),
    Session(SessionId),
}

impl fmt::Display for GuessSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Session(session) => session.fmt(f),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Pair(u64, GuessSource),
    Address(IpNet),
    /// The slow bucket of an account: of one known source, or of all that are not known.
    Slow(u64, Option<GuessSource>),
}

/// A key of one attempt. Without `counts` it only keeps a place while it is under way.
#[derive(Clone, Copy, Debug)]
struct Part {
    key: Key,
    counts: bool,
    /// Until when it counts at least, because of what other nodes have counted.
    after: Option<DateTime<Utc>>,
}

/// An attempt was refused without a check of the password.
#[derive(Debug)]
pub enum Refused {
    TooMany {
        retry_after: Duration,
        /// It would not be refused if its address were known for the account.
        as_unknown: bool,
    },
    /// Too many attempts wait.
    TooBusy,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooMany { retry_after, .. } => Self::rate_limited(retry_after),
            Refused::TooBusy => Self::Unavailable(Unavailable::Hashing),
        }
    }
}

/// Counts as waiting as long as this exists.
struct WaitingAttempt<'a>(&'a GuessBook);

impl Guesses {
    /// `secret` is the same at all nodes, and `kind` says what is guessed: it separates those that are shared.
    pub fn new(
        clock: Clock,
        limits: &GuessLimits,
        kind: &str,
        secret: &SecretString,
        shared: Option<SharedGuesses>,
    ) -> Self {
        let window = Forgets::After(delta(limits.window));
        let rule = |most: u32, at_once, forgets| {
            let most = (most as usize).max(1);
            Rule { most, at_once: most.min(at_once), forgets }
        };
        let rules = GuessRules {
            pair: rule(limits.per_account_and_address, usize::MAX, window),
            address: rule(limits.per_address, AT_ONCE_PER_ADDRESS, window),
            slow: rule(limits.per_account, usize::MAX, Forgets::OneIn(delta(limits.per_account_recovery))),
        };
        let counted =
            GuessCounts { tally: Tally::default(), known: Known::new(delta(limits.known_for)), waiting: 0 };
        let hash_key = Sha256::new()
            .chain_update(Sha256::digest(secret.expose_secret()))
            .chain_update(Sha256::digest(kind));
        Self(Arc::new(GuessBook {
            clock,
            rules,
            hash_key,
            counted: Mutex::new(counted),
            shared,
            looking: Semaphore::new(LOOKING),
        }))
    }

    /// Permits one attempt, perhaps after waiting for others to end. A refused attempt does not count.
    pub async fn attempt(&self, account: &str, guesser: Guesser) -> Result<Attempt, Refused> {
        let book = &self.0;
        let account = book.hash(account);
        if book.shared.is_some() {
            // A flood of attempts that are refused here must not ask the database.
            book.ask(&mut book.counted.lock(), account, guesser, &CountedElsewhere::default())?;
        }
        let mut looks = 0;
        let mut elsewhere = book.counted_elsewhere(account, guesser).await;
        let mut read_at = Instant::now();
        loop {
            // Many may wait for each attempt that ends: not all of them ask the database each time.
            if read_at.elapsed() >= LOOK_AGAIN {
                elsewhere = book.counted_elsewhere(account, guesser).await;
                read_at = Instant::now();
            }
            match book.begin(account, guesser, &elsewhere) {
                Ok(Begun::Parts(parts)) => {
                    let attempt = Attempt::new(self.clone(), account, guesser, parts);
                    attempt.share().await;
                    return Ok(attempt);
                }
                Ok(Begun::Wait(ended)) => {
                    let _waiting = WaitingAttempt(book);
                    ended.await;
                }
                Err(refused) if !elsewhere.is_under_way || looks == LOOKS => return Err(refused),
                Err(refused) => {
                    let Ok(_turn) = book.looking.try_acquire() else { return Err(refused) };
                    looks += 1;
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// The right password of this account came from this address.
    pub fn note_known(&self, account: &str, address: IpAddr) {
        let account = self.0.hash(account);
        let now = self.0.clock.now();
        self.0.counted.lock().known.note((account, network(address)), now);
    }
}

enum Begun {
    Parts(Vec<Part>),
    Wait(OwnedNotified),
}

impl GuessBook {
    fn hash(&self, account: &str) -> u64 {
        self.hash_of(account).as_u64_pair().0
    }

    fn hash_of(&self, text: &str) -> Uuid {
        let digest = self.hash_key.clone().chain_update(text).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Uuid::from_bytes(bytes)
    }

    /// Whether an attempt is permitted now: what it counts for, and what it has to wait for first. Takes no place.
    fn ask(
        &self,
        counted: &mut GuessCounts,
        account: u64,
        guesser: Guesser,
        elsewhere: &CountedElsewhere,
    ) -> Result<(Vec<Part>, Option<OwnedNotified>), Refused> {
        let now = self.clock.now();
        let (mut parts, is_known) = counted.parts(account, guesser, now);
        let mut refused: Option<(TimeDelta, bool)> = None;
        let mut wait = None;
        for part in &mut parts {
            let there = elsewhere.until(&part.key);
            part.after = there.last().copied();
            match counted.tally.ask(&part.key, self.rule(&part.key), part.counts, there, now) {
                Admission::Yes => {}
                Admission::Wait(ended) => wait = wait.or(Some(ended)),
                Admission::No(longer) => {
                    let (shorter, by_own) = refused.unwrap_or_default();
                    refused = Some((longer.max(shorter), by_own || is_own(&part.key, guesser)));
                }
            }
        }
        if let Some((wait, by_own)) = refused {
            // The log does not say which account: people type their passwords into the wrong field.
            tracing::info!(client = %address_of(guesser), "refused to look at another guess");
            let as_unknown = !is_known && !by_own;
            return Err(Refused::TooMany { retry_after: wait.to_std().unwrap_or_default(), as_unknown });
        }
        Ok((parts, wait))
    }

    /// The caller counts itself out of those who wait, by [`WaitingAttempt`].
    fn begin(&self, account: u64, guesser: Guesser, elsewhere: &CountedElsewhere) -> Result<Begun, Refused> {
        let mut counted = self.counted.lock();
        let (parts, wait) = self.ask(&mut counted, account, guesser, elsewhere)?;
        if let Some(ended) = wait {
            if counted.waiting >= WAITING {
                return Err(Refused::TooBusy);
            }
            counted.waiting += 1;
            return Ok(Begun::Wait(ended));
        }
        // The time is read under the lock, so that times are in order.
        let now = self.clock.now();
        for part in &parts {
            counted.tally.begin(part.key, now);
        }
        Ok(Begun::Parts(parts))
    }

    /// Until when an attempt that has begun counts, if it goes wrong.
    fn until(&self, part: &Part, now: DateTime<Utc>) -> DateTime<Utc> {
        self.counted.lock().tally.until_at_worst(&part.key, self.rule(&part.key), part.after.as_slice(), now)
    }

    fn rule(&self, key: &Key) -> &Rule {
        match key {
            Key::Pair(..) => &self.rules.pair,
            Key::Address(_) => &self.rules.address,
            Key::Slow(..) => &self.rules.slow,
        }
    }
}

impl GuessCounts {
    /// What an attempt counts for, and whether its source is known.
    fn parts(&self, account: u64, guesser: Guesser, now: DateTime<Utc>) -> (Vec<Part>, bool) {
        let counts = |key| Part { key, counts: true, after: None };
        let here = network(address_of(guesser));
        let known = match guesser {
            Guesser::Session(session, _) => Some(GuessSource::Session(session)),
            Guesser::Address(_) if self.known.contains(&(account, here), now) => {
                Some(GuessSource::Network(here))
            }
            Guesser::Address(_) => None,
        };
        if let Some(source) = known {
            let place = Part { key: Key::Address(here), counts: false, after: None };
            let own = [Key::Pair(account, source), Key::Slow(account, Some(source))].map(counts);
            return (own.into_iter().chain([place]).collect(), true);
        }
        let keys = networks(address_of(guesser))
            .flat_map(|network| [Key::Pair(account, GuessSource::Network(network)), Key::Address(network)]);
        (keys.chain([Key::Slow(account, None)]).map(counts).collect(), false)
    }
}

impl Drop for WaitingAttempt<'_> {
    fn drop(&mut self) {
        self.0.counted.lock().waiting -= 1;
    }
}

/// Whether a key would hold for the guesser also if the address were known for the account.
fn is_own(key: &Key, guesser: Guesser) -> bool {
    match (key, guesser) {
        (Key::Pair(_, GuessSource::Network(source)), Guesser::Address(address)) => {
            *source == network(address)
        }
        (Key::Pair(..) | Key::Slow(..), Guesser::Session(..)) => true,
        _ => false,
    }
}

fn address_of(guesser: Guesser) -> IpAddr {
    match guesser {
        Guesser::Address(address) | Guesser::Session(_, address) => address,
    }
}

fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX).min(super::LONGEST)
}

#[cfg(test)]
mod tests;
