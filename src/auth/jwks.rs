//! Caches the keys of one issuer. They are fetched when a token names an unknown key, at a limited rate, and
//! when [`Jwks::refresh`] is called.
//!
//! One fetch runs at a time, in a task of its own, so that it completes even if its caller is cancelled.
//! Verifying with a cached key never waits: while an issuer is down, tokens signed with known keys stay
//! valid.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{fetch::Source, key_set::KeySet};
use crate::{
    clock::Clock,
    error::{Error, Result, Unavailable},
    shutdown::Shutdown,
};

/// Minimum time between a fetch and the next one for an unknown key. Anybody can write a token with an
/// unknown key, so only this protects the issuer from requests. A rotated key is found at most this late.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

pub(super) struct Jwks {
    issuer: String,
    source: Source,
    clock: Clock,
    shutdown: Shutdown,
    state: Mutex<CachedKeys>,
}

#[derive(Default)]
struct CachedKeys {
    keys: Option<Arc<KeySet>>,
    /// Its sender is dropped when the fetch ends, with success or not.
    under_way: Option<watch::Receiver<()>>,
    /// When the last fetch started.
    last: Option<DateTime<Utc>>,
    /// Whether the last completed fetch returned the keys.
    answers: bool,
}

impl Jwks {
    pub fn new(issuer: String, source: Source, clock: Clock, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self { issuer, source, clock, shutdown, state: Mutex::default() })
    }

    /// The key that a token names, if the issuer has it.
    ///
    /// # Errors
    /// `unavailable` if the key is unknown and the issuer did not answer the last fetch.
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
            None => Err(Error::Unavailable(Unavailable::Issuer)),
        }
    }

    /// Fetches the keys regardless of when that was done last, so that withdrawn keys become invalid.
    pub async fn refresh(self: &Arc<Self>) {
        if let Some(fetch) = self.fetch(true) {
            ended(fetch).await;
        }
    }

    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let keys = self.state.lock().keys.clone()?;
        keys.choose(kid, algorithm).cloned()
    }

    /// Returns a fetch to wait for: the running one, or a new one. None if it is too soon for a new one.
    fn fetch(self: &Arc<Self>, at_once: bool) -> Option<watch::Receiver<()>> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if let Some(under_way) = state.under_way.clone().filter(|fetch| fetch.has_changed().is_ok()) {
            return Some(under_way);
        }
        // A clock that was set back must not delay the fetch for longer.
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

/// Waits for the end of a fetch. Nothing is ever sent: the sender is dropped when the fetch ends.
async fn ended(mut fetch: watch::Receiver<()>) {
    while fetch.changed().await.is_ok() {}
}
