#![recursion_limit = "256"]
//! Parlor, a chat backend for `socket.io-client` front ends.
//!
//! The map, from the outside in:
//!
//! - [`cli`]: the command line, one file a command
//! - [`app`]: puts the parts together, serves, and takes them apart in order
//! - [`gateway`]: the edges: Socket.IO and HTTP in, one call of the core each, events out
//! - [`auth`]: turns a credential into a [`chat::caller::Caller`]
//! - [`chat`]: the core: decides, orders, stores, and tells everyone
//! - [`jobs`]: background work
//! - [`backlog`], [`config`], [`counts`], [`db`], [`error`], [`clock`], [`limits`], [`listing`], [`password`],
//!   [`shutdown`], [`telemetry`], [`together`]: what the others stand on, each knowing none of them
//!
//! The way of one message: `gateway::socketio::dispatch` reads the event in wire order; `native`
//! turns it into a draft; `chat::messages` asks the room's roster whether the sender is in it and
//! queues it; `chat::writer` gives it a seq and commits it with whatever else has gathered; the
//! roster offers it to all who listen, in seq order; `chat_ns::outlet` emits it, rendered once; and
//! only then the sender is acknowledged. Receipts come back through `chat::receipts`.

pub mod app;
pub mod auth;
pub mod backlog;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counts;
pub mod db;
pub mod error;
pub mod gateway;
pub mod jobs;
pub mod limits;
pub mod listing;
pub mod password;
pub mod rates;
pub mod shutdown;
pub mod telemetry;
pub mod together;
