//! What an account looks like that nobody signed up for: an issuer said who it is.

use entity::{UserId, user};

use super::{
    Chat,
    caller::{Introduction, Newcomers},
    text::{self, Username},
};

/// The longest username, in characters.
const LONGEST: usize = 64;
/// From here on, names get a random end: whoever took so many may have taken them all.
const COUNTED: u32 = 9;

impl Newcomers for Chat {
    fn account(&self, introduction: &Introduction, attempt: u32) -> user::Model {
        let id = UserId::new();
        let username = username(&introduction.username, attempt, id);
        let detail = |field, value: &Option<String>| text::detail(field, value.clone()).ok().flatten();
        user::Model {
            id,
            username_key: user::username_key(&username),
            username,
            password_hash: None,
            first_name: detail("firstName", &introduction.first_name),
            last_name: None,
            email: detail("email", &introduction.email),
            phone: None,
            profile: None,
            is_admin: false,
            created_at: self.core.clock.now(),
            last_seen_at: None,
            deleted_at: None,
        }
    }
}

/// The name as the issuer has it, as far as it can be a username, with another end for each attempt.
fn username(wanted: &str, attempt: u32, id: UserId) -> String {
    let end = match attempt {
        0 => String::new(),
        1..=COUNTED => format!("-{}", attempt + 1),
        // The low half of an id is random.
        _ => format!("-{:08x}", id.0.as_u128() & 0xffff_ffff),
    };
    let printable: String = wanted.chars().filter(|c| !c.is_control()).collect();
    let printable = printable.trim();
    let ending = |name: &str| {
        let name: String = name.chars().take(LONGEST - end.len()).collect();
        format!("{}{end}", name.trim_end())
    };
    // Too short, or like an id, as the subjects of many issuers are.
    let named = ending(printable);
    Username::parse(&named).map_or_else(|_| ending(&format!("user-{printable}")), Username::into_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_far_as_it_can_be_one() {
        let id = UserId::new();
        for (wanted, expected) in [
            ("ada", "ada"),
            ("Ada Lovelace", "Ada Lovelace"),
            ("auth0|5f7", "auth0|5f7"),
            (" ada \n", "ada"),
            ("a\0d\u{7f}a", "ada"),
            ("ab", "user-ab"),
            ("", "user-"),
            (" \n ", "user-"),
        ] {
            assert_eq!(username(wanted, 0, id), expected, "{wanted:?}");
        }
        assert_eq!(username(&id.to_string(), 0, id), format!("user-{id}"));
        assert_eq!(username("ada", 1, id), "ada-2");
        assert_eq!(username("ada", 9, id), "ada-10");
        let random = username("ada", 10, id);
        assert!(random.starts_with("ada-") && random.len() == 12, "{random}");
    }

    #[test]
    fn whatever_an_issuer_writes_becomes_a_username() {
        let id = UserId::new();
        let wide = "é".repeat(64);
        let gap = format!("{} {}", "x".repeat(61), "y".repeat(20));
        let simple = id.0.simple().to_string();
        for wanted in [
            "",
            "a",
            "\u{85}",
            "日本語",
            "👩‍👩‍👧‍👦",
            &wide,
            &"x".repeat(10_000),
            &gap,
            &simple,
            &id.0.urn().to_string(),
        ] {
            for attempt in 0..12 {
                let name = username(wanted, attempt, id);
                assert!(Username::parse(&name).is_ok(), "{name:?} of {wanted:?}");
            }
        }
    }
}
