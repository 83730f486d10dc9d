//! Messages that disappear: from their time on they are tombstones in every answer. Their rows become tombstones a little
//! later (`writer::changes::expiry`). Nothing is announced: the time is known from the beginning.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::message;

use crate::{
    chat::{
        event::{Envelope, Event},
        model::Message,
        tombstone::make_tombstone,
    },
    config::MessagesConfig,
    message_extras::MessageExtras,
    message_marks::MessageMarks,
};

/// Makes a tombstone of a message whose time is over. Returns whether it is one now, and was not before.
pub(in crate::chat) fn expire(
    row: &mut message::Model,
    marks: &mut MessageMarks,
    extras: &mut MessageExtras,
    now: DateTime<Utc>,
    settings: &MessagesConfig,
) -> bool {
    let at = extras.expires_at.filter(|at| *at <= now.timestamp_millis());
    let Some(at) = at.and_then(DateTime::from_timestamp_millis).filter(|_| row.deleted_at.is_none()) else {
        return false;
    };
    make_tombstone((row, marks, extras), at, None, settings);
    true
}

/// The same of a model.
pub(in crate::chat) fn expire_model(message: &mut Message, now: DateTime<Utc>, settings: &MessagesConfig) {
    let Some(extras) = &mut message.extras else { return };
    let mut marks = message.marks.take().unwrap_or_default();
    let has_marks = *marks != MessageMarks::default();
    let has_expired = expire(&mut message.row, &mut marks, extras, now, settings);
    message.marks = (has_marks || has_expired).then_some(marks);
}

/// The events of messages from memory, with tombstones for those whose time is over.
pub(in crate::chat) fn expire_events(
    events: &mut [Arc<Envelope>],
    now: DateTime<Utc>,
    settings: &MessagesConfig,
) {
    for event in events {
        let Some(message) = event.message() else { continue };
        if message.extras.as_ref().is_some_and(|extras| extras.has_expired(now.timestamp_millis())) {
            let mut message = Message::clone(message);
            expire_model(&mut message, now, settings);
            *event = Arc::new(Envelope::new(Event::Message(Arc::new(message))));
        }
    }
}
