//! A user's own settings of a room: the form of `members.view`.

use serde::{Deserialize, Serialize};

/// See the module. A field at its default is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredView {
    /// The first field: see [`StoredView::MARKED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked: Option<UnreadMark>,
    #[serde(skip_serializing_if = "Notify::is_default")]
    pub notify: Notify,
    /// In Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<RoomDraft>,
}

/// The user has marked the room as unread. Whoever reads on takes the mark away, also in a process that does not know
/// of it: it counts only until the `read` mark moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadMark {
    /// When, in Unix milliseconds.
    pub at: i64,
    /// The seq of the user's `read` mark then.
    pub read: i64,
}

/// Which messages of a room the user wants to be notified of. Clients act on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    #[default]
    All,
    Mentions,
    None,
}

impl Notify {
    fn is_default(&self) -> bool {
        *self == Self::All
    }
}

/// A message that the user has begun to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomDraft {
    /// As JSON text, like the content of a message.
    pub content: String,
    /// The id of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

impl StoredView {
    /// What every stored view with a mark begins with, and no other one. SQL finds the marks by it.
    pub const MARKED: &str = r#"{"marked":"#;

    /// Reads what is stored.
    ///
    /// # Errors
    /// For a text that this program has not written.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The form that is stored; `None` if everything is at its default.
    pub fn json(&self) -> Option<String> {
        // Numbers and texts only: this cannot fail.
        (*self != Self::default()).then(|| serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_view_with_a_mark_begins_like_one() {
        assert_eq!(StoredView::default().json(), None);
        let draft = RoomDraft { content: r#""{\"marked\":""#.to_owned(), reply_to: None };
        let other = StoredView { archived: true, draft: Some(draft), ..StoredView::default() };
        let marked = StoredView { marked: Some(UnreadMark { at: 1, read: 2 }), ..other.clone() };
        for (view, begins) in [(&other, false), (&marked, true)] {
            let json = view.json().unwrap();
            assert_eq!(json.starts_with(StoredView::MARKED), begins, "{json}");
            assert_eq!(StoredView::read(&json).unwrap(), *view);
        }
    }
}
