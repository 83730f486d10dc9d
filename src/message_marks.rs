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
    /// The username of who has deleted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<String>,
    /// The reactions by their keys; the oldest key comes first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionMarks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinMarks>,
    /// Whether it is the root of a thread.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_thread: bool,
}

/// Who has pinned a message, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinMarks {
    /// In Unix milliseconds.
    pub at: i64,
    /// The username.
    pub by: String,
}

/// Who has reacted with one key. The rows of `reactions` have everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionMarks {
    pub key: String,
    pub count: u32,
    /// The usernames of the first [`ReactionMarks::USERS`] of them.
    pub users: Vec<String>,
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
        // Numbers and texts only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// About the bytes of what is stored.
    pub fn bytes(&self) -> usize {
        self.reactions.iter().map(ReactionMarks::bytes).sum()
    }
}

impl ReactionMarks {
    /// The most users that are named.
    pub const USERS: usize = 20;

    fn bytes(&self) -> usize {
        /// Punctuation, names of fields and the count.
        const BESIDES: usize = 35;
        BESIDES + self.key.len() + self.users.iter().map(|user| user.len() + 3).sum::<usize>()
    }
}
