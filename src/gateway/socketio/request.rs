//! What a session keeps of the request that opened it.
//!
//! The engine keeps a request's parts for as long as the session lives, and they are slices of the
//! HTTP server's read buffer: 16 KB a connection. This layer, in front of the engine, takes out what
//! is needed once and hands on a small copy. The copy has no token in it.

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
use tower::{Layer, Service};

use super::{Settings, sessions::Sessions};
use crate::{
    auth::Credential,
    counts::{Count, Counted},
    gateway::{credential, line::Line},
    limits::EventBudget,
};

/// What the first request of a session said.
pub struct Handshake {
    /// The credential of its query, headers or cookie.
    pub credential: Option<Credential>,
    pub address: IpAddr,
    /// The session's websocket, where it began with one. A polling session's requests come in on
    /// lines that others may share.
    pub websocket: Option<Line>,
    /// How often it may ask to join a namespace: each attempt costs queries, and perhaps a page of
    /// missed messages.
    pub attempts: EventBudget,
    /// Kept by the engine for as long as the session lives.
    _counted: Option<Counted>,
}

/// How often a session may ask to join a namespace.
const ATTEMPTS_PER_SECOND: u32 = 2;
const ATTEMPTS_AT_ONCE: u32 = 10;
/// The engine's packet that says nothing.
const NOOP: &str = "6";
/// The headers that the engine reads: of a websocket, and of what a polling client says.
const KEPT: [header::HeaderName; 2] = [header::SEC_WEBSOCKET_KEY, header::CONTENT_TYPE];
/// The parameters that the engine reads.
const KEPT_PARAMETERS: [&str; 4] = ["EIO", "transport", "sid", "b64"];

#[derive(Clone)]
pub struct SlimLayer {
    sessions: Sessions,
    settings: Arc<Settings>,
    engine_sessions: Count,
}

impl SlimLayer {
    pub fn new(sessions: Sessions, settings: Arc<Settings>, engine_sessions: Count) -> Self {
        Self { sessions, settings, engine_sessions }
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
    S: Service<Request, Response: IntoResponse + Send, Error = Infallible, Future: Send + 'static>,
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
        let said = (request.method() == Method::POST).then_some(self.layer.settings.request_timeout);
        let polled = polled_session(&request).map(|sid| (self.layer.sessions.clone(), sid));
        let answer = self.inner.call(self.layer.slim(request));
        Box::pin(async move {
            let mut answer = match (said, polled) {
                // A poll waits for what is to be said; what a client says has to be there in time.
                (Some(limit), _) => match tokio::time::timeout(limit, answer).await {
                    Ok(answer) => answer?.into_response(),
                    Err(_) => return Ok(too_late()),
                },
                (None, Some((sessions, sid))) => poll(&sessions, &sid, answer).await?,
                (None, None) => answer.await?.into_response(),
            };
            // Every poll is answered once; a cache in between must not answer another with it.
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(answer)
        })
    }
}

/// The session that a request polls.
fn polled_session(request: &Request) -> Option<String> {
    let query = request.uri().query().filter(|_| request.method() == Method::GET)?;
    let sid = parameter(query, "sid").filter(|_| parameter(query, "transport") == Some("polling"))?;
    Some(sid.to_owned())
}

/// The engine's answer to a poll. It is nothing, as during an upgrade, where one may be about to begin.
async fn poll<R: IntoResponse>(
    sessions: &Sessions,
    sid: &str,
    answer: impl Future<Output = Result<R, Infallible>>,
) -> Result<Response, Infallible> {
    let mut answer = pin!(answer);
    let entered =
        poll_fn(|cx| Poll::Ready(sessions.unless_upgrading(sid, || answer.as_mut().poll(cx)))).await;
    Ok(match entered {
        Some(Poll::Ready(answer)) => answer?.into_response(),
        Some(Poll::Pending) => answer.await?.into_response(),
        None => NOOP.into_response(),
    })
}

/// Whether it asks for a websocket of another version than ours (RFC 6455, section 4.2.2), which the engine
/// does not look at.
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

impl SlimLayer {
    fn slim(&self, request: Request) -> Request {
        let (mut parts, body) = request.into_parts();
        let line = parts.extensions.remove::<ConnectInfo<Line>>().map(|ConnectInfo(line)| line);
        let address = match &line {
            Some(line) => {
                credential::client_address(&parts.headers, line.peer, &self.settings.trusted_proxies)
            }
            None => Ipv4Addr::UNSPECIFIED.into(),
        };
        let query = parts.uri.query().unwrap_or_default();
        let sid = parameter(query, "sid");
        let websocket = line.filter(|_| parameter(query, "transport") == Some("websocket"));
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        if let (Some(sid), Some(line), Some(_)) = (sid, &websocket, &upgrade) {
            self.sessions.upgrading(sid, line.clone());
        }
        let handshake = Handshake {
            credential: if sid.is_none() {
                credential::from_request(&parts.uri, &parts.headers)
            } else {
                None
            },
            address,
            websocket,
            attempts: EventBudget::new(ATTEMPTS_PER_SECOND, ATTEMPTS_AT_ONCE),
            _counted: sid.is_none().then(|| self.engine_sessions.one()),
        };
        let mut slim = Request::new(body);
        *slim.method_mut() = parts.method;
        *slim.version_mut() = parts.version;
        *slim.uri_mut() = slim_uri(query);
        *slim.headers_mut() = slim_headers(&parts.headers);
        if let Some(upgrade) = upgrade {
            slim.extensions_mut().insert(upgrade);
        }
        slim.extensions_mut().insert(Arc::new(handshake));
        slim
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
    // A map that was filled has room for five headers more, half a kilobyte; a clone of it has none.
    kept.clone()
}

fn slim_uri(query: &str) -> Uri {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| KEPT_PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let kept = kept.join("&");
    match &*kept {
        // What nearly everyone sends takes no memory.
        "EIO=4&transport=websocket" => Uri::from_static("/socket.io/?EIO=4&transport=websocket"),
        "EIO=4&transport=polling" => Uri::from_static("/socket.io/?EIO=4&transport=polling"),
        // What stood in a valid query makes a valid one again.
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
