//! Accepts the websockets of the engine: writes the answer to the handshake, and passes the stream to the
//! engine when the client has received that answer, and has exchanged the probe if it upgrades a session.

use std::{fmt, time::Duration};

use axum::{extract::Request, response::Response};
use http::header;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tower::Service;

use super::{
    engine_stream::EngineStream,
    probe,
    sessions::{NotTried, Probing, Sessions},
};
use crate::gateway::{http::websocket_handshake, tcp::TcpHandle};

/// How long the upgrade may take after the answer. Only the answer still has to be written.
const UPGRADING: Duration = Duration::from_secs(10);

/// A websocket whose handshake is done, with its request.
pub type EngineWebSocket = (EngineStream<TokioIo<Upgraded>>, http::Request<()>);

/// The answer to a request for a websocket whose headers were checked. The websocket then belongs to `engine`.
/// `sid` is the session that the client upgrades, if it has one.
///
/// # Errors
/// See [`NotTried`].
pub fn answer<S>(
    sessions: &Sessions,
    sid: Option<&str>,
    tcp: Option<&TcpHandle>,
    request: Request,
    engine: S,
) -> Result<Response, NotTried>
where
    S: Service<EngineWebSocket, Error: fmt::Debug, Future: Send> + Send + 'static,
{
    let (mut parts, _) = request.into_parts();
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    let accept = parts.headers.get(header::SEC_WEBSOCKET_KEY).map(websocket_handshake::accept);
    let (Some(on_upgrade), Some(Ok(accept)), Some(tcp)) = (on_upgrade, accept, tcp) else {
        return Err(NotTried::Taken);
    };
    let probing = sid.map(|sid| sessions.probing(sid, tcp)).transpose()?;
    sessions.spawn(pass_on(on_upgrade, probing, http::Request::from_parts(parts, ()), engine));
    Ok(websocket_handshake::switching(accept))
}

async fn pass_on<S>(
    on_upgrade: OnUpgrade,
    probing: Option<Probing>,
    request: http::Request<()>,
    mut engine: S,
) where
    S: Service<EngineWebSocket, Error: fmt::Debug, Future: Send>,
{
    // The TCP connection may be gone before the request was answered.
    let Ok(Ok(upgraded)) = timeout(UPGRADING, on_upgrade).await else {
        tracing::debug!("a websocket was gone before it was open");
        return;
    };
    let mut stream = TokioIo::new(upgraded);
    let stream = match probing {
        None => EngineStream::of_new_session(stream),
        Some(probing) => match probe::exchange(&mut stream, probing).await {
            Some(switching) => EngineStream::of_upgrade(stream, switching),
            None => return tracing::debug!("a client did not upgrade its session"),
        },
    };
    if let Err(err) = engine.call((stream, request)).await {
        tracing::error!(error = ?err, "the engine did not take a websocket");
    }
}
