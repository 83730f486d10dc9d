//! Values that users enter, parsed once and valid from then on: no code that gets these types checks a length
//! again.

use entity::message;

use crate::error::{Error, Result};

/// A username as the user chose it: 3 to 64 characters, printable, no space at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    pub fn parse(text: &str) -> Result<Self> {
        let length = text.chars().count();
        if !(3..=64).contains(&length) {
            return Err(Error::invalid("username", "must have 3 to 64 characters"));
        }
        printable("username", text)?;
        if text.parse::<entity::UserId>().is_ok() {
            // One part of a path is either a user's id or a username.
            return Err(Error::invalid("username", "must not look like an id"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// A group's name: 1 to 100 characters, printable, no space at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(String);

impl GroupName {
    pub fn parse(text: &str) -> Result<Self> {
        if !(1..=100).contains(&text.chars().count()) {
            return Err(Error::invalid("groupName", "must have 1 to 100 characters"));
        }
        printable("groupName", text)?;
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The most characters of a personal detail, which is the longest text that users are searched by.
const DETAIL: usize = 200;

/// A personal detail (a first name, an e-mail address, a telephone number): at most 200 characters,
/// printable. An empty text is `None`.
pub fn detail(field: &'static str, text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.chars().count() > DETAIL {
        return Err(Error::invalid(field, "must have at most 200 characters"));
    }
    printable(field, &text)?;
    Ok(Some(text))
}

/// A message's content: the JSON text as the client wrote it, at most as long as the limit.
#[derive(Clone, Debug)]
pub struct Body {
    pub kind: message::Kind,
    json: String,
}

impl Body {
    /// `json` must be one valid JSON value, and a string for a text. `limit` counts the bytes of the string
    /// itself for a text, and the bytes of the JSON for encrypted content.
    pub fn parse(kind: message::Kind, json: &str, limit: usize) -> Result<Self> {
        if kind == message::Kind::Text {
            if !json.starts_with('"') {
                return Err(Error::invalid("content", "must be a string"));
            }
            // Escapes only make it longer, so a short one needs no further check.
            if json.len() > limit + 2 && string_bytes(json) > limit {
                return Err(Error::TooLarge { what: "content", limit });
            }
        } else if json.len() > limit {
            return Err(Error::TooLarge { what: "content", limit });
        }
        Ok(Self { kind, json: json.to_owned() })
    }

    pub fn json(&self) -> &str {
        &self.json
    }
}

/// The UTF-8 length of a JSON string's value, without building it. Each surrogate counts as two bytes, so a
/// pair counts as four.
fn string_bytes(json: &str) -> usize {
    let inner = json.as_bytes().get(1..json.len().saturating_sub(1)).unwrap_or_default();
    let mut bytes = 0;
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        if byte != b'\\' {
            bytes += 1;
            at += 1;
        } else if inner.get(at + 1) == Some(&b'u') {
            let unit = inner
                .get(at + 2..at + 6)
                .and_then(|hex| std::str::from_utf8(hex).ok())
                .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                .unwrap_or(0xffff);
            bytes += match unit {
                0..0x80 => 1,
                0x80..0x800 => 2,
                // Halves of a pair: two bytes each make the four of the pair.
                0xd800..0xe000 => 2,
                _ => 3,
            };
            at += 6;
        } else {
            bytes += 1;
            at += 2;
        }
    }
    bytes
}

/// A client's own id for a message: 1 to 128 characters, printable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientMessageId(String);

impl ClientMessageId {
    pub fn parse(text: &str) -> Result<Self> {
        if !(1..=128).contains(&text.chars().count()) {
            return Err(Error::invalid("clientMessageId", "must have 1 to 128 characters"));
        }
        printable("clientMessageId", text)?;
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text can be compared with stored values: PostgreSQL refuses U+0000 even in a query. No stored
/// name contains it, so such a text is no name.
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// Whether a text can be part of any name or detail. Databases also refuse long patterns.
pub fn may_be_part_of_a_name(text: &str) -> bool {
    is_storable(text) && text.chars().count() <= DETAIL
}

/// Refuses control characters (PostgreSQL cannot store U+0000) and spaces at the ends (two names must not
/// look the same).
fn printable(field: &'static str, text: &str) -> Result<()> {
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    if text.trim() != text {
        return Err(Error::invalid(field, "must not begin or end with a space"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_has_three_to_sixty_four_printable_characters() {
        for good in ["ada", "Ada Lovelace", "ada@example.com", "auth0|5f7", "éöü", &"x".repeat(64)] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
        let id = entity::UserId::new().to_string();
        for bad in ["", "ab", " ada", "ada ", "a\0da", "a\nda", &"x".repeat(65), &id] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_is_measured_by_what_it_says_not_by_how_it_is_escaped() {
        let escaped = format!("\"{}\"", "\\u0041".repeat(10));
        assert!(Body::parse(message::Kind::Text, &escaped, 10).is_ok());
        assert!(Body::parse(message::Kind::Text, &escaped, 9).is_err());
        let emoji = "\"\\ud83d\\ude00\"";
        assert!(Body::parse(message::Kind::Text, emoji, 4).is_ok());
        assert!(Body::parse(message::Kind::Text, emoji, 3).is_err());
        assert!(Body::parse(message::Kind::Text, "\"é\"", 1).is_err());
        assert!(Body::parse(message::Kind::Text, "\"\\\"\\\\\"", 2).is_ok());
    }

    #[test]
    fn a_text_is_a_string_and_an_encrypted_content_is_anything() {
        assert!(Body::parse(message::Kind::Text, "5", 100).is_err());
        assert!(Body::parse(message::Kind::Encrypted, "{\"a\":[1]}", 100).is_ok());
        assert!(Body::parse(message::Kind::Encrypted, "{\"a\":[1]}", 8).is_err());
    }

    /// A JSON string; each character is plain or escaped, as a surrogate pair if needed.
    fn written(text: &str, escaped: &[bool]) -> String {
        let characters = text.chars().zip(escaped.iter().cycle().chain(std::iter::repeat(&false)));
        let inner: String = characters
            .map(|(character, escaped)| {
                let mut units = [0; 2];
                if *escaped {
                    character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                } else {
                    let quoted = serde_json::to_string(&character).unwrap();
                    quoted[1..quoted.len() - 1].to_owned()
                }
            })
            .collect();
        format!("\"{inner}\"")
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_measured_as_it_will_be_read(
            text in proptest::collection::vec(proptest::prelude::any::<char>(), 0..40),
            escaped in proptest::collection::vec(proptest::prelude::any::<bool>(), 0..8),
        ) {
            let text = String::from_iter(text);
            let json = written(&text, &escaped);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert_eq!(string_bytes(&json), text.len(), "{json}");
            let taken = |limit| Body::parse(message::Kind::Text, &json, limit).is_ok();
            assert!(taken(text.len()));
            assert!(text.is_empty() || !taken(text.len() - 1), "{json}");
        }

        #[test]
        fn any_name_is_taken_as_it_is_or_not_at_all(text: String) {
            string_bytes(&text);
            if let Ok(name) = Username::parse(&text) {
                assert_eq!(name.as_str(), text);
                assert!(text.trim() == text && !text.chars().any(char::is_control));
            }
            if let Ok(name) = GroupName::parse(&text) {
                assert!(name.as_str() == text && (1..=100).contains(&text.chars().count()));
            }
            if let Ok(Some(kept)) = detail("email", Some(text.clone())) {
                assert_eq!(kept, text);
            }
        }
    }
}
