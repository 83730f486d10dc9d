//! The traffic state of one TCP connection: how many waiting bytes the stream has taken, whether reading has
//! to wait for writing, and when something complete was last read.

use std::{fmt, sync::Arc, task::Waker};

use tokio::time::Instant;

use super::{
    frames::{FrameFilter, Frames},
    replacement::Replacement,
};
use crate::backlog::Backlog;

/// Bytes that may be read while written bytes are not taken. Each may cause an answer that has to be kept: a
/// library answers pings by itself.
const READ_AHEAD: usize = 64 * 1024;
/// The beginning of an answer that makes the connection a websocket.
const SWITCHING: &[u8] = b"HTTP/1.1 101";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// The beginning of a request for a websocket.
const GET: &[u8] = b"GET ";
/// Most bytes that are kept of what follows such a request before its answer.
const EARLY: usize = 64 * 1024;

/// See the module.
pub struct Traffic {
    wire: Wire,
    /// A frame that is to be written in place of another.
    pub replacement: Option<Replacement>,
    /// When the stream first failed to take everything that was to be written; `None` when nothing waits.
    blocked_since: Option<Instant>,
    /// Bytes read since then, minus bytes written.
    read_ahead: usize,
    /// The task that waits to read.
    reader: Option<Waker>,
    /// When something was last read.
    read_at: Instant,
    /// The requests whose answer or whose body is in progress.
    requests: usize,
    waits: WaitsFor,
}

/// What an HTTP connection without a request in progress waits for, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The rest of a request's head, or the first request at all.
    Head(Instant),
    /// The next request.
    Request(Instant),
}

enum Wire {
    Http {
        /// What was read since the last write.
        head: Head,
        /// Since when the client has asked for nothing, or only for the beginning of something: since the
        /// connection began, or since the last write.
        since: Instant,
    },
    /// A websocket was requested, and the answer is not complete yet.
    Switching {
        answer: Vec<u8>,
        websocket: Box<WebSocket>,
    },
    WebSocket(Box<WebSocket>),
}

/// The part of a request that has been read, if the request may ask for a websocket.
#[derive(Default)]
struct Head {
    /// How many bytes of [`GET`] matched at its beginning.
    begun: usize,
    /// It begins with something else.
    is_other: bool,
    /// How many bytes of [`END_OF_HEAD`] matched last.
    matched: usize,
    end: HeadEnd,
}

#[derive(Default)]
enum HeadEnd {
    #[default]
    Ahead,
    /// The bytes after the head: the first frames of a client that does not wait for the answer.
    Found(Vec<u8>),
    /// The head is complete, and the request is not a `GET`, or more bytes follow than are kept.
    Unknown,
}

struct WebSocket {
    backlog: Arc<Backlog>,
    written: Frames,
    read: Frames,
    /// Whether this module disconnects a client that sends nothing complete.
    is_watched: bool,
    complete_at: Instant,
}

impl Traffic {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            wire: Wire::http(),
            replacement: None,
            blocked_since: None,
            read_ahead: 0,
            reader: None,
            read_at: now,
            requests: 0,
            waits: WaitsFor::Head(now),
        }
    }

    /// Treats the connection as a websocket after the next answer, if that answer switches protocols. Fails
    /// if the bytes that follow the request are not known, for example when the client sent it together with
    /// another request.
    pub fn switch(&mut self, backlog: Arc<Backlog>, counted: FrameFilter) -> Result<(), EarlyBytes> {
        let Wire::Http { head: Head { end: HeadEnd::Found(early), .. }, .. } = &self.wire else {
            return Err(EarlyBytes);
        };
        let mut read = Frames::new(FrameFilter::All);
        read.pass(early);
        let websocket = WebSocket {
            backlog,
            written: Frames::new(counted),
            read,
            is_watched: counted == FrameFilter::SocketIo,
            complete_at: Instant::now(),
        };
        self.wire = Wire::Switching { answer: Vec::new(), websocket: Box::new(websocket) };
        Ok(())
    }

    /// Whether reading has to wait. If so, the task is woken when it may continue.
    pub fn holds_back(&mut self, waker: &Waker) -> bool {
        let holds = self.read_ahead >= READ_AHEAD;
        if holds {
            self.reader = Some(waker.clone());
        }
        holds
    }

    pub fn read(&mut self, bytes: &[u8]) {
        self.read_at = Instant::now();
        if let WaitsFor::Request(_) = self.waits {
            self.waits = WaitsFor::Head(self.read_at);
        }
        if self.blocked_since.is_some() {
            self.read_ahead += bytes.len();
        }
        match &mut self.wire {
            Wire::Http { head, .. } => head.read(bytes),
            Wire::Switching { websocket, .. } | Wire::WebSocket(websocket) => {
                if websocket.is_watched && websocket.read.pass(bytes).is_complete {
                    websocket.complete_at = Instant::now();
                }
            }
        }
    }

    /// The stream has taken these bytes.
    pub fn written(&mut self, bytes: &[u8]) {
        match &mut self.wire {
            Wire::Http { .. } => self.wire = Wire::http(),
            Wire::Switching { answer, .. } => {
                answer.extend_from_slice(bytes);
                self.answered();
            }
            Wire::WebSocket(websocket) => websocket.written(bytes),
        }
        self.read_ahead = self.read_ahead.saturating_sub(bytes.len());
        if self.read_ahead < READ_AHEAD {
            self.wake();
        }
    }

    /// Checks whether the answer to a websocket request is complete. The answer is short, because this server
    /// wrote it.
    fn answered(&mut self) {
        let Wire::Switching { answer, .. } = &self.wire else { return };
        let begin = SWITCHING.len().min(answer.len());
        let is_switching = answer[..begin] == SWITCHING[..begin];
        let end = answer.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD);
        if is_switching && end.is_none() {
            return;
        }
        let http = Wire::http();
        let Wire::Switching { answer, mut websocket } = std::mem::replace(&mut self.wire, http) else {
            return;
        };
        if let (true, Some(end)) = (is_switching, end) {
            websocket.written(&answer[end + END_OF_HEAD.len()..]);
            websocket.complete_at = Instant::now();
            self.wire = Wire::WebSocket(websocket);
        }
    }

    /// The stream takes no more bytes for now.
    pub fn blocked(&mut self) {
        self.blocked_since.get_or_insert_with(Instant::now);
    }

    /// Everything was written.
    pub fn flushed(&mut self) {
        if self.blocked_since.take().is_some() {
            self.read_ahead = 0;
            self.wake();
        }
    }

    /// Wakes the task that waits to read. It then also notices a failed connection.
    pub fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub fn request_begins(&mut self) {
        self.requests += 1;
    }

    pub fn request_ends(&mut self) {
        self.requests -= 1;
        self.waits = WaitsFor::Request(Instant::now());
    }

    /// What the connection waits for. `None` while a request is in progress, or an answer was not taken.
    pub fn waits(&self) -> Option<WaitsFor> {
        (self.requests == 0 && self.blocked_since.is_none()).then_some(self.waits)
    }

    /// When something was last read from the client.
    pub fn read_at(&self) -> Instant {
        self.read_at
    }

    /// Since when an HTTP client has asked for nothing; `None` while it waits for an answer or has a websocket.
    pub fn idle_since(&self) -> Option<Instant> {
        match &self.wire {
            Wire::Http { head, since } if !head.is_complete() && self.blocked_since.is_none() => Some(*since),
            _ => None,
        }
    }

    /// Since when the client is silent. A watched websocket is silent while nothing complete is read from it.
    /// An HTTP client is silent while it has not taken all of an answer.
    pub fn silent_since(&self) -> Option<Instant> {
        match &self.wire {
            Wire::WebSocket(websocket) if websocket.is_watched => Some(websocket.complete_at),
            Wire::WebSocket(_) => None,
            Wire::Http { .. } | Wire::Switching { .. } => self.blocked_since,
        }
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").field("read_ahead", &self.read_ahead).finish_non_exhaustive()
    }
}

/// The position of a client's first frame is not known.
#[derive(Debug)]
pub struct EarlyBytes;

impl Wire {
    fn http() -> Self {
        Self::Http { head: Head::default(), since: Instant::now() }
    }
}

impl Head {
    fn is_complete(&self) -> bool {
        !matches!(self.end, HeadEnd::Ahead)
    }

    fn read(&mut self, bytes: &[u8]) {
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

impl WebSocket {
    fn written(&mut self, bytes: &[u8]) {
        let taken = self.written.pass(bytes).bytes;
        if taken > 0 {
            self.backlog.taken(taken);
        }
    }
}
