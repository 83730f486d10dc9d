//! What tests are written with. A whole test:
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn a_message_reaches_its_receiver() {
//!     let server = Server::start().await;
//!     let ada = server.online("ada").await;
//!     let bob = server.online("bob").await;
//!
//!     ada.posts_to("bob", "hi").await;
//!
//!     bob.sees_message("hi").await;
//! }
//! ```
//!
//! Waiting is always "until seen or [`PATIENCE`]"; time moves by `server.clock`. When a [`Server`] is
//! dropped it goes down gracefully and checks that nothing is left, which takes the multi-thread
//! runtime.

mod cluster;
mod database;
mod engine;
mod http;
mod issuer;
mod npm;
mod person;
mod plain;
mod process;
mod raw;
mod server;
mod socketio;

use std::{future::Future, time::Duration};

pub use self::{
    cluster::Cluster,
    database::Database,
    engine::{Transport, handshake_of},
    http::{Answer, Http},
    issuer::{AUDIENCE, Issuer, Misbehaviour, SigningKey, signed, unsigned},
    npm::run_suite,
    person::Person,
    plain::{Frames, Plain},
    process::Process,
    raw::{Frame, Raw},
    server::{Door, Server},
    socketio::{ANSWER, Connecting, Ended, Socket, succeeded},
};

/// How long anything may take to be seen: whatever else the machine is doing.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before believing that something does not happen.
pub const A_WHILE: Duration = Duration::from_millis(250);

/// For tests that send as fast as they can: none of the limits on events is in the way.
pub fn at_full_speed(config: &mut parlor::config::Config) {
    config.limits.events_per_second = 1_000_000;
    config.limits.events_burst = 1_000_000;
    config.limits.waiting_events = 10_000;
}

/// What one user may ask for within a second or an hour is not in the way of tests about something else.
pub fn without_quotas(config: &mut parlor::config::Config) {
    let limits = &mut config.limits;
    (limits.requests_per_second, limits.requests_burst) = (1_000_000, 1_000_000);
    (limits.groups_per_hour, limits.groups_owned) = (1_000_000, 1_000_000);
    limits.members_added_per_hour = 1_000_000;
    limits.list_interval = Duration::from_millis(1);
}

/// Waits for a future, and says what was waited for when it takes too long.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Asks again and again until the answer is yes.
pub async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    in_time(what, async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// The names of an object's fields, sorted.
pub fn keys_of(object: &serde_json::Value) -> Vec<&str> {
    let object = object.as_object().unwrap_or_else(|| panic!("not an object: {object}"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// That a token is signed with another claim than it came with, by whoever knows the secret.
pub fn forge(token: &str, secret: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token).unwrap().claims;
    change(&mut claims);
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::decode_header(token).unwrap(), &claims, &key).unwrap()
}

/// What development signs tokens with.
pub const SECRET: &str = "parlor-development-secret-known-to-everyone";
