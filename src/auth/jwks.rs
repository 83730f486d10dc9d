//! The keys of one issuer, kept until they are replaced: fetched when a token names one that is not
//! among them, at a bounded rate, and by whoever calls [`Jwks::refresh`].
//!
//! One fetch at a time, as a task of its own, so that it ends whoever stops waiting for it. Verifying with
//! a key that is here never waits: an issuer that is down breaks nothing that it signed before.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{fetch::Source, key_set::KeySet};
use crate::{
    clock::Clock,
    error::{Busy, Error, Result},
    shutdown::Shutdown,
};

/// How long after a fetch an unknown key starts none. Anybody can write a token that names one, so this
/// is all that protects the issuer; a rotated key is found this late at worst.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

pub(super) struct Jwks {
    issuer: String,
    source: Source,
    clock: Clock,
    shutdown: Shutdown,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Ends when the fetch does, however.
    under_way: Option<watch::Receiver<()>>,
    /// When the last fetch began.
    last: Option<DateTime<Utc>>,
    /// Whether the last fetch that came to an end got the keys.
    answers: bool,
}

impl Jwks {
    pub fn new(issuer: String, source: Source, clock: Clock, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self { issuer, source, clock, shutdown, state: Mutex::default() })
    }

    /// The key that a token names, if the issuer has it.
    ///
    /// # Errors
    /// `unavailable` where it is not known, and the issuer did not answer when it was asked last.
    pub async fn key(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>> {
        if let Some(key) = self.known(kid, algorithm) {
            return Ok(Some(key));
        }
        if let Some(fetch) = self.fetch(false) {
            ended(fetch).await;
        }
        match self.known(kid, algorithm) {
            Some(key) => Ok(Some(key)),
            None if self.state.lock().answers => Ok(None),
            None => Err(Error::Unavailable(Busy::Issuer)),
        }
    }

    /// Fetches the keys, whenever that was done last, so that one which was withdrawn stops counting.
    pub async fn refresh(self: &Arc<Self>) {
        if let Some(fetch) = self.fetch(true) {
            ended(fetch).await;
        }
    }

    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let keys = self.state.lock().keys.clone()?;
        keys.choose(kid, algorithm).cloned()
    }

    /// A fetch to wait for: the one under way, or a new one, if it is not too soon for that.
    fn fetch(self: &Arc<Self>, at_once: bool) -> Option<watch::Receiver<()>> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if let Some(under_way) = state.under_way.clone().filter(|fetch| fetch.has_changed().is_ok()) {
            return Some(under_way);
        }
        // A clock that was set back must not put it off for longer.
        let too_soon = state.last.is_some_and(|began| (now - began).abs() < PAUSE);
        if (too_soon && !at_once) || self.shutdown.has_begun() {
            return None;
        }
        let (done, under_way) = watch::channel(());
        state.last = Some(now);
        state.under_way = Some(under_way.clone());
        drop(state);
        let this = self.clone();
        self.shutdown.spawn(async move {
            tokio::select! {
                () = this.fetch_now() => {}
                () = this.shutdown.begun() => {}
            }
            drop(done);
        });
        Some(under_way)
    }

    async fn fetch_now(&self) {
        let issuer = &self.issuer;
        match self.source.fetch().await {
            Ok(keys) => {
                if keys.is_empty() {
                    tracing::warn!(issuer, "the issuer has no key that its tokens could be verified with");
                }
                tracing::debug!(issuer, ?keys, "fetched the issuer's keys");
                let mut state = self.state.lock();
                state.keys = Some(Arc::new(keys));
                state.answers = true;
            }
            Err(err) => {
                let error = format!("{err:#}");
                tracing::warn!(issuer, error, "the issuer's keys could not be fetched");
                self.state.lock().answers = false;
            }
        }
    }
}

/// Nothing is ever sent: the end of the sender is the end of the fetch.
async fn ended(mut fetch: watch::Receiver<()>) {
    while fetch.changed().await.is_ok() {}
}
