//! Answers whose bytes count in their connection's backlog until the TCP stream has taken them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::{
    backlog::{Backlog, Waiting},
    gateway::tcp::{RequestInProgress, TcpHandle},
};

/// An extension of an answer whose bytes are already counted elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Accounted;

/// An answer's body. Each part counts from its creation. The HTTP server takes the next part only when it has
/// little left to write.
pub struct Measured {
    body: Body,
    /// `None` if the bytes are counted elsewhere.
    tcp: Option<TcpHandle>,
    _request: Arc<RequestInProgress>,
}

impl Measured {
    /// The request is in progress until the answer is written.
    pub fn new(body: Body, tcp: Option<TcpHandle>, request: Arc<RequestInProgress>) -> Self {
        Self { body, tcp, _request: request }
    }
}

/// A part that counts until it is dropped. The HTTP server drops it when it is written.
struct MeasuredPart {
    bytes: Bytes,
    _waiting: Waiting,
}

impl AsRef<[u8]> for MeasuredPart {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn counted(bytes: Bytes, backlog: &Arc<Backlog>, tcp: &TcpHandle) -> Bytes {
    match Waiting::new(backlog.clone(), bytes.len()) {
        Ok(waiting) => Bytes::from_owner(MeasuredPart { bytes, _waiting: waiting }),
        Err(_) => {
            tcp.abort();
            Bytes::new()
        }
    }
}

impl hyper::body::Body for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let Some(tcp) = &this.tcp else { return polled };
        let count = |frame: Frame<Bytes>| frame.map_data(|bytes| counted(bytes, tcp.backlog(), tcp));
        polled.map(|frame| frame.map(|frame| frame.map(count)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
