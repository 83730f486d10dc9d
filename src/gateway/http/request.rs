//! What every request gets on its way in: an id, a span in the log, a line when it is answered, a time limit,
//! and for a command a task that runs to its end. Handlers decide what the answer says.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::{Instrument, field};
use uuid::Uuid;

use super::refusal::Rejection;
use crate::{
    error::{Busy, Error},
    shutdown::Shutdown,
};

pub const ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that is being answered, if this is inside one.
pub fn id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The outermost layer: gives the request an id, its sender's own if that is a sane one, and writes
/// down what became of it. Neither query nor headers are written down: tokens may stand there.
pub async fn trail(request: Request, next: Next) -> Response {
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
        user.id = field::Empty,
    );
    let began = Instant::now();
    let mut response = CURRENT.scope(id, next.run(request)).instrument(span.clone()).await;

    let status = response.status().as_u16();
    let latency_ms = began.elapsed().as_millis();
    span.in_scope(|| {
        // Probes come every few seconds and say nothing.
        if matches!(route, "/healthz" | "/readyz" | "/metrics") {
            tracing::debug!(http.status = status, latency_ms, "{method} {route}: {status}");
        } else {
            tracing::info!(http.status = status, latency_ms, "{method} {route}: {status}");
        }
    });
    if let Ok(header) = header {
        response.headers_mut().insert(ID, header);
    }
    response
}

/// Gives up on a request that takes longer than the limit.
pub async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(limit, next.run(request)).await;
    answered.unwrap_or_else(|_| Rejection::TookTooLong.into_response())
}

/// Runs a command (every method but the safe ones of RFC 9110) in a task that neither a hang-up nor the time
/// limit ends: once the handler has begun, it runs to its end, and draining waits for it. A read stays with its
/// connection and ends with it.
///
/// # Errors
/// 503 `unavailable` while the server shuts down; the handler has not begun then.
pub async fn run_to_end(State(shutdown): State<Shutdown>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let id = id().unwrap_or_default();
    let command = CURRENT.scope(id, next.run(request)).in_current_span();
    let Some(running) = shutdown.begin_command(command) else {
        return Error::Unavailable(Busy::Draining).into_response();
    };
    match running.await {
        Ok(response) => response,
        // For the layer that answers panics.
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => Error::internal(ended).into_response(),
    }
}

/// An id that came along, if it can stand in a log line and a header as it is.
fn given(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(ID)?.to_str().ok()?;
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
            let headers = HeaderMap::from_iter([(ID, HeaderValue::from_bytes(id.as_bytes()).unwrap())]);
            assert_eq!(given(&headers).is_some(), sane, "{id:?}");
        }
        assert_eq!(given(&HeaderMap::new()), None);
    }
}
