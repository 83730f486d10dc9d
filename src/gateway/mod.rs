//! The edges. A gateway turns what comes in over its wire into one call of the core, and what the
//! core says into its wire's words; it decides nothing. No gateway knows another: what they share
//! is [`wire`] (the JSON nouns), [`bounded`] (arrays that end in time), [`credential`] (who asks), [`line`] (the TCP connection below), among
//! those that speak HTTP [`http`] (what goes around and into their handlers), and among those with
//! lasting connections [`events`] (how events are taken in) and [`native`] (the native form of them).

pub mod angular;
pub mod bounded;
pub mod client_script;
pub mod credential;
pub mod events;
pub mod http;
pub mod line;
pub mod lobby;
pub mod native;
pub mod rest;
pub mod socketio;
pub mod websocket;
pub mod wire;
