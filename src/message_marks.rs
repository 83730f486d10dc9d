//! What changes have done to a message, besides its content: the form of `messages.marks`.

use serde::{Deserialize, Serialize};

/// See the module. A field at its default is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageMarks {
    /// When the newest change was made, in Unix milliseconds.
    pub at: i64,
    /// How often the message was edited.
    #[serde(skip_serializing_if = "is_zero")]
    pub edits: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl MessageMarks {
    /// Reads what is stored.
    ///
    /// # Errors
    /// For a text that this program has not written.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The form that is stored.
    pub fn json(&self) -> String {
        // Numbers only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
