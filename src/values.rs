//! Values that users enter, parsed once and valid from then on: no code that gets these types checks a length
//! again.

use std::time::Duration;

use entity::{message, names::MOST_BYTES as NAME_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// A username as it is stored and shown: 3 to 64 characters. [`text::username`] has the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > NAME_BYTES {
            return Err(Error::invalid("username", "must have 3 to 64 characters"));
        }
        let name = text::username(text).map_err(|reason| Error::invalid("username", reason))?;
        if !(3..=64).contains(&name.chars().count()) {
            return Err(Error::invalid("username", "must have 3 to 64 characters"));
        }
        if name.parse::<entity::UserId>().is_ok() {
            // One part of a path is either a user's id or a username.
            return Err(Error::invalid("username", "must not look like an id"));
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// A group's name as it is stored and shown: 1 to 100 characters. [`text::group_name`] has the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(String);

impl GroupName {
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > NAME_BYTES {
            return Err(Error::invalid("groupName", "must have 1 to 100 characters"));
        }
        let name = text::group_name(text).map_err(|reason| Error::invalid("groupName", reason))?;
        if name.chars().count() > 100 {
            return Err(Error::invalid("groupName", "must have 1 to 100 characters"));
        }
        Ok(Self(name))
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
    /// `json` must be one valid JSON value, and for a text a string that shows something. `limit` counts the
    /// bytes of the string itself for a text. For encrypted content, see [`encrypted_bytes`].
    pub fn parse(kind: message::Kind, json: &str, limit: usize) -> Result<Self> {
        if kind == message::Kind::Text {
            if !json.starts_with('"') {
                return Err(Error::invalid("content", "must be a string"));
            }
            // Escapes only make it longer, so a short one needs no further check.
            if json.len() > limit + 2 && string_bytes(json) > limit {
                return Err(Error::TooLarge { what: "content", limit });
            }
            // The first character that shows something ends the search.
            if Characters(json).all(shows_nothing) {
                return Err(Error::invalid("content", "must not be blank"));
            }
        } else if json.len() > limit && encrypted_bytes(json) > limit {
            return Err(Error::TooLarge { what: "content", limit });
        }
        Ok(Self { kind, json: json.to_owned() })
    }

    pub fn json(&self) -> &str {
        &self.json
    }

    /// The text of it; `None` for encrypted content.
    pub fn text(&self) -> Option<String> {
        (self.kind == message::Kind::Text).then(|| serde_json::from_str(&self.json).ok()).flatten()
    }
}

/// Whether a text of nothing but such characters was sent by mistake. Control characters are content: people do
/// not type them, and programs may exchange them.
fn shows_nothing(c: char) -> bool {
    text::is_blank(c) && (c.is_whitespace() || !c.is_control())
}

/// The characters of a JSON string's value, one after the other. Half of a surrogate pair is U+FFFD.
struct Characters<'a>(&'a str);

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut rest = self.0.chars();
        let mut character = rest.next()?;
        while character == '"' {
            // The quotation marks around the string. Those inside are escaped.
            character = rest.next()?;
        }
        if character == '\\' {
            character = match rest.next()? {
                'u' => {
                    let (unit, after) = code_unit(rest.as_str());
                    rest = after.chars();
                    match (unit, after.strip_prefix("\\u").map(code_unit)) {
                        (0xd800..0xdc00, Some((low @ 0xdc00..0xe000, after))) => {
                            rest = after.chars();
                            let pair = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                            char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER)
                        }
                        _ => char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
                    }
                }
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            };
        }
        self.0 = rest.as_str();
        Some(character)
    }
}

/// The size of encrypted content, without the quotation marks and escapes of JSON. Libraries write encrypted bytes
/// as characters up to U+00FF, so each of these counts as one byte, however JSON has to write it.
fn encrypted_bytes(json: &str) -> usize {
    Characters(json).map(|c| if c < '\u{100}' { 1 } else { c.len_utf8() }).sum()
}

/// The number that four hexadecimal digits mean, and what follows them.
fn code_unit(text: &str) -> (u32, &str) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    (u32::from_str_radix(digits, 16).unwrap_or(0xfffd), rest)
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

/// A text as JSON.
pub fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Texts as a JSON array.
pub fn json_list(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}

/// The texts of a JSON array that [`json_list`] has made.
pub fn list_of_json(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

/// What a user reacts to a message with, such as an emoji: 1 to 64 bytes, printable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReactionKey(String);

impl ReactionKey {
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 64 {
            return Err(Error::invalid("key", "must have 1 to 64 bytes"));
        }
        printable("key", text)?;
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Data of the client beside a message: a JSON object of at most 4 KiB, kept as it was written.
#[derive(Clone, Debug)]
pub struct Data(Box<RawValue>);

impl Data {
    const MOST_BYTES: usize = 4_096;

    pub fn parse(json: Box<RawValue>) -> Result<Self> {
        if !json.get().starts_with('{') {
            return Err(Error::invalid("data", "must be a JSON object"));
        }
        if json.get().len() > Self::MOST_BYTES {
            return Err(Error::TooLarge { what: "data", limit: Self::MOST_BYTES });
        }
        Ok(Self(json))
    }

    /// The form that is stored.
    pub fn json(&self) -> &RawValue {
        &self.0
    }

    /// Whether this is what is stored.
    pub fn is(&self, stored: Option<&RawValue>) -> bool {
        stored.is_some_and(|stored| stored.get() == self.0.get())
    }

    pub fn bytes(&self) -> usize {
        self.0.get().len()
    }
}

/// After how many seconds a message disappears: 5 seconds to 90 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime(u32);

impl Lifetime {
    pub fn parse(field: &'static str, seconds: u32) -> Result<Self> {
        if !(5..=90 * 24 * 60 * 60).contains(&seconds) {
            return Err(Error::invalid(field, "must be from 5 seconds to 90 days, in seconds"));
        }
        Ok(Self(seconds))
    }

    pub fn seconds(self) -> u32 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
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

    /// The id of the comment on a message that is forwarded under this id.
    pub fn of_comment(&self) -> Self {
        Self(format!("{}:comment", self.0))
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

/// Whether a text can be some user's or group's name, as far as it is worth a look into the database.
pub fn may_be_a_name(text: &str) -> bool {
    is_storable(text) && text.len() <= NAME_BYTES
}

/// Whether a text can be part of any name or detail. Databases also refuse long patterns.
pub fn may_be_part_of_a_name(text: &str) -> bool {
    is_storable(text) && text.chars().count() <= DETAIL
}

/// Refuses control characters (PostgreSQL cannot store U+0000) and spaces at the ends.
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
        let decomposed = "e\u{301}".repeat(64);
        for good in ["ada", "Ada Lovelace", "ada@example.com", "éöü", &"x".repeat(64), &decomposed] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
        let id = entity::UserId::new().to_string();
        let wide_id: String = id.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
        for bad in
            ["", "ab", " ada", "ada ", "a\0da", "a\nda", "e\u{301}e\u{301}", &"x".repeat(65), &id, &wide_id]
        {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
        assert!(GroupName::parse(&"x".repeat(100)).is_ok());
        for bad in ["", " ", " a", &"x".repeat(101), &"x".repeat(1_000_000)] {
            assert!(GroupName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_of_blanks_is_refused_however_it_is_escaped() {
        for blank in [
            r#""""#,
            r#"" ""#,
            r#""\n\t\r\f""#,
            r#""\u200b\u3164 \ud83a""#,
            "\"\u{200b}\u{feff}\u{3164}\u{2800}\"",
            r#""\udb40\udc41""#,
        ] {
            let is_taken = Body::parse(message::Kind::Text, blank, 100).is_ok();
            assert_eq!(is_taken, blank.contains("ud83a"), "{blank}");
        }
        for text in [
            r#""\"""#,
            r#""\\""#,
            r#""\/""#,
            r#"" .""#,
            r#""\u0041""#,
            r#""\ud83d\ude00""#,
            r#""\u0000""#,
            r#""\b""#,
            "\"\u{2764}\u{fe0f}\"",
        ] {
            assert!(Body::parse(message::Kind::Text, text, 100).is_ok(), "{text}");
        }
        assert!(Body::parse(message::Kind::Encrypted, r#"" ""#, 100).is_ok());
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
        assert!(Body::parse(message::Kind::Encrypted, "{\"a\":[1]}", 7).is_ok());
        assert!(Body::parse(message::Kind::Encrypted, "{\"a\":[1]}", 6).is_err());
        // Three encrypted bytes, and a character that is none.
        assert!(Body::parse(message::Kind::Encrypted, "[\"\\u0001ÿ\\\"\"]", 5).is_ok());
        assert!(Body::parse(message::Kind::Encrypted, "[\"\\u0001ÿ\\\"ā\"]", 6).is_err());
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
            assert_eq!(Characters(&json).collect::<String>().replace('"', ""), text.replace('"', ""), "{json}");
            if text.chars().all(shows_nothing) {
                assert!(Body::parse(message::Kind::Text, &json, text.len()).is_err(), "{json}");
                return Ok(());
            }
            let taken = |limit| Body::parse(message::Kind::Text, &json, limit).is_ok();
            assert!(taken(text.len()));
            assert!(text.is_empty() || !taken(text.len() - 1), "{json}");
        }

        #[test]
        fn any_name_is_taken_in_its_stored_form_or_not_at_all(text: String) {
            string_bytes(&text);
            Characters(&text).count();
            if let Ok(name) = Username::parse(&text) {
                assert_eq!(Username::parse(name.as_str()).unwrap(), name);
                assert!(entity::user::is_same_name(name.as_str(), &text), "{text:?}");
                assert!((3..=64).contains(&name.as_str().chars().count()));
            }
            if let Ok(name) = GroupName::parse(&text) {
                assert_eq!(GroupName::parse(name.as_str()).unwrap(), name);
                assert_eq!(entity::room::name_key(name.as_str()), entity::room::name_key(&text));
                assert!((1..=100).contains(&name.as_str().chars().count()));
            }
            if let Ok(Some(kept)) = detail("email", Some(text.clone())) {
                assert_eq!(kept, text);
            }
        }
    }
}
