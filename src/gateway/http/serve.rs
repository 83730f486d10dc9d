//! Serves the requests of TCP connections: one task for each connection, and time limits for receiving a
//! request's head and for idle connections, so that silent connections do not use resources for long.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::{
    measured::{Accounted, Measured},
    unread::RequestBody,
};
use crate::{
    gateway::tcp::{TcpAcceptor, TcpConnection, TcpHandle},
    shutdown::Shutdown,
};

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;

/// How long a connection may wait for a request.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTimes {
    /// The maximum time to receive the head of a request, counted from the connection or from the head's first
    /// byte.
    pub head: Duration,
    /// How long a connection may be idle after an answer. Proxies keep theirs for a minute, and a request that
    /// meets the close fails.
    pub idle: Duration,
}

/// Serves until the server shuts down. Answers in progress are then completed.
pub async fn serve(listener: TcpAcceptor, router: Router, times: ConnectionTimes, shutdown: Shutdown) {
    loop {
        let (stream, tcp) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.begun() => return,
        };
        shutdown.spawn(answer(stream, tcp, router.clone(), times, shutdown.clone()));
    }
}

async fn answer(
    stream: TcpConnection,
    tcp: TcpHandle,
    router: Router,
    times: ConnectionTimes,
    shutdown: Shutdown,
) {
    let (handle, begun) = (tcp.clone(), shutdown.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let progress = Arc::new(tcp.request());
        let (head, body) = request.into_parts();
        let body = RequestBody::new(body, &head.headers, progress.clone(), shutdown.clone());
        let mut request = Request::from_parts(head, Body::new(body));
        request.extensions_mut().insert(ConnectInfo(tcp.clone()));
        let (answer, tcp) = (router.clone().oneshot(request), tcp.clone());
        async move {
            let Ok(answer) = answer.await;
            let is_accounted = answer.extensions().get::<Accounted>().is_some();
            let tcp = (!is_accounted).then_some(tcp);
            Ok::<_, Infallible>(answer.map(|body| Body::new(Measured::new(body, tcp, progress))))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The times are watched here: the library has one time for the head and for idle connections.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut is_draining = false;
    let mut look = pin!(sleep_until(Instant::now() + times.head));
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = begun.begun(), if !is_draining => {
                is_draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let now = Instant::now();
                let due = handle.request_due(times.head, times.idle);
                if due.is_some_and(|due| due <= now) {
                    tracing::debug!("closed a connection that waited too long for a request");
                    return;
                }
                // A head that begins after this moment is not due before the next look.
                let next = now + times.head;
                look.as_mut().reset(due.map_or(next, |due| due.min(next)));
            }
        }
    };
    if let Err(err) = ended {
        // The client or the network has caused this error.
        tracing::debug!(error = %err, "a connection ended");
    }
}
