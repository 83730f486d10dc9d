//! The middleware in front of the engine. It does what the engine does not do: it checks requests for
//! websockets, opens the websockets, limits how long a request may take to arrive, counts what polls take, and
//! passes on a small copy of each request ([`super::handshake`]).

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use tower::{Layer, Service};

use super::{
    handshake::{Handshakes, parameter},
    polled,
    refused::{early_bytes, refused, too_late, too_many, version_needed},
    sessions::{NotTried, Sessions},
    websocket::{self, EngineWebSocket},
};
use crate::gateway::http::websocket_handshake::{self, BadHandshake};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct EngineLayer(Arc<EngineParts>);

struct EngineParts {
    sessions: Sessions,
    handshakes: Handshakes,
    /// How long a request that carries packets may take to arrive.
    request_timeout: Duration,
}

impl EngineLayer {
    pub fn new(sessions: Sessions, handshakes: Handshakes, request_timeout: Duration) -> Self {
        Self(Arc::new(EngineParts { sessions, handshakes, request_timeout }))
    }
}

impl EngineParts {
    /// Checks a request for a websocket, which the engine does not do. Returns the subprotocol for the answer:
    /// like Socket.IO's own server, the first that the client offers, because a browser that offers some
    /// accepts no answer without one. Compression is never agreed on, as there.
    fn check_websocket(&self, request: &Request) -> Result<Option<HeaderValue>, Box<Response>> {
        let query = request.uri().query().unwrap_or_default();
        if !is_websocket(request) {
            return Ok(None);
        }
        match websocket_handshake::check_request(request) {
            Ok(()) => {}
            // A client behind a proxy that removes the headers falls back to polling.
            Err(BadHandshake::NotAnUpgrade) => return Err(Box::new(refused(3, "Bad request"))),
            Err(BadHandshake::Version) => return Err(Box::new(version_needed())),
            Err(BadHandshake::Key) => {
                return Err(Box::new(refused(3, "The key is not sixteen bytes in base64")));
            }
        }
        if parameter(query, "sid").is_some_and(|sid| !self.sessions.is_polling(sid)) {
            return Err(Box::new(refused(1, "Session ID unknown")));
        }
        websocket_handshake::first_protocol(request.headers())
            .map_err(|_| Box::new(refused(3, "The subprotocols are not a list of different names")))
    }
}

impl<S> Layer<S> for EngineLayer {
    type Service = EngineMiddleware<S>;

    fn layer(&self, engine: S) -> EngineMiddleware<S> {
        EngineMiddleware { engine, parts: self.0.clone() }
    }
}

/// The engine behind an [`EngineLayer`].
#[derive(Clone)]
pub struct EngineMiddleware<S> {
    engine: S,
    parts: Arc<EngineParts>,
}

impl<S> Service<Request> for EngineMiddleware<S>
where
    S: Service<Request, Response: IntoResponse + Send, Error = Infallible, Future: Send + 'static>
        + Service<EngineWebSocket, Error: fmt::Debug, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.engine, cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let protocol = match self.parts.check_websocket(&request) {
            Ok(protocol) => protocol,
            Err(refused) => return Box::pin(async { Ok(*refused) }),
        };
        if self.parts.sessions.is_shutting_down() && is_new(&request) {
            return Box::pin(async { Ok(too_many()) });
        }
        let next = self.engine.clone();
        let engine = std::mem::replace(&mut self.engine, next);
        let parts = self.parts.clone();
        Box::pin(async move {
            let kind = RequestKind::of(&request);
            let (request, handshake) = match parts.handshakes.reduce(request) {
                Ok(reduced) => reduced,
                Err(refused) => return Ok(*refused),
            };
            let mut answer = match kind {
                RequestKind::Upgrades(sid) => {
                    let (sid, tcp) = (sid.as_deref(), handshake.websocket.as_ref());
                    match websocket::answer(&parts.sessions, sid, tcp, request, engine) {
                        Ok(answer) => answer,
                        Err(NotTried::Early(_)) => early_bytes(),
                        Err(NotTried::Taken) => refused(3, "Bad request"),
                    }
                }
                RequestKind::Polls(sid) => {
                    let uri = request.uri().clone();
                    let again = || {
                        let mut poll = Request::new(Body::empty());
                        poll.uri_mut().clone_from(&uri);
                        ask(engine.clone(), poll)
                    };
                    let answer = polled::poll(&parts.sessions, &sid, again).await?;
                    match parts.sessions.backlog(&sid) {
                        Some(backlog) => {
                            polled::count(answer, backlog, |packets| parts.sessions.replaced(&sid, packets))
                                .await
                        }
                        None => answer,
                    }
                }
                // A poll waits for packets. A request that carries packets has to arrive completely within a
                // time limit.
                RequestKind::Says(sid) => {
                    parts.sessions.requested(&sid);
                    let answer = ask(engine, request);
                    match tokio::time::timeout(parts.request_timeout, answer).await {
                        Ok(answer) => answer?.into_response(),
                        Err(_) => return Ok(too_late()),
                    }
                }
                RequestKind::Opens => {
                    let (answer, sid) = polled::opened(ask(engine, request).await?.into_response()).await;
                    if let Some(sid) = sid {
                        parts.sessions.opened(&sid, &handshake.backlog);
                        parts.sessions.answer_first_ping(&sid).await;
                    }
                    answer
                }
                RequestKind::Other => ask(engine, request).await?.into_response(),
            };
            if let (Some(protocol), StatusCode::SWITCHING_PROTOCOLS) = (protocol, answer.status()) {
                answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
            }
            // Every poll gets its own answer. A cache must not reuse it for another poll.
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(answer)
        })
    }
}

/// The kinds of requests to the engine.
enum RequestKind {
    /// Carries packets of the session with this id.
    Says(String),
    /// Asks for packets of the session with this id.
    Polls(String),
    /// Opens a polling session.
    Opens,
    /// Opens a websocket, for a new session or for the one with this id.
    Upgrades(Option<String>),
    Other,
}

impl RequestKind {
    fn of(request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let is_polling = parameter(query, "transport") == Some("polling");
        let is_websocket = is_websocket(request) && parameter(query, "EIO") == Some("4");
        match (request.method(), parameter(query, "sid")) {
            (_, sid) if is_websocket => Self::Upgrades(sid.map(str::to_owned)),
            (&Method::POST, sid) => Self::Says(sid.unwrap_or_default().to_owned()),
            (&Method::GET, Some(sid)) if is_polling => Self::Polls(sid.to_owned()),
            (&Method::GET, None) if is_polling => Self::Opens,
            _ => Self::Other,
        }
    }
}

/// Passes a request to the engine, which also takes websockets.
fn ask<S: Service<Request>>(mut engine: S, request: Request) -> S::Future {
    engine.call(request)
}

/// Whether this asks for the transport of websockets.
fn is_websocket(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && parameter(query, "transport") == Some("websocket")
}

/// Whether the request opens a session.
fn is_new(request: &Request) -> bool {
    request.uri().query().is_none_or(|query| parameter(query, "sid").is_none())
}
