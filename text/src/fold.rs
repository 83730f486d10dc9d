//! The form by which texts are compared.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use crate::characters::{is_blank, is_ignorable};

/// How often a text is folded again until nothing changes. Once is enough for nearly all texts.
const ROUNDS: usize = 4;

/// The text without regard to capitals, to how its characters are encoded, to width and to invisible
/// characters. Each row of blanks is one space, and there are none at the ends. Folding twice changes nothing.
///
/// For a valid username this is the form of RFC 8265's UsernameCaseMapped, for a group name that of RFC 8266's
/// Nickname, with two additions: both forms of the Greek small sigma are one letter, and the small letter of İ is
/// i. The result contains no control character. It borrows a text that is folded already and has only ASCII
/// characters.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return fold_ascii(text);
    }
    let mut folded = round(text);
    for _ in 1..ROUNDS {
        let again = round(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    Cow::Owned(folded)
}

fn fold_ascii(text: &str) -> Cow<'_, str> {
    let is_folded = |bytes: &[u8]| {
        let mut before = b' ';
        for &byte in bytes {
            if byte.is_ascii_uppercase() || byte.is_ascii_control() || (byte == b' ' && before == b' ') {
                return false;
            }
            before = byte;
        }
        before != b' ' || bytes.is_empty()
    };
    if is_folded(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(single_spaces(text.chars().map(|c| c.to_ascii_lowercase())))
}

fn round(text: &str) -> String {
    let mut small = String::with_capacity(text.len());
    let mut letter = '\0';
    // Decomposed: each letter, then its marks.
    for c in text.nfkd().filter(|c| !is_ignorable(*c)) {
        for c in c.to_lowercase() {
            if canonical_combining_class(c) == 0 {
                letter = c;
            }
            match c {
                'ς' => small.push('σ'),
                // The small letter of İ is i with a second dot.
                '\u{307}' if letter == 'i' => {}
                c => small.push(c),
            }
        }
    }
    single_spaces(small.nfkc())
}

/// The characters with one space for each row of blanks, and none at the ends.
fn single_spaces(characters: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    let mut gap = false;
    for c in characters {
        if is_blank(c) {
            gap = !text.is_empty();
            continue;
        }
        if gap {
            text.push(' ');
            gap = false;
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use precis_profiles::{
        Nickname, UsernameCaseMapped,
        precis_core::profile::{PrecisFastInvocation, Rules},
    };
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// Texts of characters that are written in more than one way, and any others.
    pub(crate) fn texts() -> impl Strategy<Value = String> {
        let special: Vec<char> = "aAzZ09 ßẞéÉİıIiſσςΣΐΰᾈᾳΩÅKǅǆ한글각ﬁ①ａＡ：ｶﾞﾊﾟ山田がア\
            \u{301}\u{300}\u{307}\u{308}\u{323}\u{327}\u{345}\u{a0}\u{3000}\u{200b}\u{200d}\u{ad}\u{1100}\u{1161}\u{11a8}\u{fe0f}❤ӏӀІаро"
            .chars()
            .collect();
        let one = prop_oneof![3 => select(special), 1 => any::<char>()];
        vec(one, 0..12).prop_map(String::from_iter)
    }

    #[test]
    fn forms_of_one_name_are_equal() {
        for (one, other) in [
            ("ada", "ADA"),
            ("ada", " Ada \n"),
            ("Ada Lovelace", "ada  lovelace"),
            ("José", "Jose\u{301}"),
            ("José", "JOSÉ"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("admin", "ａｄｍｉｎ"),
            ("admin", "ad\u{200b}min"),
            ("admin\u{212a}", "admink"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("İpek", "ipek"),
            ("İpek", "I\u{307}PEK"),
            ("straße", "STRAẞE"),
            ("山田 太郎", "山田\u{3000}太郎"),
            ("ガ", "ｶﾞ"),
            ("ᾈ", "Α\u{313}\u{345}"),
            ("ά", "\u{1f71}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one:?} {other:?}");
        }
        for (one, other) in [("tom", "torn"), ("José", "Jose"), ("a b", "ab"), ("ı", "i"), ("ß", "ss")] {
            assert_ne!(fold(one), fold(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_folded_ascii_text_is_not_copied() {
        for same in ["", "ada", "ada lovelace", "auth0|5f7", "a.b-c_d@e"] {
            assert!(matches!(fold(same), Cow::Borrowed(text) if text == same), "{same:?}");
        }
        for (text, folded) in
            [(" ", ""), ("a ", "a"), (" a", "a"), ("a\tb", "a b"), ("a\0", "a"), ("A  B", "a b")]
        {
            assert_eq!(fold(text), folded, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn folding_is_stable_and_hides_the_form(text in texts()) {
            let folded = fold(&text).into_owned();
            prop_assert!(!folded.contains(|c: char| c.is_control() || (is_blank(c) && c != ' ')));
            for form in [
                folded.clone(),
                text.nfc().collect(),
                text.nfd().collect(),
                // What earlier versions compared: equal then means equal now.
                text.to_lowercase(),
                format!("\u{3000}{text} "),
            ] {
                prop_assert_eq!(&*fold(&form), &*folded, "{:?}", form);
            }
        }

        #[test]
        fn a_username_folds_to_its_standard_form(text in texts()) {
            let word: String = text.nfc().filter(|c| !c.is_whitespace()).collect();
            if let Ok(mapped) = UsernameCaseMapped::enforce(word.as_str()) {
                prop_assert_eq!(fold(&word), fold(&mapped));
                if !mapped.contains(['ς', '\u{307}', '\u{345}', '\u{200c}', '\u{200d}']) && mapped == mapped.to_lowercase() {
                    prop_assert_eq!(&*fold(&word), &*mapped);
                }
            }
        }

        #[test]
        fn group_names_that_the_standard_calls_equal_fold_alike(text in texts()) {
            let text: String = text.nfc().collect();
            let nickname = Nickname::new();
            if let Ok(shown) = Nickname::enforce(text.as_str())
                && let Ok(small) = nickname.case_mapping_rule(shown.as_ref())
                && let Ok(small) = nickname.normalization_rule(small)
            {
                prop_assert_eq!(fold(&text), fold(&small));
                prop_assert_eq!(fold(&text), fold(&shown));
            }
        }
    }
}
