//! The handle of one TCP connection, for the gateways above it.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    AckFilter, Shared, frames::FrameFilter, http_head::EarlyBytes, replacement::Replacement,
    traffic::WaitsFor,
};
use crate::backlog::{Backlog, Full};

/// The TCP connection of a request: the peer's address, and a handle to disconnect it.
#[derive(Clone, Debug)]
pub struct TcpHandle {
    pub peer: SocketAddr,
    /// The address of this server that the client has connected to.
    pub local: Option<SocketAddr>,
    pub(super) stream: Weak<Shared>,
    pub(super) backlog: Arc<Backlog>,
}

/// See [`TcpHandle::request`].
#[derive(Debug)]
pub struct RequestInProgress(Weak<Shared>);

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        if let Some(stream) = self.0.upgrade() {
            stream.traffic.lock().request_ends();
        }
    }
}

impl TcpHandle {
    /// Closes the connection in both directions and discards what still waits in it.
    pub fn abort(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.abort();
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }

    /// A request was read, whose answer has begun. The connection is neither idle nor does it wait for a
    /// request's head until the returned value is dropped.
    pub fn request(&self) -> RequestInProgress {
        if let Some(stream) = self.stream.upgrade() {
            stream.traffic.lock().request_begins();
        }
        RequestInProgress(self.stream.clone())
    }

    /// When the connection has waited for a request for too long. `None` while a request is in progress.
    pub fn request_due(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let stream = self.stream.upgrade()?;
        let waiting = stream.traffic.lock().waits();
        match waiting? {
            WaitsFor::Head(since) => Some(since + head),
            WaitsFor::Request(since) => Some(since + idle),
        }
    }

    /// When something was last read from the client. `None` if the connection is gone.
    pub fn read_at(&self) -> Option<Instant> {
        Some(self.stream.upgrade()?.traffic.lock().read_at())
    }

    /// The bytes that wait for this connection.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Treats the connection as a websocket after its next answer, if that answer switches protocols. The
    /// text frames that count are then taken from this backlog.
    ///
    /// # Errors
    /// [`EarlyBytes`] if the client sent its request together with another one.
    pub fn switch(&self, backlog: Arc<Backlog>, counted: FrameFilter) -> Result<(), EarlyBytes> {
        match self.stream.upgrade() {
            Some(stream) => stream.traffic.lock().switch(backlog, counted),
            None => Ok(()),
        }
    }

    /// Whether the connection is a websocket whose handshake was answered.
    pub fn is_websocket(&self) -> bool {
        self.stream.upgrade().is_some_and(|stream| stream.traffic.lock().websocket().is_some())
    }

    /// Adds a finished frame to those that the server writes to this websocket itself. Nothing of it that went another
    /// way may still wait. [`TcpHandle::flush`] sends it; frames that are pushed before leave together.
    ///
    /// # Errors
    /// [`Full`] if `most` frames wait, or too many bytes, or the connection is gone.
    pub fn push(&self, frame: Bytes, most: usize) -> Result<(), Full> {
        let stream = self.stream.upgrade().ok_or(Full)?;
        let mut traffic = stream.traffic.lock();
        traffic.websocket().ok_or(Full)?.push(frame, most)
    }

    /// Sends the frames that were pushed. What the stream does not take is sent by the task that reads, as it is taken.
    /// If more waits than may, the connection is closed.
    pub fn flush(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.flush();
        }
    }

    /// Takes acknowledgements out of what the client of this websocket sends.
    pub fn take_acks(&self, filter: AckFilter) {
        if let Some(stream) = self.stream.upgrade() {
            let mut traffic = stream.traffic.lock();
            if let Some(websocket) = traffic.websocket() {
                websocket.read.take_acks(filter);
            }
        }
    }

    /// Writes the text message `instead` in place of the text message `expected`, when the server next writes
    /// that. Does nothing if one of them has 126 bytes or more.
    pub fn replace_text(&self, expected: &str, instead: &str) {
        if let Some(stream) = self.stream.upgrade() {
            stream.traffic.lock().replacement = Replacement::of_text(expected, instead);
        }
    }
}
