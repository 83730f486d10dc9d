//! Pins: messages that a room keeps in sight.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{MessageId, room};

use crate::{
    chat::{Chat, connections::connection::Connection, room::Reply, writer::Wanted},
    error::{Conflict, Error, Forbidden, Result},
    identity::Caller,
    message_marks::{MessageMarks, PinMarks},
};

/// The most pinned messages of a room.
const PINS: u64 = 250;

impl Chat {
    /// Pins a message, or takes the pin away. Returns when it is queued. `reply` is called once: when it is committed
    /// and published, or refused. To ask for what is already so changes nothing.
    pub async fn pin_message(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        message: MessageId,
        on: bool,
        reply: Reply,
    ) {
        match self.core.message_of(caller, message).await {
            Ok((_, room)) => {
                let wanted = Wanted::Pin { on };
                self.core.queue_change(caller, origin, room, vec![message], wanted, reply);
            }
            Err(err) => reply(Err(err)),
        }
    }
}

/// Pins a message of a room that has so many pins, or takes its pin away. Returns whether that changes anything.
///
/// # Errors
/// `forbidden` (`role`, `deleted`), `conflict` (`limit_reached`).
pub(in crate::chat) fn pin(
    marks: &mut MessageMarks,
    is_deleted: bool,
    (kind, moderates): (room::Kind, bool),
    (by, on): (&str, bool),
    now: DateTime<Utc>,
    pins: u64,
) -> Result<bool> {
    // Either of two users pins what they like.
    if !moderates && kind != room::Kind::Direct {
        return Err(Error::Forbidden(Forbidden::Role));
    }
    if is_deleted && on {
        return Err(Error::Forbidden(Forbidden::Deleted));
    }
    if marks.pin.is_some() == on {
        return Ok(false);
    }
    if on && pins >= PINS {
        return Err(Error::Conflict(Conflict::TooManyPins));
    }
    marks.pin = on.then(|| PinMarks { at: now.timestamp_millis(), by: by.to_owned() });
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moderators_and_either_of_two_users_pin_messages() {
        let now = DateTime::UNIX_EPOCH;
        let try_to = |kind, moderates, is_deleted, pins| {
            let mut marks = MessageMarks::default();
            pin(&mut marks, is_deleted, (kind, moderates), ("ada", true), now, pins).is_ok()
        };
        assert!(try_to(room::Kind::Group, true, false, 249));
        assert!(!try_to(room::Kind::Group, true, false, 250), "too many");
        assert!(!try_to(room::Kind::Group, true, true, 0), "deleted");
        assert!(!try_to(room::Kind::Group, false, false, 0), "no moderator");
        assert!(!try_to(room::Kind::Lobby, false, false, 0), "no moderator");
        assert!(try_to(room::Kind::Direct, false, false, 0));
    }
}
