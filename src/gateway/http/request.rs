//! What every request passes: an id, a span in the log, a log entry after its answer, and a time limit. A
//! command also gets a task that runs to its end. Handlers decide the content of the answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue};
use tracing::{Instrument, field};
use uuid::Uuid;

use super::{extract::Client, refusal::Rejection, request_id};
use crate::{
    config::ServerConfig,
    error::{Error, Unavailable},
    metrics::HTTP_TIME,
    shutdown::Shutdown,
};

/// The outermost layer. Gives the request an id (the client's own, if it is valid) and logs the result. Does
/// not log the query or the headers, because they may contain tokens.
pub async fn trail(State(server): State<Arc<ServerConfig>>, request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(|| Uuid::now_v7().to_string());
    let header = HeaderValue::from_str(&id);
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("(none)", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        http.method = %method,
        http.route = route,
        client = %Client::address_of(&request, &server),
        user.id = field::Empty,
    );
    let began = Instant::now();
    let mut response = request_id::scope(id, next.run(request)).instrument(span.clone()).await;

    let status = response.status().as_u16();
    let took = began.elapsed();
    HTTP_TIME.record(method.as_str(), route, took);
    let latency_ms = took.as_micros() as f64 / 1e3;
    span.in_scope(|| {
        // Probes come every few seconds and are not of interest.
        if matches!(route, "/healthz" | "/readyz" | "/metrics") {
            tracing::debug!(http.status = status, latency_ms, "{method} {route}: {status}");
        } else {
            tracing::info!(http.status = status, latency_ms, "{method} {route}: {status}");
        }
    });
    if let Ok(header) = header {
        response.headers_mut().insert(request_id::HEADER, header);
    }
    response
}

/// Answers with an error if a request takes longer than the limit.
pub async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(limit, next.run(request)).await;
    answered.unwrap_or_else(|_| Rejection::TookTooLong.into_response())
}

/// Runs a command (every method except the safe ones of RFC 9110) in a task that ends neither with the
/// connection nor at the time limit. Once the handler has begun, it runs to its end, and the shutdown waits
/// for it. A read ends with its connection.
///
/// # Errors
/// 503 `unavailable` while the server shuts down. The handler has not begun then.
pub async fn run_to_end(State(shutdown): State<Shutdown>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let id = request_id::current().unwrap_or_default();
    let command = request_id::scope(id, next.run(request)).in_current_span();
    let Some(running) = shutdown.begin_command(command) else {
        return Error::Unavailable(Unavailable::Draining).into_response();
    };
    match running.await {
        Ok(response) => response,
        // Passes the panic on to the layer that answers panics.
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => Error::internal(ended).into_response(),
    }
}

/// The client's own id, if it is safe to copy into a log entry and a header.
fn given(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(request_id::HEADER)?.to_str().ok()?;
    let is_sane = (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_sane.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_id_is_taken_over() {
        for (id, sane) in [
            ("0195f0c2-7d3a-7000-8000-000000000001", true),
            ("a.b_c", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("é", false),
            (&"x".repeat(129), false),
        ] {
            let headers =
                HeaderMap::from_iter([(request_id::HEADER, HeaderValue::from_bytes(id.as_bytes()).unwrap())]);
            assert_eq!(given(&headers).is_some(), sane, "{id:?}");
        }
        assert_eq!(given(&HeaderMap::new()), None);
    }
}
