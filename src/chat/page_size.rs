//! Where a page of messages ends: at a number of messages, or at a number of bytes.

/// A page has at most this many bytes, but always at least one message. Otherwise long messages would fill a
/// client's connection, and delay what comes after them.
pub(super) const PAGE_BYTES: usize = 512_000;
/// About what a message takes besides its content: ids, names, times.
const BESIDES: usize = 1_000;

/// A page that is read in two parts: the second has as many rows as the contents of the first leave room for.
/// So what does not fit into a page is hardly ever read.
pub(super) struct Parts {
    /// The most rows of the page.
    most: usize,
    /// The rows that were asked for so far.
    asked: usize,
}

impl Parts {
    /// A page of at most `most` rows, and the number of rows in its first part.
    pub fn of(most: usize) -> (Self, usize) {
        let asked = most.min(FIRST_PART);
        (Self { most, asked }, asked)
    }

    /// The number of rows in the second part, by the contents of the first. `None` if no more rows exist, or
    /// no more fit.
    pub fn second<'a>(&mut self, first: impl ExactSizeIterator<Item = &'a str>) -> Option<usize> {
        if first.len() < self.asked {
            return None;
        }
        // One more than fits, to see whether more follow.
        let more = match room_for(first) {
            0 => 0,
            fitting => (fitting + 1).min(self.most - self.asked),
        };
        self.asked += more;
        (more > 0).then_some(more)
    }

    /// Ends the page where its bytes end. Returns whether more rows may follow.
    pub fn end<T>(self, rows: &mut Vec<T>, content: impl Fn(&T) -> &str) -> bool {
        let read = rows.len();
        rows.truncate(fitting(rows.iter().map(content)));
        rows.len() < read || (read == self.asked && self.asked < self.most)
    }
}

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

/// The most rows in the first part of a page: with the longest contents they are not much more than a page.
const FIRST_PART: usize = 51;

/// How many more rows a page may have, by the contents read so far; none where they fill it.
fn room_for<'a>(contents: impl ExactSizeIterator<Item = &'a str>) -> usize {
    let rows = contents.len().max(1);
    let bytes: usize = contents.map(|content| BESIDES + content.len()).sum();
    PAGE_BYTES.saturating_sub(bytes) / (bytes / rows).max(BESIDES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of each part and whether more may follow, for a room with `stored` messages of this content.
    fn page(most: usize, stored: usize, content: &str) -> (usize, Option<usize>, usize, bool) {
        let (mut parts, first) = Parts::of(most);
        let mut rows = vec![content; first.min(stored)];
        let second = parts.second(rows.iter().copied());
        rows.resize(stored.min(rows.len() + second.unwrap_or(0)), content);
        let may_follow = parts.end(&mut rows, |content| content);
        (first, second, rows.len(), may_follow)
    }

    #[test]
    fn a_page_is_read_in_two_parts_if_one_is_not_enough() {
        assert_eq!(page(50, 500, "hi"), (50, None, 50, false), "as many as were asked for");
        assert_eq!(page(200, 500, "hi"), (51, Some(149), 200, false));
        assert_eq!(page(200, 40, "hi"), (51, None, 40, false), "there are no more");
        assert_eq!(page(200, 51, "hi"), (51, Some(149), 51, false), "there are no more, as it turns out");
        let long = "x".repeat(16_384);
        assert_eq!(page(200, 500, &long), (51, None, 29, true));
        let middle = "x".repeat(4_000);
        assert_eq!(page(200, 500, &middle), (51, Some(52), 102, true));
    }

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
