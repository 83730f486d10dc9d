//! What messages of the server say: the form of their contents.

use serde::Serialize;

use crate::values::json_text;

/// What a message of the server says: the JSON in its content.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct SystemMessage {
    what: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    usernames: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

impl SystemMessage {
    /// The group has this name now.
    pub fn renamed(name: &str) -> Self {
        Self { what: "renamed", name: Some(name.to_owned()), ..Self::default() }
    }

    /// What has happened to these users.
    pub fn of(what: &'static str, usernames: Vec<String>) -> Self {
        Self { what, usernames, ..Self::default() }
    }

    /// With the role that they have now.
    pub fn with_role(self, role: &'static str) -> Self {
        Self { role: Some(role), ..self }
    }

    /// The content of the message: a text with JSON.
    pub fn content(&self) -> String {
        // Texts only: this cannot fail.
        json_text(&serde_json::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_a_text_with_json() {
        let message = SystemMessage::of("role", vec!["ada".into()]).with_role("admin");
        let text: String = serde_json::from_str(&message.content()).unwrap();
        assert_eq!(text, r#"{"what":"role","usernames":["ada"],"role":"admin"}"#);
    }
}
