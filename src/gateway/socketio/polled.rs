//! Answers to requests of sessions that poll, as the engine makes them: what they say of the session, and how
//! many of its waiting bytes they carry.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;

use crate::{
    backlog::{Backlog, Waiting},
    gateway::http::Accounted,
};

/// What stands between the packets of one answer.
const SEPARATOR: u8 = 0x1e;

/// Bytes of a session that wait until the connection has taken them.
struct Carried {
    bytes: Bytes,
    _waiting: Waiting,
}

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The part of the engine's first packet that is of interest.
#[derive(Deserialize)]
struct Open {
    sid: String,
}

/// An answer whose packets count in the session's backlog until the connection has taken it.
pub async fn count(answer: Response, backlog: Arc<Backlog>) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Some(bytes) = whole(body).await else { return failed() };
    let carried = counted(&bytes);
    if carried == 0 {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let bytes = Bytes::from_owner(Carried { bytes, _waiting: Waiting::counted(backlog, carried) });
    parts.extensions.insert(Accounted);
    Response::from_parts(parts, Body::from(bytes))
}

/// The id of the session that an answer opens, if it does.
pub async fn opened(answer: Response) -> (Response, Option<String>) {
    let (parts, body) = answer.into_parts();
    let Some(bytes) = whole(body).await else { return (failed(), None) };
    let open = bytes.strip_prefix(b"0").and_then(|json| serde_json::from_slice::<Open>(json).ok());
    (Response::from_parts(parts, Body::from(bytes)), open.map(|open| open.sid))
}

/// The engine makes an answer in one piece, so this waits for nothing.
async fn whole(body: Body) -> Option<Bytes> {
    match body.collect().await {
        Ok(whole) => Some(whole.to_bytes()),
        Err(err) => {
            tracing::error!(error = %err, "could not read an answer of the engine");
            None
        }
    }
}

/// The client asks again, or opens another session.
fn failed() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Bytes of the events and acknowledgements among the packets.
fn counted(packets: &[u8]) -> usize {
    let packets = packets.split(|byte| *byte == SEPARATOR);
    packets.filter(|packet| matches!(packet, [b'4', b'2' | b'3', ..])).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_and_acknowledgements_count() {
        assert_eq!(counted(b"42[\"a\"]\x1e2\x1e43/chat,1[{}]\x1e40{}\x1e6"), 7 + 13);
        assert_eq!(counted(b""), 0);
    }
}
