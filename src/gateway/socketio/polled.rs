//! Reads the engine's answers to requests of polling sessions: the id of a new session, and how many of the
//! session's waiting bytes an answer carries.

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

/// The separator between the packets of one answer.
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

/// The needed part of the engine's first packet.
#[derive(Deserialize)]
struct OpenPacket {
    sid: String,
}

/// An answer whose packets stay counted in the session's backlog until the connection has taken it.
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

/// The answer, and the id of the session that it opens, if any.
pub async fn opened(answer: Response) -> (Response, Option<String>) {
    let (parts, body) = answer.into_parts();
    let Some(bytes) = whole(body).await else { return (failed(), None) };
    let open = bytes.strip_prefix(b"0").and_then(|json| serde_json::from_slice::<OpenPacket>(json).ok());
    (Response::from_parts(parts, Body::from(bytes)), open.map(|open| open.sid))
}

/// The engine creates an answer in one piece, so this does not wait.
async fn whole(body: Body) -> Option<Bytes> {
    match body.collect().await {
        Ok(whole) => Some(whole.to_bytes()),
        Err(err) => {
            tracing::error!(error = %err, "could not read an answer of the engine");
            None
        }
    }
}

/// After this answer, the client asks again or opens another session.
fn failed() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The number of bytes of the events and acknowledgements among the packets.
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
