//! Which names are valid.

use precis_profiles::{Nickname, UsernameCasePreserved, precis_core::profile::PrecisFastInvocation};
use unicode_normalization::UnicodeNormalization;

use crate::{
    Reason,
    characters::{check_marks, is_blank, reason, unwanted},
    emoji, look_alikes,
};

/// A username in the form that is stored and shown: with its capitals, each character in its shortest encoding
/// and its usual width.
///
/// It has one or more words with single spaces between them. Each word is a username of RFC 8265
/// (UsernameCaseMapped, which [`crate::fold`] finishes): letters, digits and ASCII punctuation. No word is a
/// colon, or looks like one: front ends write `name : text`.
///
/// # Errors
/// What is wrong, for the user. The length is not checked.
pub fn username(text: &str) -> Result<String, Reason> {
    // A keyboard for East Asian scripts writes the wide space.
    let text: String = text.nfc().map(|c| if c == '\u{3000}' { ' ' } else { c }).collect();
    check_ends(&text)?;
    let mut name = String::with_capacity(text.len());
    for word in text.split(' ') {
        if word.is_empty() {
            return Err("must not have two spaces in a row".into());
        }
        let word = UsernameCasePreserved::enforce(word).map_err(|err| reason(&err))?;
        check_marks(&word)?;
        if look_alikes(&word).contains(":") {
            return Err("must not contain a colon with spaces around it".into());
        }
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(&word);
    }
    Ok(name)
}

/// The username nearest to any text: with what a username cannot contain left out. It may be empty.
pub fn nearest_username(text: &str) -> String {
    let usual: String = text.nfkc().collect();
    let is_allowed = |c: &char| *c == ' ' || UsernameCasePreserved::prepare(String::from(*c)).is_ok();
    let spaced = usual.chars().map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c });
    let words: String = spaced.filter(is_allowed).collect();
    let valid: Vec<String> = words.split(' ').filter_map(nearest_word).collect();
    valid.join(" ")
}

fn nearest_word(word: &str) -> Option<String> {
    let ascii = || username(&word.chars().filter(char::is_ascii).collect::<String>());
    username(word).or_else(|_| ascii()).ok().filter(|word| !word.is_empty())
}

/// A group's name in the form that is stored and shown: a nickname of RFC 8266, with its capitals, each
/// character in its shortest encoding, and single spaces between its words. Emoji are allowed with the invisible
/// characters that belong to them.
///
/// # Errors
/// What is wrong, for the user. The length is not checked.
pub fn group_name(text: &str) -> Result<String, Reason> {
    let text: String = text.nfc().collect();
    check_ends(&text)?;
    let is_space = |c: char| c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    let name = words.join(" ");
    let visible = emoji::without_joiners(&name);
    Nickname::prepare(&*visible).map_err(|err| reason(&err))?;
    for word in visible.split(' ') {
        if let Some(blank) = word.chars().find(|c| is_blank(*c) && !is_contextual(*c)) {
            return Err(unwanted(blank));
        }
        check_marks(word)?;
    }
    Ok(name)
}

/// The joiners that some scripts need between letters. The profiles check where they stand.
fn is_contextual(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn check_ends(text: &str) -> Result<(), Reason> {
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err("must not begin or end with a blank".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fold;

    #[test]
    fn a_username_is_kept_as_it_is_shown() {
        for (text, name) in [
            ("ada", "ada"),
            ("Ada Lovelace", "Ada Lovelace"),
            ("ada@example.com", "ada@example.com"),
            ("auth0|5f7", "auth0|5f7"),
            ("[server]", "[server]"),
            ("a:b", "a:b"),
            ("José", "José"),
            ("Jose\u{301}", "José"),
            ("ａｄｍｉｎ", "admin"),
            ("山田\u{3000}太郎", "山田 太郎"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("admin\u{212a}", "adminK"),
            ("Олег", "Олег"),
            ("Νίκος", "Νίκος"),
            ("אורי", "אורי"),
            ("محمد", "محمد"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("हिन्दी", "हिन्दी"),
            ("สมชาย", "สมชาย"),
            ("İpek", "İpek"),
            ("straße", "straße"),
        ] {
            assert_eq!(username(text).as_deref(), Ok(name), "{text:?}");
        }
    }

    #[test]
    fn a_username_without_an_honest_look_is_refused() {
        for (text, why) in [
            ("admin\u{200b}", "invisible"),
            ("ad\u{200d}min", "invisible"),
            ("ad\u{200c}min", "invisible"),
            ("admin\u{2060}", "invisible"),
            ("ad\u{ad}min", "invisible"),
            ("\u{feff}admin", "invisible"),
            ("\u{202e}nimda\u{202c}", "invisible"),
            ("\u{2066}ada\u{2069}", "invisible"),
            ("\u{3164}\u{3164}\u{3164}", "invisible"),
            ("\u{2800}\u{2800}\u{2800}", "invisible"),
            ("admin\u{e0041}", "invisible"),
            ("admin\u{fe0f}", "invisible"),
            ("admin\u{e000}", "invisible"),
            ("abc\u{ffff}", "U+FFFF"),
            ("ada\u{2028}ada", "blanks"),
            ("ad\u{a0}min", "blanks"),
            ("ad\u{2003}min", "blanks"),
            ("ada  ada", "two spaces"),
            (" ada", "begin or end"),
            ("ada\u{a0}", "begin or end"),
            ("ada\u{3000}", "begin or end"),
            ("ab\u{85}c", "control"),
            ("ad\u{1b}[31mmin", "control"),
            ("ab\0c", "control"),
            ("admin : hello everyone", "colon"),
            ("admin :", "colon"),
            ("ada \u{ff1a} hi", "colon"),
            ("ada \u{2d0} hi", "colon"),
            ("𝐚𝐝𝐦𝐢𝐧", "character"),
            ("bo\u{17f}s", "character"),
            ("ada😀", "character"),
            ("אבגabc", "right to left"),
            ("\u{301}abc", "accent"),
            ("ada \u{301}b", "accent"),
            ("a\u{301}\u{301}da", "accents"),
        ] {
            let refused = username(text).expect_err(text);
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_group_name_is_kept_as_it_is_shown() {
        for (text, name) in [
            ("General", "General"),
            ("Projet : été", "Projet : été"),
            ("Über  uns", "Über uns"),
            ("a\u{a0}b", "a b"),
            ("Family \u{2764}\u{fe0f}", "Family \u{2764}\u{fe0f}"),
            ("👩\u{200d}👩\u{200d}👧\u{200d}👦", "👩\u{200d}👩\u{200d}👧\u{200d}👦"),
            ("Team №1 ①", "Team №1 ①"),
            ("a/b #1 (x) – y…", "a/b #1 (x) – y…"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("Чат", "Чат"),
            ("x", "x"),
        ] {
            assert_eq!(group_name(text).as_deref(), Ok(name), "{text:?}");
        }
        for (text, why) in [
            ("general\u{200b}", "invisible"),
            ("\u{3164}", "invisible"),
            ("\u{2800}", "invisible"),
            ("a \u{2800} b", "invisible"),
            ("a\u{fe0f}", "invisible"),
            ("gen\u{200d}eral", "invisible"),
            ("\u{202e}lareneg", "invisible"),
            ("a\u{2028}b", ""),
            ("a\nb", "control"),
            (" a", "begin or end"),
            ("a ", "begin or end"),
            ("\u{301}a", "accent"),
            ("", ""),
            ("a\u{e000}", "invisible"),
        ] {
            let refused = group_name(text).expect_err(text);
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn the_nearest_username_leaves_out_what_cannot_be() {
        for (text, name) in [
            ("ada", "ada"),
            (" Ada \n Lovelace ", "Ada Lovelace"),
            ("ad\u{200b}min", "admin"),
            ("𝐚𝐝𝐦𝐢𝐧", "admin"),
            ("ada😀", "ada"),
            ("ada : hi", "ada hi"),
            ("אבגabc", "abc"),
            ("\u{301}\u{301}", ""),
            ("", ""),
        ] {
            assert_eq!(nearest_username(text), name, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_name_is_valid_in_its_stored_form(text in any::<String>()) {
            if let Ok(name) = username(&text) {
                prop_assert_eq!(username(&name), Ok(name.clone()));
                prop_assert_eq!(fold(&text), fold(&name));
                prop_assert!(!name.contains(" : ") && !fold(&name).is_empty());
            }
            if let Ok(name) = group_name(&text) {
                prop_assert_eq!(group_name(&name), Ok(name.clone()));
                prop_assert_eq!(fold(&text), fold(&name));
                prop_assert!(!fold(&name).is_empty());
            }
        }

        #[test]
        fn the_nearest_username_is_one(text in any::<String>()) {
            let near = nearest_username(&text);
            if !near.is_empty() {
                prop_assert_eq!(username(&near), Ok(near.clone()));
            }
            if let Ok(name) = username(&text) {
                prop_assert_eq!(&near, &name);
            }
        }
    }
}
