//! Kinds of characters.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use precis_profiles::precis_core::Error;
use unicode_normalization::UnicodeNormalization;

use crate::Reason;

/// The most marks (accents, vowel points) on one letter: more of them cover the lines above and below.
const MARKS: usize = 4;

/// Whether a character shows nothing: spaces, control characters, invisible characters, and letters and
/// symbols whose picture is empty.
pub fn is_blank(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_whitespace() || c.is_ascii_control() || c == ' ';
    }
    c.is_whitespace()
        || c.is_control()
        || is_ignorable(c)
        // The blank of braille and of musical notes, the filler of Khitan, marks of annotations and objects.
        || matches!(c, '\u{2800}' | '\u{1d159}' | '\u{16fe4}' | '\u{fff9}'..='\u{fffc}')
}

/// Whether a character is invisible by design: it joins, separates, selects a variant, sets a direction.
pub(crate) fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn is_mark(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    matches!(CodePointMapData::<GeneralCategory>::new().get(c), EnclosingMark | NonspacingMark | SpacingMark)
}

/// Checks that each mark of a word belongs to a letter, is there once, and that there are not too many.
pub(crate) fn check_marks(word: &str) -> Result<(), Reason> {
    let mut marks = Vec::new();
    for (at, c) in word.nfd().enumerate() {
        if !is_mark(c) {
            marks.clear();
            continue;
        }
        if at == 0 {
            return Err("must not have a word that begins with an accent or another mark".into());
        }
        if marks.contains(&c) || marks.len() == MARKS {
            return Err("must not have so many accents or other marks on one letter".into());
        }
        marks.push(c);
    }
    Ok(())
}

/// What a refusal of the profiles says in plain words.
pub(crate) fn reason(refusal: &Error) -> Reason {
    let Error::BadCodepoint(info) = refusal else {
        return "must not mix letters written from right to left with other letters in one word".into();
    };
    char::from_u32(info.cp).map_or_else(|| "must not contain this character".into(), unwanted)
}

/// Why a character is refused.
pub(crate) fn unwanted(c: char) -> Reason {
    if c.is_control() {
        "must not contain control characters".into()
    } else if c.is_whitespace() {
        "must not contain blanks other than single spaces".into()
    } else if is_blank(c) || is_unshown(c) {
        format!("must not contain the invisible character U+{:04X}", u32::from(c)).into()
    } else {
        format!("must not contain the character {c} (U+{:04X})", u32::from(c)).into()
    }
}

/// Whether a refusal must not show the character itself.
fn is_unshown(c: char) -> bool {
    use GeneralCategory::{Format, PrivateUse, Unassigned};
    is_mark(c)
        || matches!(CodePointMapData::<GeneralCategory>::new().get(c), Format | PrivateUse | Unassigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing_is_blank() {
        for blank in [
            ' ',
            '\t',
            '\n',
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{180e}',
            '\u{2003}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{205f}',
            '\u{2060}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fffc}',
            '\u{1d159}',
            '\u{e0041}',
            '\u{e0100}',
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for shown in ['a', '.', 'é', 'ß', '한', 'ا', '❤', '😀', '\u{301}', '\u{fffd}', '€'] {
            assert!(!is_blank(shown), "{shown:?}");
        }
    }

    #[test]
    fn marks_belong_to_letters() {
        for good in ["Việt", "ế", "שָׁלוֹם", "हिन्दी", "a\u{323}\u{302}\u{301}", "กำลัง"]
        {
            assert!(check_marks(good).is_ok(), "{good}");
        }
        for bad in ["\u{301}a", "a\u{301}\u{301}", "\u{e1}\u{301}", "Z\u{300}\u{301}\u{302}\u{303}\u{304}"] {
            assert!(check_marks(bad).is_err(), "{bad}");
        }
    }
}
