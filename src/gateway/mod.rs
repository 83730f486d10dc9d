//! The edges. A gateway turns what comes in over its wire into one call of the core, and what the
//! core says into its wire's words; it decides nothing. No gateway knows another: what they share
//! is [`wire`] (the JSON nouns), [`credential`] (who asks), [`line`] (the TCP connection below) and, among
//! those that speak HTTP, [`http`] (what goes around and into their handlers).

pub mod angular;
pub mod credential;
pub mod http;
pub mod line;
pub mod rest;
pub mod socketio;
pub mod wire;
