//! The tables, one module each, and the typed ids that tie them together.
//!
//! A `user` has `session`s (sign-ins), `ticket`s (single-use connect permissions) and external
//! `identity` rows. A `member` row puts a user into a `room` with a role and two receipts. A
//! `message` belongs to a room at a `seq`. A `deletion` row marks an account whose deletion is not finished. Rows carry no `Serialize`: nothing here can reach a
//! wire by accident, a gateway has to render it.

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
