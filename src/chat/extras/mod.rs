//! What a message is sent with beyond its content: the thread that it is in, whom it mentions, data of the client, when
//! it disappears, and where it was forwarded from.
//!
//! - this file: reads what is stored
//! - `draft`: what a sender asks for, and what becomes of it once it is looked up
//! - `mentions`: finds the users whom a message mentions
//! - `expiry`: makes tombstones of messages whose time is over
//! - `forward`: sends a copy of a message to another room

mod draft;
mod expiry;
mod forward;
mod mentions;

use entity::message;

pub use self::{draft::Extras, forward::Forward};
pub(in crate::chat) use self::{
    draft::{DraftExtras, Mentions, PointedAt},
    expiry::{expire, expire_events, expire_model},
};
use crate::message_extras::{MessageExtras, ThreadRoot};

/// The root of the thread that a message is in, or that it begins.
pub(super) fn root_of(row: &message::Model) -> ThreadRoot {
    let extras = row.extras.as_deref().map(read_extras);
    extras.and_then(|extras| extras.thread).unwrap_or(ThreadRoot { id: row.id, seq: row.seq })
}

/// What a message was sent with, from what is stored.
pub(super) fn read_extras(json: &str) -> MessageExtras {
    MessageExtras::read(json).unwrap_or_else(|err| {
        tracing::error!(error = %err, "the extras of a message cannot be read");
        MessageExtras::default()
    })
}
