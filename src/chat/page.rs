//! Where a page of messages ends: by their number, and by their bytes.

use super::{event::Envelope, nouns::Message};

/// A page has no more than this many bytes, but always one message: long messages would fill a client's
/// connection otherwise, and hold up what comes behind them.
pub(super) const PAGE_BYTES: usize = 512_000;
/// What a message takes besides its content, about: ids, names, times.
const BESIDES: usize = 1_000;

/// How many of these messages, from the first on, make a page.
pub(super) fn fitting<'a>(contents: impl Iterator<Item = &'a str>) -> usize {
    let mut bytes = 0;
    let mut fitting = 0;
    for content in contents {
        bytes += BESIDES + json_bytes(content);
        if bytes > PAGE_BYTES && fitting > 0 {
            break;
        }
        fitting += 1;
    }
    fitting
}

/// The content of a message that is to be sent.
pub(super) fn content(envelope: &Envelope) -> &str {
    envelope.message().map_or("", |message: &std::sync::Arc<Message>| &message.row.content)
}

/// Bytes of a text as JSON.
fn json_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_bytes_and_has_at_least_one_message() {
        let long = "x".repeat(16_384);
        let full = fitting(std::iter::repeat_n(&*long, 500));
        assert!((25..=31).contains(&full), "{full}");
        assert_eq!(fitting(std::iter::repeat_n("hi", 200)), 200);
        assert_eq!(fitting(std::iter::once(&*"x".repeat(600_000))), 1);
        assert_eq!(fitting(std::iter::empty()), 0);
        let escaped = "\u{1}".repeat(16_384);
        assert_eq!(fitting(std::iter::repeat_n(&*escaped, 500)), 5);
    }

    proptest::proptest! {
        #[test]
        fn the_bytes_are_those_of_the_json(text in "\\PC{0,20}[\u{0}-\u{7f}]{0,20}") {
            assert_eq!(json_bytes(&text) + 2, serde_json::to_string(&text).unwrap().len());
        }
    }
}
