//! The tables, one module each, and the typed ids that connect them.
//!
//! A `user` has `session`s (logins), `ticket`s (single-use permissions to connect) and external `identity`
//! rows. A `member` row puts a user into a `room`, with a role and receipts. A `message` belongs to a room
//! and has a `seq` there; a `message_version` is a content that it had before an edit, a `reaction` is a user's to it,
//! a `pin` shows that it is pinned, and a `mention` names a user whom it mentions. Messages that answer another one may be a
//! `thread`; a `thread_mark` says whether a user follows it, and how far the user has read it. A `joined_room` row notes a
//! room that a client has joined. A `deletion` row marks an account whose deletion is not finished. A `look_alike` row is a reading of a name. An `admin_link` row is the link that makes
//! the first admin. A `notice` row tells the other nodes of a change. Rows do not implement `Serialize`, so
//! that none can reach a client by accident: a gateway has to render it.

pub mod admin_link;
pub mod deletion;
pub mod identity;
pub mod ids;
pub mod joined_room;
pub mod look_alike;
pub mod member;
pub mod mention;
pub mod message;
pub mod message_version;
pub mod names;
pub mod notice;
pub mod pin;
pub mod probe;
pub mod reaction;
pub mod room;
pub mod session;
pub mod stored_message;
pub mod thread;
pub mod thread_mark;
pub mod ticket;
pub mod user;

pub use ids::{ChangeNumber, MessageId, RoomId, Seq, SessionId, UserId};
