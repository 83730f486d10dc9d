//! The tools of the tests. A complete test:
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
//! Every wait is "until seen or [`PATIENCE`]". Time moves with `server.clock`. A dropped [`Server`] shuts
//! down gracefully and checks that nothing is left, which needs the multi-thread runtime.

mod bus_server;
mod cluster;
mod command;
mod database;
mod engine;
mod faulty_bus;
mod http;
mod issuer;
mod line;
mod npm;
mod person;
mod plain;
mod pooler;
mod process;
mod raw;
mod server;
mod socketio;
mod store;

use std::{future::Future, time::Duration};

pub use self::{
    bus_server::BusServer,
    cluster::Cluster,
    command::{parlor, parlor_with},
    database::Database,
    engine::{Transport, handshake_of},
    faulty_bus::faulty_bus,
    http::{Answer, Http},
    issuer::{AUDIENCE, Issuer, Misbehaviour, SigningKey, signed, unsigned},
    line::{Carries, Line},
    npm::run_suite,
    person::Person,
    plain::{Frames, Plain},
    pooler::Pooler,
    process::Process,
    raw::{Frame, Raw},
    server::{Door, Server},
    socketio::{ANSWER, Connecting, Ended, Socket, succeeded},
    store::Store,
};

/// Maximum time to wait for an effect, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before a test concludes that something does not happen.
pub const A_WHILE: Duration = Duration::from_millis(250);

/// For tests that send as fast as they can: raises all limits on events.
pub fn at_full_speed(config: &mut parlor::config::Config) {
    config.limits.events_per_second = 1_000_000;
    config.limits.events_burst = 1_000_000;
    config.limits.waiting_events = 10_000;
}

/// Raises the limits on requests per second and per hour, for tests about other things. [`Server`] does so.
fn without_quotas(config: &mut parlor::config::Config) {
    let limits = &mut config.limits;
    (limits.requests_per_second, limits.requests_burst) = (1_000_000, 1_000_000);
    (limits.groups_per_hour, limits.groups_owned) = (1_000_000, 1_000_000);
    limits.members_added_per_hour = 1_000_000;
    limits.signups_per_address = 1_000_000;
    limits.list_interval = Duration::from_millis(1);
}

/// Waits for a future. If it takes too long, panics with `what`.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Repeats the question until the answer is yes.
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

/// The token with changed claims, signed again with the secret.
pub fn forge(token: &str, secret: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token).unwrap().claims;
    change(&mut claims);
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::decode_header(token).unwrap(), &claims, &key).unwrap()
}

/// The secret that signs tokens in development.
pub const SECRET: &str = "parlor-development-secret-known-to-everyone";
