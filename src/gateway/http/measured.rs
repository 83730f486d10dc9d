//! Answers whose bytes count in the backlog of their connection until its TCP stream has taken them.

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
    gateway::line::Line,
};

/// In the extensions of an answer whose bytes count elsewhere already.
#[derive(Clone, Copy, Debug)]
pub struct Accounted;

/// An answer's body. Its parts count from when they are made; the HTTP server takes the next one only when
/// it has little left to write.
pub struct Measured {
    body: Body,
    line: Line,
}

impl Measured {
    pub fn new(body: Body, line: Line) -> Self {
        Self { body, line }
    }
}

/// A part that waits until it is dropped, which the HTTP server does when it is written.
struct Part {
    bytes: Bytes,
    _waiting: Waiting,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn counted(bytes: Bytes, backlog: &Arc<Backlog>, line: &Line) -> Bytes {
    match Waiting::new(backlog.clone(), bytes.len()) {
        Ok(waiting) => Bytes::from_owner(Part { bytes, _waiting: waiting }),
        Err(_) => {
            line.cut();
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
        let count =
            |frame: Frame<Bytes>| frame.map_data(|bytes| counted(bytes, this.line.backlog(), &this.line));
        polled.map(|frame| frame.map(|frame| frame.map(count)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
