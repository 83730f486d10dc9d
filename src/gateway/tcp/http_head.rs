//! Finds the end of a request's head in the bytes of an HTTP connection, and keeps what follows a request that may ask
//! for a websocket: the first frames of a client that does not wait for the answer.

pub const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// The beginning of a request for a websocket.
const GET: &[u8] = b"GET ";
/// Most bytes that are kept of what follows such a request before its answer.
const EARLY: usize = 64 * 1024;

/// The part of a request that has been read, if the request may ask for a websocket.
#[derive(Default)]
pub struct Head {
    /// How many bytes of [`GET`] matched at its beginning.
    begun: usize,
    /// It begins with something else.
    is_other: bool,
    /// How many bytes of [`END_OF_HEAD`] matched last.
    matched: usize,
    pub end: HeadEnd,
}

#[derive(Default)]
pub enum HeadEnd {
    #[default]
    Ahead,
    /// The bytes after the head: the first frames of a client that does not wait for the answer.
    Found(Vec<u8>),
    /// The head is complete, and the request is not a `GET`, or more bytes follow than are kept.
    Unknown,
}

/// The position of a client's first frame is not known.
#[derive(Debug)]
pub struct EarlyBytes;

impl Head {
    pub fn is_complete(&self) -> bool {
        !matches!(self.end, HeadEnd::Ahead)
    }

    pub fn read(&mut self, bytes: &[u8]) {
        match &mut self.end {
            HeadEnd::Ahead => {}
            HeadEnd::Found(early) if early.len() + bytes.len() <= EARLY => {
                return early.extend_from_slice(bytes);
            }
            HeadEnd::Found(_) => return self.end = HeadEnd::Unknown,
            HeadEnd::Unknown => return,
        }
        let begin = &GET[self.begun.min(GET.len())..];
        let begin = &begin[..begin.len().min(bytes.len())];
        self.is_other |= !bytes.starts_with(begin);
        self.begun += begin.len();
        for (at, byte) in bytes.iter().enumerate() {
            self.matched = match END_OF_HEAD.get(self.matched) {
                Some(expected) if expected == byte => self.matched + 1,
                _ if *byte == b'\r' => 1,
                _ => 0,
            };
            if self.matched == END_OF_HEAD.len() {
                self.end = match self.is_other {
                    true => HeadEnd::Unknown,
                    false => HeadEnd::Found(bytes[at + 1..].to_vec()),
                };
                return;
            }
        }
    }
}
