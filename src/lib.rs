#![recursion_limit = "256"]
//! Parlor, a chat backend for `socket.io-client` front ends.
//!
//! The modules, from the outside in:
//!
//! - [`cli`]: the command line, one file for each command
//! - [`app`]: builds the parts, serves, and shuts the parts down in order
//! - [`gateway`]: HTTP, Socket.IO and WebSocket. A gateway turns each request into one call of the core, and
//!   sends the events of the core to clients
//! - [`auth`]: turns a credential into an [`identity::Caller`]
//! - [`chat`]: the core. It checks rights, orders and stores messages, and publishes events
//! - [`jobs`]: background work
//! - [`backlog`], [`bus`], [`clock`], [`config`], [`counts`], [`db`], [`descriptors`], [`error`], [`identity`], [`limits`],
//!   [`message_extras`], [`message_marks`], [`metrics`], [`password`], [`random`], [`rates`], [`room_settings`],
//!   [`room_view`], [`shutdown`], [`system_message`], [`telemetry`], [`values`]: shared parts. They use none of the
//!   modules above
//! - crates of their own: `entity` (the tables as SeaORM entities), `migration` (the migrations that make them),
//!   `text` (rules for what people type), `allocator` (settings of the memory allocator)
//!
//! The way of one message:
//!
//! 1. `gateway::socketio::dispatch` reads the event in wire order. `gateway::events::inbox` applies the
//!    limits.
//! 2. `gateway::native::messages` turns the event into a draft.
//! 3. `chat::messages` finds the room, checks in memory that the sender is a member, and queues the draft.
//! 4. `chat::writer` gives the message a seq, and commits it together with the other queued drafts.
//! 5. `chat::room::fanout` offers the message to all live subscriptions of the room, in seq order.
//! 6. `gateway::socketio::chat_ns::outlet` emits it. The message is rendered once for all `/chat` sockets.
//!    `gateway::socketio::route` hands the frame to the TCP connection, which sends it without the room's lock; or to the
//!    library, if the client polls.
//! 7. Only then the sender receives the acknowledgement.
//!
//! Receipts go from the clients to `chat::receipts`: `gateway::tcp::client_frames` takes acknowledgements out of what is
//! read, and `gateway::socketio::chat_ns::own_acks` knows which messages they are of.

pub mod app;
pub mod auth;
pub mod backlog;
pub mod bus;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counts;
pub mod db;
pub mod descriptors;
pub mod error;
pub mod gateway;
pub mod identity;
pub mod jobs;
pub mod limits;
pub mod message_extras;
pub mod message_marks;
pub mod metrics;
pub mod password;
pub mod random;
pub mod rates;
pub mod room_settings;
pub mod room_view;
pub mod shutdown;
pub mod sweep;
pub mod system_message;
pub mod telemetry;
pub mod values;
