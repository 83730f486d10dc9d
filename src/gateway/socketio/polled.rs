//! Passes polls to the engine, and reads its answers to polling sessions: the id of a new session, and how many
//! of the session's waiting bytes an answer carries.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{packets::counted, sessions::Sessions};
use crate::{
    backlog::{Backlog, Waiting},
    gateway::http::Accounted,
};

/// The engine's packet without content.
const NOOP: &str = "6";
/// How long a poll without content may take while its client tries a websocket. It is as in Socket.IO's own
/// server.
const WHILE_TRYING: Duration = Duration::from_millis(100);

/// A poll that the engine has not answered yet. If it is dropped before that, the session ends.
struct OpenPoll<'a> {
    sessions: &'a Sessions,
    sid: &'a str,
    is_answered: bool,
}

/// A client that hangs up while it polls is gone: a page was closed or loaded again, perhaps while it tried a
/// websocket. Without this, its session would stay until the next ping is not answered.
impl Drop for OpenPoll<'_> {
    fn drop(&mut self) {
        if !self.is_answered && self.sessions.needs_polls(self.sid) {
            drop(self.sessions.disconnect(self.sid, false, None));
        }
    }
}

/// The engine's answer to a poll, which `ask` asks for. While the client tries a websocket, the answer is a
/// no-op packet if there is no other: the client upgrades its session when it waits for no poll.
///
/// An answer of the engine may be dropped while it waits: it has taken no packets then.
pub async fn poll<R, F>(sessions: &Sessions, sid: &str, ask: impl Fn() -> F) -> Result<Response, Infallible>
where
    R: IntoResponse,
    F: Future<Output = Result<R, Infallible>>,
{
    let arrived = Instant::now();
    let mut open = OpenPoll { sessions, sid, is_answered: false };
    let answer = loop {
        let (entering, mut stage) = match sessions.enter(sid) {
            Ok(entered) => entered,
            Err(mut stage) => {
                // An error means that the session has ended. The engine says so.
                drop(stage.changed().await);
                continue;
            }
        };
        let may_wait = !stage.borrow_and_update().is_open();
        let mut answer = pin!(ask());
        let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
        drop(entering);
        match first {
            Poll::Ready(answer) => break Some(answer?.into_response()),
            Poll::Pending if may_wait => tokio::select! {
                biased;
                answer = answer => break Some(answer?.into_response()),
                Ok(_) = stage.wait_for(|stage| stage.ends_polls()) => break None,
            },
            Poll::Pending => {}
        }
        let outcome = stage.wait_for(|stage| !stage.is_open());
        if timeout_at(arrived + WHILE_TRYING, outcome).await.is_err() {
            break None;
        }
    };
    open.is_answered = true;
    Ok(answer.unwrap_or_else(|| NOOP.into_response()))
}

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

/// An answer whose packets stay counted in the session's backlog until the connection has taken it. `replace`
/// may replace the packets.
pub async fn count(
    answer: Response,
    backlog: Arc<Backlog>,
    replace: impl FnOnce(Bytes) -> Bytes,
) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Some(bytes) = whole(body).await.map(replace) else { return failed() };
    parts.headers.remove(header::CONTENT_LENGTH);
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
