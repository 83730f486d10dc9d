//! What a session keeps of the request that opened it.
//!
//! The engine keeps a request's parts for as long as the session lives. They are slices of the HTTP server's
//! read buffer: 16 KB per connection. This layer runs before the engine. It takes what the session needs and
//! passes on a small copy of the request. The copy contains no token.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{ConnectInfo, Request},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tower::{Layer, Service};

use super::{SocketIoSettings, polled, sessions::Sessions};
use crate::{
    auth::Credential,
    backlog::{Backlog, Backlogs},
    counts::{Count, Counted},
    gateway::{
        credential,
        tcp::{FrameFilter, TcpHandle},
    },
    limits::{EventBudget, Pending, PendingConnections},
};

/// Data from the first request of a session.
pub struct Handshake {
    /// The credential from the query, the headers or a cookie.
    pub credential: Option<Credential>,
    pub address: IpAddr,
    /// The session's websocket, if the session began with one. Other sessions may share the TCP connections
    /// that carry a polling session's requests.
    pub websocket: Option<TcpHandle>,
    /// How often the session may ask to join a namespace. Each attempt costs queries, and perhaps a page of
    /// messages that the connection has missed.
    pub attempts: EventBudget,
    /// The bytes of events and acknowledgements that wait for the session, over any transport.
    pub backlog: Arc<Backlog>,
    /// Present until the session has joined a namespace.
    pending: Mutex<Option<Pending>>,
    /// The engine keeps this for as long as the session lives.
    _counted: Option<Counted>,
}

impl Handshake {
    /// The session has joined a namespace, so its user is known.
    pub fn joined(&self) {
        drop(self.pending.lock().take());
    }
}

/// How often a session may ask to join a namespace.
const ATTEMPTS_PER_SECOND: u32 = 2;
const ATTEMPTS_AT_ONCE: u32 = 10;
/// Seconds to wait before the client may retry, when there are too many connections.
const RETRY_AFTER: &str = "5";
/// The engine's packet without content.
const NOOP: &str = "6";
/// The headers that the engine reads: one of a websocket request, and one of a polling client's request.
const KEPT: [header::HeaderName; 2] = [header::SEC_WEBSOCKET_KEY, header::CONTENT_TYPE];
/// The query parameters that the engine reads.
const KEPT_PARAMETERS: [&str; 4] = ["EIO", "transport", "sid", "b64"];

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct SlimLayer(Arc<EngineParts>);

pub struct EngineParts {
    pub sessions: Sessions,
    pub settings: Arc<SocketIoSettings>,
    pub engine_sessions: Count,
    pub backlogs: Backlogs,
    pub pending: PendingConnections,
}

impl SlimLayer {
    pub fn new(parts: EngineParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl<S> Layer<S> for SlimLayer {
    type Service = Slim<S>;

    fn layer(&self, inner: S) -> Slim<S> {
        Slim { inner, layer: self.clone() }
    }
}

/// The engine behind a [`SlimLayer`].
#[derive(Clone)]
pub struct Slim<S> {
    inner: S,
    layer: SlimLayer,
}

impl<S> Service<Request> for Slim<S>
where
    S: Service<Request, Response: IntoResponse + Send, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_of_another_version(&request) {
            return Box::pin(async { Ok(version_needed()) });
        }
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let parts = self.layer.0.clone();
        Box::pin(async move {
            let kind = RequestKind::of(&request);
            let (request, handshake) = match parts.slim(request).await {
                Ok(slim) => slim,
                Err(refused) => return Ok(refused),
            };
            let answer = inner.call(request);
            let mut answer = match kind {
                // A poll waits for packets. A request that carries packets has to arrive completely within a
                // time limit.
                RequestKind::Says => {
                    match tokio::time::timeout(parts.settings.server.request_timeout, answer).await {
                        Ok(answer) => answer?.into_response(),
                        Err(_) => return Ok(too_late()),
                    }
                }
                RequestKind::Polls(sid) => match parts.sessions.backlog(&sid) {
                    Some(backlog) => polled::count(poll(&parts.sessions, &sid, answer).await?, backlog).await,
                    None => poll(&parts.sessions, &sid, answer).await?,
                },
                RequestKind::Opens => {
                    let (answer, sid) = polled::opened(answer.await?.into_response()).await;
                    if let Some(sid) = sid {
                        parts.sessions.opened(&sid, &handshake.backlog);
                    }
                    answer
                }
                RequestKind::Other => answer.await?.into_response(),
            };
            // Every poll gets its own answer. A cache must not reuse it for another poll.
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(answer)
        })
    }
}

/// The kinds of requests to the engine.
enum RequestKind {
    /// Carries packets of a session.
    Says,
    /// Asks for packets of the session with this id.
    Polls(String),
    /// Opens a polling session.
    Opens,
    Other,
}

impl RequestKind {
    fn of(request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let is_polling = parameter(query, "transport") == Some("polling");
        match (request.method(), parameter(query, "sid")) {
            (&Method::POST, _) => Self::Says,
            (&Method::GET, Some(sid)) if is_polling => Self::Polls(sid.to_owned()),
            (&Method::GET, None) if is_polling => Self::Opens,
            _ => Self::Other,
        }
    }
}

/// The engine's answer to a poll. It is a no-op packet if an upgrade may be about to begin.
async fn poll<R: IntoResponse>(
    sessions: &Sessions,
    sid: &str,
    answer: impl Future<Output = Result<R, Infallible>>,
) -> Result<Response, Infallible> {
    let Some(entering) = sessions.enter(sid) else { return Ok(NOOP.into_response()) };
    let mut answer = pin!(answer);
    let first = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    drop(entering);
    let answer = match first {
        Poll::Ready(answer) => answer?,
        Poll::Pending => answer.await?,
    };
    Ok(answer.into_response())
}

/// Whether the request asks for a websocket version other than 13 (RFC 6455, section 4.2.2). The engine does
/// not check it.
fn is_of_another_version(request: &Request) -> bool {
    let asks = request.headers().contains_key(header::UPGRADE)
        && request.uri().query().is_some_and(|query| parameter(query, "transport") == Some("websocket"));
    asks && request.headers().get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13")
}

fn version_needed() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    answer
}

fn too_late() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Whether a request has a body. The position of the first websocket frame after a body is not known.
fn has_body(headers: &HeaderMap) -> bool {
    let has_length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    has_length || headers.contains_key(header::TRANSFER_ENCODING)
}

fn too_many() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    answer
}

fn early_bytes() -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

impl EngineParts {
    /// The small copy of a request, and the handshake of its session. Returns an answer if the request is
    /// refused.
    async fn slim(&self, request: Request) -> Result<(Request, Arc<Handshake>), Response> {
        let (mut parts, body) = request.into_parts();
        let line = parts.extensions.remove::<ConnectInfo<TcpHandle>>().map(|ConnectInfo(line)| line);
        let address = match &line {
            Some(line) => {
                credential::client_address(&parts.headers, line.peer, &self.settings.server.trusted_proxies)
            }
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let query = parts.uri.query().unwrap_or_default();
        let sid = parameter(query, "sid");
        let pending = match sid {
            Some(_) => None,
            None => Some(self.pending.admit(self.counted(address)).ok_or_else(too_many)?),
        };
        if parts.extensions.get::<OnUpgrade>().is_some() && has_body(&parts.headers) {
            return Err(early_bytes());
        }
        let websocket = line.filter(|_| parameter(query, "transport") == Some("websocket"));
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let backlog = match (&websocket, &upgrade) {
            (Some(line), Some(_)) => match sid {
                Some(sid) => {
                    self.sessions.upgrading(sid, line).await.map_err(|_| early_bytes())?;
                    line.backlog().clone()
                }
                None => {
                    let backlog = line.backlog().clone();
                    line.switch(backlog.clone(), FrameFilter::SocketIo).map_err(|_| early_bytes())?;
                    backlog
                }
            },
            _ => self.backlogs.backlog(),
        };
        let handshake = Arc::new(Handshake {
            credential: if sid.is_none() {
                credential::from_request(&parts.uri, &parts.headers)
            } else {
                None
            },
            address,
            websocket,
            attempts: EventBudget::new(ATTEMPTS_PER_SECOND, ATTEMPTS_AT_ONCE),
            backlog,
            pending: Mutex::new(pending),
            _counted: sid.is_none().then(|| self.engine_sessions.one()),
        });
        let mut slim = Request::new(body);
        *slim.method_mut() = parts.method;
        *slim.version_mut() = parts.version;
        *slim.uri_mut() = slim_uri(query);
        *slim.headers_mut() = slim_headers(&parts.headers);
        if let Some(upgrade) = upgrade {
            slim.extensions_mut().insert(upgrade);
        }
        slim.extensions_mut().insert(handshake.clone());
        Ok((slim, handshake))
    }

    /// The address for the limit of pending connections per address. A loopback address, or a proxy that does
    /// not name its client, may stand for anybody, so it counts only in the total.
    fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        let is_proxy =
            self.settings.server.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == address);
        (!address.is_loopback() && !is_proxy).then_some(address)
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

fn slim_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in KEPT {
        if let Some(value) = headers.get(&name)
            && let Ok(copy) = HeaderValue::from_bytes(value.as_bytes())
        {
            kept.insert(name, copy);
        }
    }
    // A map that was filled has room for five more headers, half a kilobyte. A clone has no spare room.
    kept.clone()
}

fn slim_uri(query: &str) -> Uri {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| KEPT_PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let kept = kept.join("&");
    match &*kept {
        // The two most frequent queries take no memory.
        "EIO=4&transport=websocket" => Uri::from_static("/socket.io/?EIO=4&transport=websocket"),
        "EIO=4&transport=polling" => Uri::from_static("/socket.io/?EIO=4&transport=polling"),
        // Parts of a valid query form a valid query again.
        other => format!("/socket.io/?{other}").parse().unwrap_or_else(|_| Uri::from_static("/socket.io/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_address_has_no_token() {
        let uri = slim_uri("token=secret&EIO=4&transport=polling&t=abc&sid=x1");
        assert_eq!(uri.to_string(), "/socket.io/?EIO=4&transport=polling&sid=x1");
        assert_eq!(parameter("a=1&sid=x1", "sid"), Some("x1"));
        assert_eq!(parameter("xsid=1", "sid"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_query_is_kept_but_for_what_the_engine_reads(
            query in "([a-zA-Z]{0,9}=?[!-~]{0,9}&?){0,6}",
            secret in "[a-z]{12}",
        ) {
            for query in [format!("{query}&token={secret}&{query}"), format!("ticket={secret}&jwt={secret}")] {
                let uri = slim_uri(&query);
                assert_eq!(uri.path(), "/socket.io/");
                assert!(!uri.to_string().contains(&secret), "{uri}");
                for name in KEPT_PARAMETERS {
                    let kept = uri.query().and_then(|query| parameter(query, name));
                    assert!(kept.is_none() || kept == parameter(&query, name), "{query}");
                }
            }
        }
    }
}
