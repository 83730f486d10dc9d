//! The gateways: the edges of the server. A gateway turns input from its wire into one call of the core, and
//! turns the result into the form of its wire. It makes no decisions of its own.
//!
//! - [`tcp`]: accepts TCP connections, limits them and disconnects them. Knows no other folder.
//! - [`wire`]: the JSON forms of the protocol, and arrays with a bounded size. Knows no other folder.
//! - [`credential`]: finds a caller's credential and address in a request. Knows no other folder.
//! - [`events`]: receives the events of lasting connections and handles them in order. Knows no other folder.
//! - [`http`]: middleware and extractors for HTTP handlers. Knows `credential`, `tcp` and `wire`.
//! - [`native`]: the events of the protocol, for `socketio` and `websocket`. Knows `events` and `wire`.
//! - [`rest`]: the HTTP API. Knows `credential`, `http` and `wire`.
//! - [`socketio`], [`websocket`]: the engines of the two kinds of lasting connections. They do not know each
//!   other, and they know no dialect. They may know `credential`, `events`, `http`, `native` and `tcp`;
//!   `socketio` also `wire`.
//! - [`dialects`]: the wire forms of existing front ends. A dialect may know `socketio::root`, `websocket`,
//!   `http`, `events`, `wire` and `credential`. No dialect knows another.
//! - [`contract`]: the contract with front ends as documents. Knows whatever declares events or HTTP routes.
//! - [`client_script`]: serves the browser builds of the Socket.IO client. Knows `http`.
//! - [`web`]: serves the web client, and pages for refusals. Knows `client_script`, `credential`, `http` and
//!   `wire`.

pub mod client_script;
pub mod contract;
pub mod credential;
pub mod dialects;
pub mod events;
pub mod http;
pub mod native;
pub mod rest;
pub mod socketio;
pub mod tcp;
pub mod web;
pub mod websocket;
pub mod wire;
