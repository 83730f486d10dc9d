//! What is done to messages after they were sent. Each room numbers its changes; `writer::changes` gives the numbers
//! and commits, `room::changes` publishes. This folder has the rules of an edit, and reads
//! changes.
//!
//! - `edit`: edits a message, and reads its earlier versions
//! - `replay`: reads changed messages, each as it stands now
//! - `device_sync`: tells a device what it has when it has caught up

mod device_sync;
mod edit;
mod replay;

use crate::message_marks::MessageMarks;

pub use self::replay::ChangesQuery;
pub(in crate::chat) use self::{
    device_sync::DeviceSync,
    edit::{Edit, Edited, edit},
    replay::ChangedRange,
};

/// What changes have done to a message, from what is stored.
pub(in crate::chat) fn read_marks(json: &str) -> MessageMarks {
    MessageMarks::read(json).unwrap_or_else(|err| {
        tracing::error!(error = %err, "the marks of a message cannot be read");
        MessageMarks::default()
    })
}
