//! What one TCP connection knows about its bytes: how many of those that wait for it were taken, whether
//! reading has to wait for writing, and when something complete was last read.

use std::{fmt, sync::Arc, task::Waker};

use tokio::time::Instant;

use super::frames::{Counted, Frames};
use crate::backlog::Backlog;

/// Bytes that may be read while written ones are not taken. Each may have an answer that has to be kept:
/// a library answers pings by itself.
const READ_AHEAD: usize = 64 * 1024;
/// What an answer that makes the connection a websocket begins with.
const SWITCHING: &[u8] = b"HTTP/1.1 101";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// What a request for a websocket begins with.
const GET: &[u8] = b"GET ";
/// Most bytes that are kept of what follows such a request before it is answered.
const EARLY: usize = 64 * 1024;

/// See the module.
pub struct Traffic {
    wire: Wire,
    /// Since when something that was to be written has not been taken completely.
    blocked_since: Option<Instant>,
    /// Bytes read since then, less those written.
    read_ahead: usize,
    /// The task that waits to read.
    reader: Option<Waker>,
}

enum Wire {
    Http {
        /// What was read since something was last written.
        head: Head,
    },
    /// A websocket was asked for and is not answered completely.
    Switching {
        answer: Vec<u8>,
        websocket: Box<WebSocket>,
    },
    WebSocket(Box<WebSocket>),
}

/// The part of a request that has been read, where it is one that may ask for a websocket.
#[derive(Default)]
struct Head {
    /// How much of [`GET`] it begins with.
    begun: usize,
    /// How much of its end was read last.
    matched: usize,
    end: End,
}

#[derive(Default)]
enum End {
    #[default]
    Ahead,
    /// What follows it: the first frames of a client that does not wait for the answer.
    Found(Vec<u8>),
    /// It is another request, or more follows than is kept.
    Unknown,
}

struct WebSocket {
    backlog: Arc<Backlog>,
    written: Frames,
    read: Frames,
    /// Whether a client that says nothing complete is disconnected here.
    is_watched: bool,
    complete_at: Instant,
}

impl Traffic {
    pub fn new() -> Self {
        Self { wire: Wire::Http { head: Head::default() }, blocked_since: None, read_ahead: 0, reader: None }
    }

    /// From the next answer on it is a websocket, if that answer says so. Fails where it is not known which bytes
    /// follow the request, as where it was sent together with another one.
    pub fn switch(&mut self, backlog: Arc<Backlog>, counted: Counted) -> Result<(), EarlyBytes> {
        let Wire::Http { head: Head { end: End::Found(early), .. } } = &self.wire else {
            return Err(EarlyBytes);
        };
        let mut read = Frames::new(Counted::All);
        read.pass(early);
        let websocket = WebSocket {
            backlog,
            written: Frames::new(counted),
            read,
            is_watched: counted == Counted::SocketIo,
            complete_at: Instant::now(),
        };
        self.wire = Wire::Switching { answer: Vec::new(), websocket: Box::new(websocket) };
        Ok(())
    }

    /// Whether reading has to wait; the task is woken when it may go on.
    pub fn holds_back(&mut self, waker: &Waker) -> bool {
        let holds = self.read_ahead >= READ_AHEAD;
        if holds {
            self.reader = Some(waker.clone());
        }
        holds
    }

    pub fn read(&mut self, bytes: &[u8]) {
        if self.blocked_since.is_some() {
            self.read_ahead += bytes.len();
        }
        match &mut self.wire {
            Wire::Http { head } => head.read(bytes),
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
            Wire::Http { head } => *head = Head::default(),
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

    /// Looks whether the answer to a request for a websocket is complete. It is short: we made it.
    fn answered(&mut self) {
        let Wire::Switching { answer, .. } = &self.wire else { return };
        let begin = SWITCHING.len().min(answer.len());
        let is_switching = answer[..begin] == SWITCHING[..begin];
        let end = answer.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD);
        if is_switching && end.is_none() {
            return;
        }
        let http = Wire::Http { head: Head::default() };
        let Wire::Switching { answer, mut websocket } = std::mem::replace(&mut self.wire, http) else {
            return;
        };
        if let (true, Some(end)) = (is_switching, end) {
            websocket.written(&answer[end + END_OF_HEAD.len()..]);
            websocket.complete_at = Instant::now();
            self.wire = Wire::WebSocket(websocket);
        }
    }

    /// The stream takes nothing for now.
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

    /// Wakes the task that waits to read, which then also finds out that the connection failed.
    pub fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Since when the client is silent: a watched websocket from which nothing complete was read, and a
    /// client that has not taken all of an answer.
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

/// It is not known where the frames of a client begin.
#[derive(Debug)]
pub struct EarlyBytes;

impl Head {
    fn read(&mut self, bytes: &[u8]) {
        match &mut self.end {
            End::Ahead => {}
            End::Found(early) if early.len() + bytes.len() <= EARLY => return early.extend_from_slice(bytes),
            End::Found(_) => return self.end = End::Unknown,
            End::Unknown => return,
        }
        let begin = &GET[self.begun.min(GET.len())..];
        let begin = &begin[..begin.len().min(bytes.len())];
        if !bytes.starts_with(begin) {
            return self.end = End::Unknown;
        }
        self.begun += begin.len();
        for (at, byte) in bytes.iter().enumerate() {
            self.matched = match END_OF_HEAD.get(self.matched) {
                Some(expected) if expected == byte => self.matched + 1,
                _ if *byte == b'\r' => 1,
                _ => 0,
            };
            if self.matched == END_OF_HEAD.len() {
                return self.end = End::Found(bytes[at + 1..].to_vec());
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
