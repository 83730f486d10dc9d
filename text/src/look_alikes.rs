//! Names that a reader takes for each other.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use crate::characters::is_ignorable;

/// The most readings of one name. Beyond it, only the first reading of each further character counts.
const READINGS: usize = 64;

/// Characters of the standard's table that stand for several ASCII characters which look alike.
const SEVERAL: [(&str, &[&str]); 4] =
    [("l", &["l", "i", "1", "|"]), ("O", &["o", "0"]), ("rn", &["rn", "m"]), ("''", &["''", "\""])];

/// How the name can be read: its characters with each one outside ASCII replaced by what it looks like
/// (UTS 39), without regard to capitals. Two names look alike if they have a reading in common.
///
/// ASCII characters stand for themselves. Otherwise "torn" would be taken because of "tom". A character outside
/// ASCII that looks like several ASCII characters has several readings: Ӏ looks like l, I and 1.
///
/// There is at least one reading, and at most 64.
pub fn look_alikes(name: &str) -> BTreeSet<String> {
    let mut readings = vec![String::with_capacity(name.len())];
    let mut before = '\0';
    for c in name.nfd().filter(|c| !is_ignorable(*c)) {
        // The dot of İ, i and j, a second time.
        if c == '\u{307}' && matches!(before, 'I' | 'i' | 'j') {
            continue;
        }
        before = c;
        if c.is_ascii() {
            readings.iter_mut().for_each(|reading| reading.push(c.to_ascii_lowercase()));
            continue;
        }
        let mut looks = looks_of(c);
        if readings.len() * looks.len() > READINGS {
            looks.truncate(1);
        }
        readings = readings
            .iter()
            .flat_map(|reading| looks.iter().map(move |look| format!("{reading}{look}")))
            .collect();
    }
    readings.into_iter().collect()
}

/// What one character outside ASCII looks like, as it is and as a small letter.
fn looks_of(c: char) -> Vec<String> {
    let mut looks = Vec::new();
    let mut add = |look: String| {
        if !looks.contains(&look) {
            looks.push(look);
        }
    };
    for form in [String::from(c), c.to_lowercase().collect()] {
        let prototype: String = skeleton(&form).collect();
        match SEVERAL.iter().find(|(of, _)| *of == prototype) {
            Some((_, several)) => several.iter().for_each(|look| add((*look).to_owned())),
            None => add(prototype.to_lowercase()),
        }
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(one: &str, other: &str) -> bool {
        !look_alikes(one).is_disjoint(&look_alikes(other))
    }

    #[test]
    fn names_that_look_the_same_are_found() {
        for (one, other) in [
            ("admin", "\u{430}dmin"),
            ("ADMIN", "\u{410}DMIN"),
            ("admin", "\u{410}dmin"),
            ("admin", "adm\u{131}n"),
            ("admin", "ADM\u{130}N"),
            ("admin", "𝐚𝐝𝐦𝐢𝐧"),
            ("admin", "ad\u{200b}min"),
            ("paypal", "р\u{430}ур\u{430}\u{4cf}"),
            ("general", "genera\u{4cf}"),
            ("Ivan", "\u{406}van"),
            ("Ivan", "\u{4c0}van"),
            ("lemon", "\u{406}emon"),
            ("lemon", "\u{4c0}emon"),
            ("Bob", "\u{392}ob"),
            ("Bob", "\u{412}ob"),
            ("user0", "user\u{41e}"),
            ("scope", "ѕсоре"),
            ("José", "J\u{43e}sé"),
            ("l'équipe", "l’équipe"),
            ("say \"hi\"", "say “hi”"),
        ] {
            assert!(alike(one, other), "{one} {other}: {:?} {:?}", look_alikes(one), look_alikes(other));
        }
    }

    #[test]
    fn ascii_names_and_names_that_differ_are_left_alone() {
        for (one, other) in [
            ("tom", "torn"),
            ("Ivan", "lvan"),
            ("user0", "usero"),
            ("töm", "törn"),
            ("ḿ", "rń"),
            ("José", "Jose"),
            ("Müller", "Muller"),
            ("Анна", "Anna"),
            ("Олег", "Ольга"),
            ("山田", "山口"),
        ] {
            assert!(!alike(one, other), "{one} {other}: {:?} {:?}", look_alikes(one), look_alikes(other));
        }
    }

    #[test]
    fn the_readings_of_a_name_are_few() {
        assert_eq!(look_alikes("Ada Lovelace"), BTreeSet::from(["ada lovelace".to_owned()]));
        let many = look_alikes(&"\u{4c0}".repeat(64));
        assert!(many.len() <= READINGS && many.contains(&"l".repeat(64)), "{}", many.len());
    }

    proptest::proptest! {
        #[test]
        fn every_text_looks_like_itself_in_every_form(text: String) {
            let readings = look_alikes(&text);
            assert!((1..=READINGS).contains(&readings.len()));
            let composed: String = text.nfc().collect();
            let decomposed: String = text.nfd().collect();
            assert_eq!(look_alikes(&composed), readings);
            assert_eq!(look_alikes(&decomposed), readings);
            if text.is_ascii() {
                assert_eq!(readings, BTreeSet::from([text.to_ascii_lowercase()]));
            }
        }
    }
}
