//! Upgrades an HTTP request to a websocket: the handshake of RFC 6455, section 4.2, and the task that serves
//! the websocket. The wire forms decide which clients are accepted.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, FromRef, FromRequestParts},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    WebSockets,
    outgoing::Outgoing,
    pump::{self, FrameHandler, Heartbeat},
};
use crate::{
    backlog::Backlog,
    error::{Error, Unavailable},
    gateway::{
        http::refusal::Rejection,
        tcp::{EarlyBytes, FrameFilter, TcpHandle},
    },
};

/// How long the upgrade may take after the answer. Only the answer still has to be written.
const UPGRADING: Duration = Duration::from_secs(10);
/// Bytes of the read buffer. Larger frames make it grow; most frames are small.
const READ_BUFFER: usize = 512;
/// Bytes that are gathered before they go to the kernel. A flush sends what there is.
const WRITE_BUFFER: usize = 8 * 1024;
/// Engine.IO's intervals, so that all gateways behave alike.
const HEARTBEAT: Heartbeat =
    Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };

/// A valid request for a websocket. Extensions and subprotocols that it offers are ignored.
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
    line: Option<TcpHandle>,
    backlog: Arc<Backlog>,
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade
where
    WebSockets: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let sockets = WebSockets::from_ref(state);
        let headers = &parts.headers;
        let asks = parts.method == Method::GET
            && parts.version >= Version::HTTP_11
            && lists(headers, &header::CONNECTION, "upgrade")
            && lists(headers, &header::UPGRADE, "websocket");
        if !asks {
            return Err(Rejection::NotAWebSocket);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(Rejection::WebSocketVersion);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        // 16 bytes in base64.
        let key = key.filter(|key| key.len() == 24 && key.ends_with(b"=="));
        let key = key.ok_or(Error::invalid("sec-websocket-key", "must be sixteen bytes in base64"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key)).map_err(Error::internal)?;
        if sockets.shutdown.has_begun() {
            return Err(Error::Unavailable(Unavailable::Draining).into());
        }
        let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Rejection::NotAWebSocket)?;
        let line = parts.extensions.get::<ConnectInfo<TcpHandle>>().map(|ConnectInfo(line)| line.clone());
        let backlog = match &line {
            Some(line) => line.backlog().clone(),
            None => sockets.backlogs.backlog(),
        };
        if let Some(line) = &line {
            let early = |_: EarlyBytes| Rejection::Malformed {
                field: None,
                reason: "A websocket must not be asked for together with another request.".to_owned(),
            };
            line.switch(backlog.clone(), FrameFilter::All).map_err(early)?;
        }
        Ok(Self { on_upgrade, accept, line, backlog })
    }
}

/// Whether a list header contains this item in any of its lines, in upper or lower case.
fn lists(headers: &HeaderMap, name: &header::HeaderName, item: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(item))
}

impl Upgrade {
    /// The queue of texts to be written to the websocket.
    pub fn outgoing(&self, sockets: &WebSockets) -> Arc<Outgoing> {
        let most = sockets.limits.outgoing_packets;
        Arc::new(Outgoing::new(most, self.line.clone(), self.backlog.clone()))
    }

    /// Returns the answer that upgrades the connection, and starts the task that serves the websocket.
    /// `listener` is dropped when the websocket is gone or was never opened.
    pub fn accept(
        self,
        sockets: &WebSockets,
        outgoing: Arc<Outgoing>,
        listener: impl FrameHandler,
    ) -> Response {
        let most = Some(sockets.limits.packet_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + sockets.limits.outgoing_bytes)
            .max_message_size(most)
            .max_frame_size(most);
        let (shutdown, on_upgrade) = (sockets.shutdown.clone(), self.on_upgrade);
        sockets.shutdown.spawn(async move {
            // The TCP connection may be gone before the request was answered.
            let Ok(Ok(upgraded)) = timeout(UPGRADING, on_upgrade).await else {
                tracing::debug!("a websocket was gone before it was open");
                return listener.left();
            };
            let line = TokioIo::new(upgraded);
            let stream = WebSocketStream::from_raw_socket(line, Role::Server, Some(config)).await;
            pump::run(stream, &outgoing, &listener, HEARTBEAT, shutdown.closing()).await;
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        response
    }
}
