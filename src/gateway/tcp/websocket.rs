//! A websocket to which two write: the library that serves it, and the server, which has frames of its own
//! ([`FrameQueue`]). Neither writes into a frame of the other.
//!
//! ```text
//!                       the library has begun a frame
//!   +---------------+ -------------------------------> +------------------+
//!   | between       |                                  | library's frame  |   frames of the server wait
//!   | frames        | <------------------------------- +------------------+
//!   +---------------+        it has ended
//!     |          ^
//!     | the      | it has ended
//!     | server   |
//!     v has      |
//!   +------------------+
//!   | server's frame   |   the library waits
//!   +------------------+
//! ```
//!
//! Between two frames, the frames of the server go first: what the library writes after them, such as that a namespace
//! is left, or the close frame, must not overtake them. Only the heartbeat does: on a slow link, the client would not get
//! it in time. Nothing of the server follows a close frame.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    client_frames::ClientFrames,
    frame_queue::{FrameQueue, FramesSent},
    frames::{FrameFilter, Frames, urgent_frame},
};
use crate::backlog::{Backlog, Full};

/// See [`WebSocket::speaks`].
const SPEAKS: Duration = Duration::from_secs(1);

/// See the module.
pub struct WebSocket {
    backlog: Arc<Backlog>,
    /// What the library has written.
    written: Frames,
    pub read: ClientFrames,
    /// The frames that the server writes itself.
    queue: FrameQueue,
    /// Whether this module disconnects a client that sends nothing complete.
    pub is_watched: bool,
    pub complete_at: Instant,
    /// When something was last read that is not an acknowledgement.
    pub spoke_at: Instant,
}

/// Who may write to a websocket next.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// The library: this many of its bytes.
    Library(usize),
    /// The server, whose frames wait: all of them, or only the rest of the one that was begun.
    Server { only_the_rest: bool },
}

impl WebSocket {
    /// `early` was read by the library already. `counted` are the frames of the library that count in the backlog.
    pub fn new(backlog: Arc<Backlog>, counted: FrameFilter, early: &[u8]) -> Self {
        let mut read = ClientFrames::default();
        read.early(early);
        Self {
            queue: FrameQueue::new(backlog.clone()),
            backlog,
            written: Frames::new(counted),
            read,
            is_watched: counted == FrameFilter::SocketIo,
            complete_at: Instant::now(),
            spoke_at: Instant::now(),
        }
    }

    /// Whether the client has sent something else than acknowledgements a moment ago, and may be about to send more.
    pub fn speaks(&self) -> bool {
        self.spoke_at.elapsed() < SPEAKS
    }

    /// The stream has taken these bytes of the library.
    pub fn written(&mut self, bytes: &[u8]) {
        let taken = self.written.pass(bytes).bytes;
        if taken > 0 {
            self.backlog.taken(taken);
        }
    }

    /// Adds a frame of the server. After a close frame, nothing is added.
    ///
    /// # Errors
    /// [`Full`] if `most` frames wait, or too many bytes.
    pub fn push(&mut self, frame: Bytes, most: usize) -> Result<(), Full> {
        if self.written.is_closed() { Ok(()) } else { self.queue.push(frame, most) }
    }

    pub fn has_frames(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether frames of the server wait and may be sent now.
    pub fn may_send(&self) -> bool {
        self.has_frames() && self.written.rest_of_frame().is_none()
    }

    /// Whether the stream took no more of the server's frames at the last attempt.
    pub fn is_blocked(&self) -> bool {
        self.queue.is_blocked()
    }

    /// Sends frames of the server, or only the rest of one that was begun. See [`FrameQueue::send`].
    pub fn send(
        &mut self,
        only_the_rest: bool,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<FramesSent> {
        if self.written.rest_of_frame().is_some() {
            return Ok(FramesSent::Waits);
        }
        self.queue.send(only_the_rest, write).inspect_err(|_| self.queue.clear())
    }

    /// Nothing will be written any more.
    pub fn clear_frames(&mut self) {
        self.queue.clear();
    }

    /// Whose turn it is when the library writes these bytes.
    pub fn turn(&self, bytes: &[u8]) -> Turn {
        if !self.has_frames() {
            return Turn::Library(bytes.len());
        }
        if let Some(rest) = self.written.rest_of_frame() {
            return Turn::Library(rest.min(bytes.len()));
        }
        match urgent_frame(bytes) {
            Some(_) if self.queue.is_inside() => Turn::Server { only_the_rest: true },
            Some(length) => Turn::Library(length.min(bytes.len())),
            None => Turn::Server { only_the_rest: false },
        }
    }
}
