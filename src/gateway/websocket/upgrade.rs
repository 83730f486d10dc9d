//! Upgrades an HTTP request to a websocket: the handshake of RFC 6455, section 4.2, and the task that serves
//! the websocket. The wire forms decide which clients are accepted.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    response::Response,
};
use http::{HeaderValue, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::{
    WebSockets,
    outgoing::Outgoing,
    pump::{self, FrameHandler},
};
use crate::{
    backlog::Backlog,
    error::{Error, Unavailable},
    gateway::{
        http::{
            refusal::Rejection,
            websocket_handshake::{self, BadHandshake},
        },
        tcp::{EarlyBytes, FrameFilter, TcpHandle},
    },
};

/// How long the upgrade may take after the answer. Only the answer still has to be written.
const UPGRADING: Duration = Duration::from_secs(10);
/// Bytes of the read buffer. Larger frames make it grow; most frames are small.
const READ_BUFFER: usize = 512;
/// Bytes that are gathered before they go to the kernel. A flush sends what there is.
const WRITE_BUFFER: usize = 8 * 1024;

/// A valid request for a websocket. Extensions and subprotocols that it offers are ignored.
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
    tcp: Option<TcpHandle>,
    backlog: Arc<Backlog>,
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade
where
    WebSockets: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let sockets = WebSockets::from_ref(state);
        let checked = websocket_handshake::check(&parts.method, parts.version, &parts.headers);
        let key = checked.map_err(|wrong| match wrong {
            BadHandshake::NotAnUpgrade => Rejection::NotAWebSocket,
            BadHandshake::Version => Rejection::WebSocketVersion,
            BadHandshake::Key => {
                Error::invalid("sec-websocket-key", "must be sixteen bytes in base64").into()
            }
        })?;
        let accept = websocket_handshake::accept(key).map_err(Error::internal)?;
        if sockets.shutdown.has_begun() {
            return Err(Error::Unavailable(Unavailable::Draining).into());
        }
        let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Rejection::NotAWebSocket)?;
        let tcp = parts.extensions.get::<ConnectInfo<TcpHandle>>().map(|ConnectInfo(tcp)| tcp.clone());
        let backlog = match &tcp {
            Some(tcp) => tcp.backlog().clone(),
            None => sockets.backlogs.backlog(),
        };
        if let Some(tcp) = &tcp {
            let early = |_: EarlyBytes| Rejection::Malformed {
                field: None,
                reason: "A websocket must not be asked for together with another request.".to_owned(),
            };
            tcp.switch(backlog.clone(), FrameFilter::All).map_err(early)?;
        }
        Ok(Self { on_upgrade, accept, tcp, backlog })
    }
}

impl Upgrade {
    /// The queue of texts to be written to the websocket.
    pub fn outgoing(&self, sockets: &WebSockets) -> Arc<Outgoing> {
        let most = sockets.limits.outgoing_packets;
        let interval = sockets.heartbeat.interval;
        Arc::new(Outgoing::new(most, self.tcp.clone(), self.backlog.clone(), interval))
    }

    /// Returns the answer that upgrades the connection, and starts the task that serves the websocket.
    /// `handler` is dropped when the websocket is gone or was never opened.
    pub fn accept(
        self,
        sockets: &WebSockets,
        outgoing: Arc<Outgoing>,
        handler: impl FrameHandler,
    ) -> Response {
        let most = Some(sockets.limits.packet_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + sockets.limits.outgoing_bytes)
            .max_message_size(most)
            .max_frame_size(most);
        let (shutdown, heartbeat, on_upgrade) =
            (sockets.shutdown.clone(), sockets.heartbeat, self.on_upgrade);
        sockets.shutdown.spawn(async move {
            // The TCP connection may be gone before the request was answered.
            let Ok(Ok(upgraded)) = timeout(UPGRADING, on_upgrade).await else {
                tracing::debug!("a websocket was gone before it was open");
                return handler.left();
            };
            let tcp = TokioIo::new(upgraded);
            let stream = WebSocketStream::from_raw_socket(tcp, Role::Server, Some(config)).await;
            pump::run(stream, &outgoing, &handler, heartbeat, shutdown.closing()).await;
        });
        websocket_handshake::switching(self.accept)
    }
}
