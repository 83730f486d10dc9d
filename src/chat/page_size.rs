//! Where a page of messages ends: at a number of messages, or at a number of bytes.

use super::{event::Envelope, model::Message};

/// A page has at most this many bytes, but always at least one message. Otherwise long messages would fill a
/// client's connection, and delay what comes after them.
pub(super) const PAGE_BYTES: usize = 512_000;
/// About what a message takes besides its content: ids, names, times.
const BESIDES: usize = 1_000;

/// The number of these messages, from the first, that make a page.
pub(super) fn fitting<'a>(contents: impl Iterator<Item = &'a str>) -> usize {
    let mut bytes = 0;
    let mut fitting = 0;
    for content in contents {
        // The content is JSON already.
        bytes += BESIDES + content.len();
        if bytes > PAGE_BYTES && fitting > 0 {
            break;
        }
        fitting += 1;
    }
    fitting
}

/// The most rows in the first part of a page: with the longest contents they are not much more than a page. Only
/// when their length is known, the rest is read.
pub(super) const FIRST_PART: usize = 51;

/// How many more rows a page may have, by the contents read so far; none where they fill it.
pub(super) fn room_for<'a>(contents: impl ExactSizeIterator<Item = &'a str>) -> usize {
    let rows = contents.len().max(1);
    let bytes: usize = contents.map(|content| BESIDES + content.len()).sum();
    PAGE_BYTES.saturating_sub(bytes) / (bytes / rows).max(BESIDES)
}

/// The content of a message.
pub(super) fn content(envelope: &Envelope) -> &str {
    envelope.message().map_or("", |message: &std::sync::Arc<Message>| &message.row.content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_page_is_as_many_rows_as_will_fit() {
        let long = "x".repeat(16_384);
        assert_eq!(room_for(std::iter::repeat_n(&*long, 51)), 0);
        assert_eq!(room_for(std::iter::repeat_n(&*long, 10)), 19);
        assert!(room_for(std::iter::repeat_n("hi", 51)) > 400);
        assert!(room_for(std::iter::empty()) > 500);
    }

    #[test]
    fn a_page_ends_at_its_bytes_and_has_at_least_one_message() {
        let long = "x".repeat(16_384);
        let full = fitting(std::iter::repeat_n(&*long, 500));
        assert!((25..=31).contains(&full), "{full}");
        assert_eq!(fitting(std::iter::repeat_n("hi", 200)), 200);
        assert_eq!(fitting(std::iter::once(&*"x".repeat(600_000))), 1);
        assert_eq!(fitting(std::iter::empty()), 0);
    }
}
