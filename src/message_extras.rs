//! What a message was sent with beyond its content: the form of `messages.extras`.

use entity::{MessageId, Seq, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// See the module. A field at its default is left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageExtras {
    /// The seq of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_seq: Option<Seq>,
    /// The root of the thread that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadRoot>,
    /// A message of a thread that is meant for the room, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub also_in_room: bool,
    /// The usernames that its sender has named. Those that stand in the text are only in `mentioned`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mentions_all: bool,
    /// Everyone who is mentioned by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentioned: Vec<UserId>,
    /// A JSON object that the server never looks into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_from: Option<ForwardedFrom>,
    /// When it becomes a tombstone, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// The first message of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRoot {
    pub id: MessageId,
    pub seq: Seq,
}

/// Who has written a message that was forwarded, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardedFrom {
    /// The username.
    pub sender: String,
    /// In Unix milliseconds.
    pub at: i64,
}

impl MessageExtras {
    /// Reads what is stored.
    ///
    /// # Errors
    /// For a text that this program has not written.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// Whether every field is at its default, so that there is nothing to store.
    pub fn is_empty(&self) -> bool {
        // Without `..`, so that a new field is not forgotten.
        let Self {
            reply_seq,
            thread,
            also_in_room,
            mentions,
            mentions_all,
            mentioned,
            data,
            forwarded_from,
            expires_at,
        } = self;
        let has_lists = !mentions.is_empty() || !mentioned.is_empty();
        let is_flagged = *also_in_room || *mentions_all;
        let points = reply_seq.is_some() || thread.is_some();
        !has_lists
            && !is_flagged
            && !points
            && data.is_none()
            && forwarded_from.is_none()
            && expires_at.is_none()
    }

    /// The form that is stored; `None` if there is nothing to store.
    pub fn json(&self) -> Option<String> {
        // Texts and numbers only: this cannot fail.
        if self.is_empty() { None } else { serde_json::to_string(self).ok() }
    }

    /// About the bytes of what is stored.
    pub fn bytes(&self) -> usize {
        /// The fields of fixed length.
        const FIXED: usize = 200;
        /// A user's id, with its punctuation.
        const ID: usize = 39;
        let names = self.mentions.iter().map(|name| name.len() + 3).sum::<usize>();
        let data = self.data.as_ref().map_or(0, |data| data.get().len());
        FIXED + names + self.mentioned.len() * ID + data
    }

    /// What is left when the message becomes a tombstone: its place in a thread.
    pub fn of_tombstone(&self) -> Self {
        Self { thread: self.thread, also_in_room: self.also_in_room, ..Self::default() }
    }

    /// Whether it is a message of a thread alone, and not of the room.
    pub fn is_aside(&self) -> bool {
        self.thread.is_some() && !self.also_in_room
    }

    /// Whether the message is a tombstone at this time, in Unix milliseconds.
    pub fn has_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again_and_defaults_are_not_stored() {
        assert_eq!(MessageExtras::default().json(), None);
        let empty = serde_json::to_string(&MessageExtras::default()).unwrap();
        assert_eq!(empty, "{}", "a field is stored at its default");
        let extras = MessageExtras {
            thread: Some(ThreadRoot { id: MessageId::new(), seq: Seq(3) }),
            mentions: vec!["ada".into()],
            mentioned: vec![UserId::new()],
            data: Some(RawValue::from_string("{\"a\": [1,  2]}".into()).unwrap()),
            forwarded_from: Some(ForwardedFrom { sender: "bob".into(), at: 5 }),
            expires_at: Some(7),
            ..MessageExtras::default()
        };
        let json = extras.json().unwrap();
        assert!(json.contains("{\"a\": [1,  2]}"), "as it was sent: {json}");
        assert!(json.len() <= extras.bytes(), "{json}");
        let read = MessageExtras::read(&json).unwrap();
        assert_eq!(read.json().unwrap(), json);
        assert!(read.is_aside());
        assert!(read.has_expired(7) && !read.has_expired(6));
    }
}
