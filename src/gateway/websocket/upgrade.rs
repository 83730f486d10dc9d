//! From an HTTP request to a websocket: the handshake of RFC 6455, section 4.2, and the task behind it.
//! Who may come in is left to the wire forms.

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
    pump::{self, Heartbeat, Listener},
};
use crate::{
    backlog::Backlog,
    error::{Busy, Error},
    gateway::{
        http::refusal::Rejection,
        line::{CountedFrames, EarlyBytes, Line},
    },
};

/// How long the line may take from the answer to the upgrade: what is left to do is to write the answer.
const UPGRADING: Duration = Duration::from_secs(10);
/// Bytes of the read buffer; larger frames grow it, and most are small.
const READ_BUFFER: usize = 512;
/// Bytes gathered before they are handed to the kernel; a flush hands over what there is.
const WRITE_BUFFER: usize = 8 * 1024;
/// Engine.IO's pace, so that all wires are alike in this.
const HEARTBEAT: Heartbeat =
    Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };

/// A request that asks for a websocket, and may have one as far as its form goes. Extensions and
/// subprotocols that it offers are not taken up.
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
    line: Option<Line>,
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
        // Sixteen bytes in base64.
        let key = key.filter(|key| key.len() == 24 && key.ends_with(b"=="));
        let key = key.ok_or(Error::invalid("sec-websocket-key", "must be sixteen bytes in base64"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key)).map_err(Error::internal)?;
        if sockets.shutdown.has_begun() {
            return Err(Error::Unavailable(Busy::Draining).into());
        }
        let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Rejection::NotAWebSocket)?;
        let line = parts.extensions.get::<ConnectInfo<Line>>().map(|ConnectInfo(line)| line.clone());
        let backlog = match &line {
            Some(line) => line.backlog().clone(),
            None => sockets.backlogs.backlog(),
        };
        if let Some(line) = &line {
            let early = |_: EarlyBytes| Rejection::Malformed {
                field: None,
                reason: "A websocket must not be asked for together with another request.".to_owned(),
            };
            line.switch(backlog.clone(), CountedFrames::All).map_err(early)?;
        }
        Ok(Self { on_upgrade, accept, line, backlog })
    }
}

/// Whether a list header, over all its lines, has this item, in whatever capitals.
fn lists(headers: &HeaderMap, name: &header::HeaderName, item: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(item))
}

impl Upgrade {
    /// What will wait to be written to the websocket.
    pub fn outgoing(&self, sockets: &WebSockets) -> Arc<Outgoing> {
        let most = sockets.settings.outgoing_packets;
        Arc::new(Outgoing::new(most, self.line.clone(), self.backlog.clone()))
    }

    /// The answer that makes it a websocket, and the task that serves it from then on. The listener is
    /// dropped when the websocket is gone, or never came about.
    pub fn accept(self, sockets: &WebSockets, outgoing: Arc<Outgoing>, listener: impl Listener) -> Response {
        let most = Some(sockets.settings.packet_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + sockets.settings.outgoing_bytes)
            .max_message_size(most)
            .max_frame_size(most);
        let (shutdown, on_upgrade) = (sockets.shutdown.clone(), self.on_upgrade);
        sockets.shutdown.spawn(async move {
            // The connection it came in on may be gone before it was answered.
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
