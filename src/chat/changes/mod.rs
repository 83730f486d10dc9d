//! What is done to messages after they were sent. Each room numbers its changes; `writer::changes` gives the numbers
//! and commits, `room::changes` publishes. This folder has the rules of each change, and reads
//! changes.
//!
//! - `rights`: who may do what to a message
//! - `edit`: edits a message, and reads its earlier versions
//! - `delete`: deletes messages
//! - `react`: reacts to a message, and reads who has
//! - `pin`: pins a message
//! - `replay`: reads changed messages, each as it stands now
//! - `device_sync`: tells a device what it has when it has caught up

mod delete;
mod device_sync;
mod edit;
mod pin;
mod react;
mod replay;
mod rights;

use crate::message_marks::MessageMarks;

pub use self::{
    delete::DeleteMessages,
    edit::EditMessage,
    react::{React, ReactionsQuery},
    replay::ChangesQuery,
};
pub(in crate::chat) use self::{
    delete::may_delete,
    device_sync::DeviceSync,
    edit::{Edit, Edited, edit},
    pin::pin,
    react::{count, may_react},
    replay::ChangedRange,
    rights::Relation,
};

/// What changes have done to a message, from what is stored.
pub(in crate::chat) fn read_marks(json: &str) -> MessageMarks {
    MessageMarks::read(json).unwrap_or_else(|err| {
        tracing::error!(error = %err, "the marks of a message cannot be read");
        MessageMarks::default()
    })
}
