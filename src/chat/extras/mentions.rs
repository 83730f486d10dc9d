//! Whom a message mentions: the names that its sender gives, or those that stand in its text as `@username`.

use std::collections::{HashMap, HashSet};

use entity::UserId;
use text::fold;

use crate::{
    chat::room::Room,
    error::{Error, Result},
    values::{self, Body},
};

/// The most users that one message mentions.
pub(super) const MOST: usize = 50;
/// The most characters of a username.
const LONGEST_NAME: usize = 64;

/// The members of a room that are mentioned, each once, with their usernames.
pub(super) type Mentioned = Vec<(UserId, String)>;

/// The members among these usernames; others are dropped.
///
/// # Errors
/// `bad_request` for more than 50 names.
pub(super) fn named(room: &Room, names: &[String]) -> Result<Mentioned> {
    if names.len() > MOST {
        return Err(Error::invalid("mentions", "must have at most 50 usernames"));
    }
    let wanted = names.iter().filter(|name| values::may_be_a_name(name));
    let wanted: Vec<String> = wanted.map(|name| fold(name).into_owned()).collect();
    Ok(in_order(room, wanted))
}

/// The members whose names stand behind an `@` in a text: at each `@` that begins a word the longest name that ends
/// with a word, in any capitals. At most the first 50.
pub(super) fn in_text(room: &Room, body: &Body) -> Mentioned {
    if !body.json().contains('@') && !body.json().contains("\\u0040") {
        return Vec::new();
    }
    let Some(text) = body.text() else { return Vec::new() };
    let places: Vec<Vec<String>> = places(&text).take(MOST).map(candidates).collect();
    let wanted: HashSet<&str> = places.iter().flatten().map(String::as_str).collect();
    let known = room.members_named(&wanted);
    let found = places.iter().filter_map(|longest_first| {
        longest_first.iter().find(|name| known.contains_key(name.as_str())).cloned()
    });
    in_order_of(&known, found)
}

fn in_order(room: &Room, wanted: Vec<String>) -> Mentioned {
    let known = room.members_named(&wanted.iter().map(String::as_str).collect());
    in_order_of(&known, wanted.into_iter())
}

fn in_order_of(known: &HashMap<String, (UserId, String)>, wanted: impl Iterator<Item = String>) -> Mentioned {
    let mut mentioned: Mentioned = Vec::new();
    for (user, name) in wanted.filter_map(|name| known.get(&name)) {
        if !mentioned.iter().any(|(other, _)| other == user) {
            mentioned.push((*user, name.clone()));
        }
    }
    mentioned
}

/// What stands behind each `@` that begins a word.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('@').filter_map(move |(at, _)| {
        let (before, behind) = (text.get(..at)?, text.get(at + 1..)?);
        (!before.ends_with(is_of_a_word)).then_some(behind)
    })
}

/// The folded beginnings of a text that end with a word, as long as a name may be, the longest first.
fn candidates(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for end in ends.skip(1).take(LONGEST_NAME) {
        let (Some(name), Some(rest)) = (text.get(..end), text.get(end..)) else { continue };
        if !rest.starts_with(is_of_a_word) {
            found.push(fold(name).into_owned());
        }
    }
    found.reverse();
    found
}

fn is_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use entity::{RoomId, Seq, member::Role, message, room};

    use super::*;
    use crate::{
        chat::room::{Heads, StoredMember, watermark::Marks},
        identity::Person,
    };

    fn room_of(names: &[&str]) -> Room {
        let member = |name: &str| StoredMember {
            person: Person::new(name.to_owned(), None),
            role: Role::Member,
            marks: Marks::at(Seq::ZERO),
            is_marked_unread: false,
            joined: Seq::ZERO,
        };
        let members = names.iter().map(|name| (UserId::new(), member(name))).collect();
        Room::new(RoomId::new(), room::Kind::Group, None, Heads::default(), 1, members)
    }

    fn found(room: &Room, text: &str) -> Vec<String> {
        let body = Body::parse(message::Kind::Text, &values::json_text(text), 10_000).unwrap();
        in_text(room, &body).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn the_longest_name_behind_an_at_that_begins_a_word_is_meant() {
        let room = room_of(&["ada", "ada.l", "ada lovelace", "Bob", "jo_e", "zoë"]);
        for (text, names) in [
            ("@ada", &["ada"][..]),
            ("hi @ada.", &["ada"]),
            ("hi @ada.l!", &["ada.l"]),
            ("@ada lovelace, and @bob", &["ada lovelace", "Bob"]),
            ("@ADA @ada @Bob", &["ada", "Bob"]),
            ("(@bob)", &["Bob"]),
            ("bob@ada.l", &[]),
            ("@adam @jo_ey @jo", &[]),
            ("@jo_e's", &["jo_e"]),
            ("@ZOË\n@nobody", &["zoë"]),
            ("@", &[]),
            ("no mention", &[]),
        ] {
            assert_eq!(found(&room, text), names, "{text:?}");
        }
    }

    #[test]
    fn names_that_are_given_have_to_be_members() {
        let room = room_of(&["ada", "bob"]);
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            named(&room, &names)
        };
        let found = named(&["BOB", "nobody", "ada", "bob"]).unwrap();
        assert_eq!(found.iter().map(|(_, name)| name).collect::<Vec<_>>(), ["bob", "ada"]);
        assert!(named(&["ada"; 51]).is_err());
    }

    #[test]
    fn a_text_mentions_at_most_fifty_users() {
        let names: Vec<String> = (0..60).map(|number| format!("user{number}")).collect();
        let room = room_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let text: String = names.iter().map(|name| format!("@{name} ")).collect();
        assert_eq!(found(&room, &text).len(), MOST);
    }
}
