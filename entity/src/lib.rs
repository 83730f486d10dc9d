//! The tables, one module each, and the typed ids that connect them.
//!
//! A `user` has `session`s (logins), `ticket`s (single-use permissions to connect) and external `identity`
//! rows. A `member` row puts a user into a `room`, with a role and receipts. A `message` belongs to a room
//! and has a `seq` there. A `deletion` row marks an account whose deletion is not finished. Rows do not
//! implement `Serialize`, so that none can reach a client by accident: a gateway has to render it.

pub mod deletion;
pub mod identity;
pub mod ids;
pub mod member;
pub mod message;
pub mod room;
pub mod session;
pub mod ticket;
pub mod user;

pub use ids::{MessageId, RoomId, Seq, SessionId, UserId};
