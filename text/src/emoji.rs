//! The invisible characters inside emoji. Every keyboard writes them, so they do not make a text invalid.

use std::borrow::Cow;

use icu_properties::{
    CodePointSetData,
    props::{Emoji, EmojiModifier, ExtendedPictographic},
};

const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
/// The only emoji that continues with tags: flags of regions.
const BLACK_FLAG: char = '\u{1f3f4}';
const LAST_TAG: char = '\u{e007f}';

/// The text without the joiners, variation selectors and tags that belong to emoji. Others stay.
pub(crate) fn without_joiners(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c == JOINER || is_selector(c) || is_tag(c)) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    // The character before, the visible one before, and whether a sequence of tags is open.
    let (mut before, mut visible, mut tagged) = ('\0', '\0', false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or('\0');
        let belongs = if is_selector(c) {
            before == visible && is_emoji(visible) && (!visible.is_ascii() || next == KEYCAP)
        } else if c == JOINER {
            (before == visible || is_selector(before)) && is_picture(visible) && is_picture(next)
        } else if is_tag(c) {
            tagged = (tagged || before == BLACK_FLAG) && before != LAST_TAG;
            tagged
        } else {
            tagged = false;
            false
        };
        if !belongs {
            kept.push(c);
            visible = c;
        }
        before = c;
    }
    Cow::Owned(kept)
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..=LAST_TAG)
}

fn is_emoji(c: char) -> bool {
    CodePointSetData::new::<Emoji>().contains(c)
}

fn is_picture(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
        || CodePointSetData::new::<EmojiModifier>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_an_emoji_is_left_out() {
        for (written, kept) in [
            ("plain", "plain"),
            ("I \u{2764}\u{fe0f} tea", "I \u{2764} tea"),
            ("👩\u{200d}👧", "👩👧"),
            ("👩🏽\u{200d}🚀", "👩🏽🚀"),
            ("🏳\u{fe0f}\u{200d}🌈", "🏳🌈"),
            ("1\u{fe0f}\u{20e3}", "1\u{20e3}"),
            ("🏴\u{e0067}\u{e0062}\u{e007f}", "🏴"),
        ] {
            assert_eq!(without_joiners(written), kept, "{written:?}");
        }
        for hidden in [
            "a\u{200d}b",
            "a\u{fe0f}",
            "1\u{fe0f}",
            "\u{2764}\u{fe0f}\u{fe0f}",
            "👩\u{200d}\u{200d}👧",
            "👩\u{200d}",
            "a\u{e0067}",
            "\u{200d}",
        ] {
            assert!(without_joiners(hidden).contains(crate::is_blank), "{hidden:?}");
        }
    }
}
