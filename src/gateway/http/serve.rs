//! Requests from the lines they arrive on: a task a line, and a time by which a request's head must be
//! there, so that silent connections cost nothing for long.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tower::ServiceExt;

use super::measured::{Accounted, Measured};
use crate::{
    gateway::line::{Line, LineListener, LineStream},
    shutdown::Shutdown,
};

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;

/// Serves until the server goes down; what is being answered then is let finish. `head_timeout` is by when
/// the head of a request must be there, counted from the connection or the answer before: clients that
/// poll ask again at once, and who comes later connects again.
pub async fn serve(listener: LineListener, router: Router, head_timeout: Duration, shutdown: Shutdown) {
    loop {
        let (stream, line) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.begun() => return,
        };
        shutdown.spawn(answer(stream, line, router.clone(), head_timeout, shutdown.clone()));
    }
}

async fn answer(stream: LineStream, line: Line, router: Router, head_timeout: Duration, shutdown: Shutdown) {
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
        // Whatever it was, it was the client's or the network's doing.
        tracing::debug!(error = %err, "a connection ended");
    }
}
