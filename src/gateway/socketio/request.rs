//! What a session keeps of the request that opened it.
//!
//! The engine keeps a request's parts for as long as the session lives, and they are slices of the
//! HTTP server's read buffer: 16 KB a connection. This layer, in front of the engine, takes out what
//! is needed once and hands on a small copy. The copy has no token in it.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    task::{Context, Poll},
};

use axum::extract::{ConnectInfo, Request};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Response, Uri, header};
use hyper::upgrade::OnUpgrade;
use secrecy::SecretString;
use tower::{Layer, Service};

use super::{Settings, sessions::Sessions};
use crate::{
    gateway::{credential, line::Line},
    limits::EventBudget,
};

/// What the first request of a session said.
pub struct Handshake {
    /// The credential of its query, headers or cookie.
    pub credential: Option<SecretString>,
    pub address: IpAddr,
    /// The session's websocket, where it began with one. A polling session's requests come in on
    /// lines that others may share.
    pub websocket: Option<Line>,
    /// How often it may ask to join a namespace: each attempt costs queries, and perhaps a page of
    /// missed messages.
    pub attempts: EventBudget,
}

/// How often a session may ask to join a namespace.
const ATTEMPTS_PER_SECOND: u32 = 2;
const ATTEMPTS_AT_ONCE: u32 = 10;
/// The headers that the engine reads.
const KEPT: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
];
/// The parameters that the engine reads.
const KEPT_PARAMETERS: [&str; 4] = ["EIO", "transport", "sid", "b64"];

#[derive(Clone)]
pub struct SlimLayer {
    sessions: Sessions,
    settings: Arc<Settings>,
}

impl SlimLayer {
    pub fn new(sessions: Sessions, settings: Arc<Settings>) -> Self {
        Self { sessions, settings }
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

impl<S, B> Service<Request> for Slim<S>
where
    S: Service<Request, Response = Response<B>, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.inner.call(self.layer.slim(request));
        Box::pin(async move {
            let mut answer = answer.await?;
            // Every poll is answered once; a cache in between must not answer another with it.
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(answer)
        })
    }
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
        if let (Some(sid), Some(line)) = (sid, &websocket) {
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
        };
        let mut slim = Request::new(body);
        *slim.method_mut() = parts.method;
        *slim.version_mut() = parts.version;
        *slim.uri_mut() = slim_uri(query);
        for name in KEPT {
            if let Some(value) = parts.headers.get(&name)
                && let Ok(copy) = HeaderValue::from_bytes(value.as_bytes())
            {
                slim.headers_mut().insert(name, copy);
            }
        }
        if let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() {
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

fn slim_uri(query: &str) -> Uri {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| KEPT_PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    // What stood in a valid query makes a valid one again.
    format!("/socket.io/?{}", kept.join("&")).parse().unwrap_or_else(|_| Uri::from_static("/socket.io/"))
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
}
