//! `[messages]`: what may be done to a message after it was sent. Doing it is left to `chat::changes`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mistake::Findings;

/// Who may read the contents that a message had before it was edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EditHistory {
    /// Nobody: they are not kept.
    Off,
    /// Its sender, and a group's owner and admins.
    Moderators,
    /// Every member of the room.
    Members,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesConfig {
    /// How long after sending a message its sender may edit it; zero: always.
    #[serde(with = "humantime_serde")]
    pub edit_window: Duration,
    /// Who may read earlier contents.
    pub edit_history: EditHistory,
    /// Whether `@username` in a text mentions a user, if the sender does not say who is mentioned.
    pub parse_mentions: bool,
    /// How long after sending a message its sender may delete it; zero: always.
    #[serde(with = "humantime_serde")]
    pub delete_window: Duration,
    /// The content that a message has once it is deleted.
    pub deleted_text: String,
}

/// The most bytes of [`MessagesConfig::deleted_text`].
const DELETED_TEXT: usize = 200;

impl MessagesConfig {
    pub(super) fn check(&self, found: &mut Findings<'_>) {
        found.duration_or_zero("edit_window", self.edit_window);
        found.duration_or_zero("delete_window", self.delete_window);
        if self.deleted_text.len() > DELETED_TEXT {
            found.refuse(
                "deleted_text",
                format!("has {} bytes", self.deleted_text.len()),
                "at most 200 bytes",
            );
        }
    }
}
