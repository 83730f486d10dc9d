//! Serves the requests of TCP connections: one task for each connection, and a time limit for receiving a
//! request's head, so that silent connections do not use resources for long.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tower::ServiceExt;

use super::measured::{Accounted, Measured};
use crate::{
    gateway::tcp::{TcpAcceptor, TcpConnection, TcpHandle},
    shutdown::Shutdown,
};

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;

/// Serves until the server shuts down. Answers in progress are then completed. `head_timeout` is the maximum
/// time to receive the head of a request, counted from the connection or the previous answer. Clients that
/// poll ask again at once; a client that asks later connects again.
pub async fn serve(listener: TcpAcceptor, router: Router, head_timeout: Duration, shutdown: Shutdown) {
    loop {
        let (stream, line) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.begun() => return,
        };
        shutdown.spawn(answer(stream, line, router.clone(), head_timeout, shutdown.clone()));
    }
}

async fn answer(
    stream: TcpConnection,
    line: TcpHandle,
    router: Router,
    head_timeout: Duration,
    shutdown: Shutdown,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(line.clone()));
        let (answer, line) = (router.clone().oneshot(request.map(Body::new)), line.clone());
        async move {
            let Ok(answer) = answer.await;
            let is_accounted = answer.extensions().get::<Accounted>().is_some();
            Ok::<_, Infallible>(match is_accounted {
                true => answer,
                false => answer.map(|body| Body::new(Measured::new(body, line))),
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(err) = ended {
        // The client or the network has caused this error.
        tracing::debug!(error = %err, "a connection ended");
    }
}
