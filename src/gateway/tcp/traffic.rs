//! The traffic state of one TCP connection: how many waiting bytes the stream has taken, whether reading has
//! to wait for writing, when something complete was last read, and which tasks wait.

use std::{fmt, io, sync::Arc, task::Waker};

use tokio::time::Instant;

use super::{
    client_frames::Found,
    frame_queue::FramesSent,
    frames::FrameFilter,
    http_head::{END_OF_HEAD, EarlyBytes, Head, HeadEnd},
    replacement::Replacement,
    websocket::{Turn, WebSocket},
};
use crate::backlog::Backlog;

/// Bytes that may be read while written bytes are not taken. Each may cause an answer that has to be kept: a
/// library answers pings by itself.
const READ_AHEAD: usize = 64 * 1024;
/// The beginning of an answer that makes the connection a websocket.
const SWITCHING: &[u8] = b"HTTP/1.1 101";

/// See the module.
pub struct Traffic {
    wire: Wire,
    /// A frame that is to be written in place of another.
    pub replacement: Option<Replacement>,
    /// When the stream first failed to take everything that was to be written; `None` when nothing waits.
    blocked_since: Option<Instant>,
    /// Bytes read since then, minus bytes written.
    read_ahead: usize,
    /// The task that waits to read until the stream takes more.
    held_back: Option<Waker>,
    /// The task that reads. It also sends frames of the server that the stream did not take at once.
    sender: Option<Waker>,
    /// The task of the library that waits to write. The stream wakes only the last one of these two that has waited,
    /// and that one wakes the other.
    library: Option<Waker>,
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

impl Traffic {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            wire: Wire::http(),
            replacement: None,
            blocked_since: None,
            read_ahead: 0,
            held_back: None,
            sender: None,
            library: None,
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
        let websocket = WebSocket::new(backlog, counted, early);
        self.wire = Wire::Switching { answer: Vec::new(), websocket: Box::new(websocket) };
        Ok(())
    }

    /// Whether reading has to wait. If so, the task is woken when it may continue.
    pub fn holds_back(&mut self, waker: &Waker) -> bool {
        let holds = self.read_ahead >= READ_AHEAD;
        if holds {
            self.held_back = Some(waker.clone());
        }
        holds
    }

    /// Bytes were read. Returns how many of them, at the beginning, are left for the library, and the
    /// acknowledgements that were taken out.
    pub fn read(&mut self, bytes: &mut [u8]) -> Found {
        self.read_at = Instant::now();
        if let WaitsFor::Request(_) = self.waits {
            self.waits = WaitsFor::Head(self.read_at);
        }
        if self.blocked_since.is_some() {
            self.read_ahead += bytes.len();
        }
        match &mut self.wire {
            Wire::Http { head, .. } => head.read(bytes),
            Wire::Switching { websocket, .. } | Wire::WebSocket(websocket) if websocket.is_watched => {
                let found = websocket.read.filter(bytes);
                if found.is_complete {
                    websocket.complete_at = self.read_at;
                }
                if found.kept > 0 {
                    websocket.spoke_at = self.read_at;
                }
                return found;
            }
            Wire::Switching { .. } | Wire::WebSocket(_) => {}
        }
        Found { kept: bytes.len(), ..Found::default() }
    }

    /// The websocket, once its handshake was answered.
    pub fn websocket(&mut self) -> Option<&mut WebSocket> {
        match &mut self.wire {
            Wire::WebSocket(websocket) => Some(websocket),
            Wire::Http { .. } | Wire::Switching { .. } => None,
        }
    }

    /// Whether frames of the server wait for the websocket.
    pub fn has_frames(&self) -> bool {
        matches!(&self.wire, Wire::WebSocket(websocket) if websocket.has_frames())
    }

    /// Sends frames of the server, or only the rest of one that was begun.
    pub fn send(
        &mut self,
        only_the_rest: bool,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<FramesSent> {
        let Some(websocket) = self.websocket() else { return Ok(FramesSent::Everything) };
        let progress = websocket.send(only_the_rest, write)?;
        match progress {
            FramesSent::Everything => self.flushed(),
            FramesSent::Blocked => self.blocked(),
            FramesSent::Waits => {}
        }
        Ok(progress)
    }

    /// Whose turn it is when the library writes these bytes.
    pub fn turn(&mut self, bytes: &[u8]) -> Turn {
        self.websocket().map_or(Turn::Library(bytes.len()), |websocket| websocket.turn(bytes))
    }

    /// The task that reads, before it does so.
    pub fn reads(&mut self, waker: &Waker) {
        match &mut self.sender {
            Some(sender) => sender.clone_from(waker),
            None => self.sender = Some(waker.clone()),
        }
    }

    /// The library waits to write.
    pub fn library_waits(&mut self, waker: &Waker) {
        self.library = Some(waker.clone());
    }

    pub fn wake_library(&mut self) {
        if let Some(library) = self.library.take() {
            library.wake();
        }
    }

    /// Wakes the task that reads, so that it sends the frames of the server as the stream takes them.
    pub fn wake_sender(&self) {
        if let Some(sender) = &self.sender {
            sender.wake_by_ref();
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

    /// Everything was written by whoever calls this. Frames of the server may still wait.
    pub fn flushed(&mut self) {
        if self.has_frames() {
            return;
        }
        if self.blocked_since.take().is_some() {
            self.read_ahead = 0;
            self.wake();
        }
    }

    /// Wakes the task that waits to read. It then also notices a failed connection.
    pub fn wake(&mut self) {
        if let Some(reader) = self.held_back.take() {
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

impl Wire {
    fn http() -> Self {
        Self::Http { head: Head::default(), since: Instant::now() }
    }
}
