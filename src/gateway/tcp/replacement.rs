//! Writes one WebSocket frame in place of another. A library that writes a message for the server may have no
//! call to add something to it.

/// A frame that is expected in the written bytes, and the frame that is written in its place.
#[derive(Debug)]
pub struct Replacement {
    expected: Vec<u8>,
    instead: Vec<u8>,
    /// How much of `instead` the stream has taken.
    taken: usize,
}

/// What to write next of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This many of the bytes, as they are.
    Unchanged(usize),
    /// The rest of the other frame. The bytes begin with the expected one.
    Replaced,
}

impl Replacement {
    /// Replaces a text message of the server. Both texts are short: less than 126 bytes each. The expected
    /// text contains something that occurs nowhere else, such as the id of a new socket.
    ///
    /// Returns `None` if a text is too long.
    pub fn of_text(expected: &str, instead: &str) -> Option<Self> {
        Some(Self { expected: short_text_frame(expected)?, instead: short_text_frame(instead)?, taken: 0 })
    }

    /// A writer passes a frame as a whole, perhaps among others. A frame that it passes in two parts is not
    /// found, and stays as it is.
    pub fn next(&self, bytes: &[u8]) -> Next {
        match bytes.windows(self.expected.len()).position(|window| window == self.expected) {
            Some(0) => Next::Replaced,
            Some(before) => Next::Unchanged(before),
            None => Next::Unchanged(bytes.len()),
        }
    }

    /// What is still to be written of the other frame.
    pub fn rest(&self) -> &[u8] {
        self.instead.get(self.taken..).unwrap_or_default()
    }

    /// The stream has taken so many more bytes of the other frame. Returns the length of the expected frame
    /// once the stream has taken all.
    pub fn take(&mut self, bytes: usize) -> Option<usize> {
        self.taken += bytes;
        self.rest().is_empty().then_some(self.expected.len())
    }
}

/// A whole text message in one frame of a server (RFC 6455, section 5.2).
fn short_text_frame(text: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126)?;
    Some([&[0x81, length], text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_frame_is_replaced_wherever_it_stands() {
        let replacement = || Replacement::of_text("one", "another").unwrap();
        let cases: [(&[u8], Next); 5] = [
            (b"\x81\x03one", Next::Replaced),
            (b"\x81\x03one\x81\x012", Next::Replaced),
            (b"\x81\x012\x81\x03one", Next::Unchanged(3)),
            (b"\x81\x03two", Next::Unchanged(5)),
            (b"\x81\x03on", Next::Unchanged(4)),
        ];
        for (bytes, next) in cases {
            assert_eq!(replacement().next(bytes), next, "{bytes:?}");
        }
    }

    #[test]
    fn the_other_frame_may_be_taken_in_parts() {
        let mut replacement = Replacement::of_text("one", "another").unwrap();
        assert_eq!(replacement.rest(), b"\x81\x07another");
        assert_eq!(replacement.take(3), None);
        assert_eq!(replacement.rest(), b"nother");
        assert_eq!(replacement.take(6), Some(5));
    }

    #[test]
    fn a_long_text_needs_another_header() {
        assert!(Replacement::of_text("one", &"x".repeat(126)).is_none());
    }
}
