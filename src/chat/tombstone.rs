//! Empties messages that were deleted, or whose time is over.

use chrono::{DateTime, Utc};
use entity::message;

use crate::{config::MessagesConfig, message_extras::MessageExtras, message_marks::MessageMarks, values};

/// Leaves nothing of a message but its place (also in a thread), sender and time. The row keeps the client's message
/// id, so that a message that is sent again is still recognised. Nobody has deleted what has only disappeared.
pub(super) fn make_tombstone(
    (row, marks, extras): (&mut message::Model, &mut MessageMarks, &mut MessageExtras),
    at: DateTime<Utc>,
    by: Option<&str>,
    settings: &MessagesConfig,
) {
    row.content = values::json_text(&settings.deleted_text);
    row.edited_at = None;
    row.reply_to = None;
    row.deleted_at = Some(at);
    *marks = MessageMarks {
        at: marks.at,
        deleted_by: by.map(str::to_owned),
        has_thread: marks.has_thread,
        ..MessageMarks::default()
    };
    *extras = extras.of_tombstone();
}
