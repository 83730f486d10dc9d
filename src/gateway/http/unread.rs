//! The body of a request whose handler does not read all of it: it answers early, for example because the
//! body is too large or the token is missing. A connection that is closed while the client still sends is
//! reset, and the client may lose the answer. So the rest is read and discarded, within bounds.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{gateway::tcp::RequestInProgress, shutdown::Shutdown};

/// The most bytes that are discarded. With more, the connection is closed.
const MOST: usize = 32 << 20;
/// The longest time for discarding.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to wait for the next bytes. A client that has the answer may send no more.
const PAUSE: Duration = Duration::from_secs(2);

/// See the module. When it is dropped, a task discards the rest.
pub struct RequestBody {
    body: Option<Incoming>,
    /// The client sends the body only when it is read.
    waits_for_us: bool,
    request: Arc<RequestInProgress>,
    shutdown: Shutdown,
}

impl RequestBody {
    /// The request is in progress until its body is read or discarded.
    pub fn new(
        body: Incoming,
        headers: &HeaderMap,
        request: Arc<RequestInProgress>,
        shutdown: Shutdown,
    ) -> Self {
        let waits_for_us = headers.contains_key(header::EXPECT);
        Self { body: Some(body), waits_for_us, request, shutdown }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits_for_us = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if body.is_end_stream() || self.waits_for_us {
            return;
        }
        let (request, shutdown) = (self.request.clone(), self.shutdown.clone());
        self.shutdown.spawn(async move {
            tokio::select! {
                () = discard(body) => {}
                () = shutdown.begun() => {}
            }
            drop(request);
        });
    }
}

async fn discard(mut body: Incoming) {
    let until = Instant::now() + LONGEST;
    let mut left = MOST;
    while let Ok(Ok(Some(Ok(frame)))) = timeout_at(until, timeout(PAUSE, body.frame())).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
