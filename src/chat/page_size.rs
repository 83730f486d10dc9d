//! Where a page of messages ends: at a number of messages, or at a number of bytes.

/// A page has at most this many bytes, but always at least one message. Otherwise long messages would fill a
/// client's connection, and delay what comes after them.
pub(super) const PAGE_BYTES: usize = 512_000;
/// About what a message takes besides its content and its reactions: ids, names, times.
const BESIDES: usize = 1_000;

/// Reads a page of at most `most` rows in two parts: the second has as many rows as those of the first leave room for. So
/// what does not fit into a page is hardly ever read. `read` gets the last row of the first part, and the number of rows.
/// Returns the page, and whether more rows may follow.
pub(super) async fn read_in_parts<T, E, F>(
    most: usize,
    bytes: impl Fn(&T) -> usize,
    mut read: impl FnMut(Option<&T>, usize) -> F,
) -> Result<(Vec<T>, bool), E>
where
    F: Future<Output = Result<Vec<T>, E>>,
{
    let (mut parts, first) = Parts::of(most);
    let mut rows = read(None, first).await?;
    if let Some(second) = parts.second(rows.iter().map(&bytes)) {
        let second = read(rows.last(), second);
        rows.extend(second.await?);
    }
    let may_follow = parts.end(&mut rows, bytes);
    Ok((rows, may_follow))
}

/// The same for a reader who is told whether rows follow: reads one more than the page has. Returns the page, and whether
/// there are more.
pub(super) async fn read_with_more<T, E, F>(
    most: usize,
    bytes: impl Fn(&T) -> usize,
    read: impl FnMut(Option<&T>, usize) -> F,
) -> Result<(Vec<T>, bool), E>
where
    F: Future<Output = Result<Vec<T>, E>>,
{
    let (mut rows, may_follow) = read_in_parts(most + 1, bytes, read).await?;
    let is_longer = rows.len() > most;
    rows.truncate(most);
    Ok((rows, may_follow || is_longer))
}

/// The sizes of the two parts. Messages are given by their bytes.
struct Parts {
    /// The most rows of the page.
    most: usize,
    /// The rows that were asked for so far.
    asked: usize,
}

impl Parts {
    /// A page of at most `most` rows, and the number of rows in its first part.
    fn of(most: usize) -> (Self, usize) {
        let asked = most.min(FIRST_PART);
        (Self { most, asked }, asked)
    }

    /// The number of rows in the second part, by the messages of the first. `None` if no more rows exist, or
    /// no more fit.
    fn second(&mut self, first: impl ExactSizeIterator<Item = usize>) -> Option<usize> {
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
    fn end<T>(self, rows: &mut Vec<T>, bytes: impl Fn(&T) -> usize) -> bool {
        let read = rows.len();
        rows.truncate(fitting(rows.iter().map(bytes)));
        rows.len() < read || (read == self.asked && self.asked < self.most)
    }
}

/// The number of these messages, from the first, that make a page.
pub(super) fn fitting(messages: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let mut fitting = 0;
    for message in messages {
        bytes += BESIDES + message;
        if bytes > PAGE_BYTES && fitting > 0 {
            break;
        }
        fitting += 1;
    }
    fitting
}

/// The most rows in the first part of a page: with the longest contents they are not much more than a page.
const FIRST_PART: usize = 51;

/// How many more rows a page may have, by the messages read so far; none where they fill it.
fn room_for(messages: impl ExactSizeIterator<Item = usize>) -> usize {
    let rows = messages.len().max(1);
    let bytes: usize = messages.map(|message| BESIDES + message).sum();
    PAGE_BYTES.saturating_sub(bytes) / (bytes / rows).max(BESIDES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of each part and whether more may follow, for a room with `stored` messages of this content.
    fn page(most: usize, stored: usize, bytes: usize) -> (usize, Option<usize>, usize, bool) {
        let (mut parts, first) = Parts::of(most);
        let mut rows = vec![bytes; first.min(stored)];
        let second = parts.second(rows.iter().copied());
        rows.resize(stored.min(rows.len() + second.unwrap_or(0)), bytes);
        let may_follow = parts.end(&mut rows, |bytes| *bytes);
        (first, second, rows.len(), may_follow)
    }

    #[test]
    fn a_page_is_read_in_two_parts_if_one_is_not_enough() {
        assert_eq!(page(50, 500, 2), (50, None, 50, false), "as many as were asked for");
        assert_eq!(page(200, 500, 2), (51, Some(149), 200, false));
        assert_eq!(page(200, 40, 2), (51, None, 40, false), "there are no more");
        assert_eq!(page(200, 51, 2), (51, Some(149), 51, false), "there are no more, as it turns out");
        let long = 16_384;
        assert_eq!(page(200, 500, long), (51, None, 29, true));
        let middle = 4_000;
        assert_eq!(page(200, 500, middle), (51, Some(52), 102, true));
    }

    #[test]
    fn the_rest_of_a_page_is_as_many_rows_as_will_fit() {
        let long = 16_384;
        assert_eq!(room_for(std::iter::repeat_n(long, 51)), 0);
        assert_eq!(room_for(std::iter::repeat_n(long, 10)), 19);
        assert!(room_for(std::iter::repeat_n(2, 51)) > 400);
        assert!(room_for(std::iter::empty()) > 500);
    }

    #[test]
    fn a_page_ends_at_its_bytes_and_has_at_least_one_message() {
        let long = 16_384;
        let full = fitting(std::iter::repeat_n(long, 500));
        assert!((25..=31).contains(&full), "{full}");
        assert_eq!(fitting(std::iter::repeat_n(2, 200)), 200);
        assert_eq!(fitting(std::iter::once(600_000)), 1);
        assert_eq!(fitting(std::iter::empty()), 0);
    }
}
