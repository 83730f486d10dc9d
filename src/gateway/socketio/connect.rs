//! What all namespaces share when a socket connects and disconnects. The credential is resolved to a caller.
//! The dispatcher is registered before the CONNECT packet is answered, so that no early event is lost.

use std::{convert::Infallible, future::Future, marker::PhantomData, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value as Json;
use socketioxide::{
    TransportType,
    handler::{ConnectHandler, DisconnectHandler, FromConnectParts, Value},
    socket::DisconnectReason,
};

use super::{
    Gateway, RawSocket,
    adapter::Sockets,
    dispatch::{Dispatcher, EventPacket},
    handshake::Handshake,
    route::Route,
};
use crate::{
    auth::Credential,
    chat::connections::connection::{ConnectOptions, Outlet},
    error::{AuthError, Error, Result},
    gateway::events::{self, EventHandler, Inbox, Pace},
    identity::Caller,
};

/// The least time until a refused client is disconnected. A client that could connect tries again after a
/// second.
const LEAST_WAIT: Duration = Duration::from_secs(2);

/// The socket itself. Keep it weakly: a strong reference would keep it alive.
pub struct Handle(pub Arc<RawSocket>);

impl FromConnectParts<Sockets> for Handle {
    type Error = Infallible;

    fn from_connect_parts(socket: &Arc<RawSocket>, _: &Option<Value>) -> Result<Self, Infallible> {
        Ok(Self(socket.clone()))
    }
}

/// What a client passes as `auth` to identify itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AuthPayload {
    token: Json,
    ticket: Json,
    /// The last private id that the client has received.
    pid: Json,
}

impl AuthPayload {
    pub fn has_token(&self) -> bool {
        self.token.as_str().is_some_and(|token| !token.is_empty())
    }

    pub fn pid(&self) -> Option<&str> {
        self.pid.as_str()
    }
}

/// Accepts a socket with `admit`. Limits how often one session may try.
pub async fn enter<F: Future<Output = Result<()>>>(
    gateway: &Gateway,
    socket: &Arc<RawSocket>,
    admit: impl FnOnce(Arc<Handshake>) -> F,
) -> Result<()> {
    let handshake = socket.req_parts().extensions.get::<Arc<Handshake>>().cloned();
    let handshake = handshake.ok_or_else(|| Error::internal("a session without a handshake"))?;
    let admitted = match handshake.attempts.take() {
        Ok(()) => admit(handshake.clone()).await,
        Err(too_many) => Err(too_many),
    };
    if let Err(refused) = &admitted {
        tracing::info!(client = %handshake.device.address, code = refused.code(), "refused a connection");
    }
    if let Err(Error::RateLimited { .. } | Error::Unavailable(_) | Error::Internal(_)) = &admitted {
        // Clients do not reconnect after a refusal, but they do after a lost connection. These refusals will
        // pass, so disconnect the client instead.
        wait_to_disconnect(gateway, admitted.as_ref().err()).await;
        let is_websocket = socket.transport_type() == TransportType::Websocket;
        let disconnected =
            gateway.sessions.disconnect(&socket.id.to_string(), is_websocket, handshake.websocket.as_ref());
        if let Some(disconnected) = disconnected {
            // A session that still exists would deliver the refusal.
            drop(disconnected.await);
        }
    }
    admitted
}

/// Clients reconnect at once after a connection that was open, so the connection stays open for as long as
/// the client should wait. Nothing else on it is answered meanwhile: the library ignores further attempts.
async fn wait_to_disconnect(gateway: &Gateway, refused: Option<&Error>) {
    let wait = refused.and_then(Error::retry_after).unwrap_or_default().max(LEAST_WAIT);
    // A session that has joined nothing for longer than this is closed in any case.
    let longest = gateway.settings.limits.connect_timeout;
    gateway.shutdown.begins_within(wait.min(longest)).await;
}

/// The caller, from the first credential found: `auth.token`, then `auth.ticket`, then that of the first
/// request.
pub async fn caller(gateway: &Gateway, shown: &AuthPayload, handshake: &Handshake) -> Result<Caller> {
    gateway.auth.credential(credential(shown, handshake)?, &handshake.device).await
}

fn credential(shown: &AuthPayload, handshake: &Handshake) -> Result<Credential> {
    match (&shown.token, &shown.ticket) {
        (Json::String(token), _) if !token.is_empty() => Ok(Credential::Token(token.as_str().into())),
        (Json::String(_) | Json::Null, Json::String(ticket)) if !ticket.is_empty() => {
            Ok(Credential::Ticket(ticket.as_str().into()))
        }
        (Json::String(_) | Json::Null, Json::String(_) | Json::Null) => {
            handshake.credential.clone().ok_or(Error::Unauthenticated(AuthError::TokenMissing))
        }
        (Json::String(_) | Json::Null, _) => Err(Error::Unauthenticated(AuthError::TicketUsed)),
        _ => Err(Error::Unauthenticated(AuthError::TokenInvalid)),
    }
}

/// Connects a socket to the core, with a dialect for its events and an outlet for the events that it
/// receives, which take the route.
pub async fn connect<D: Departs>(
    gateway: &Gateway,
    socket: &Arc<RawSocket>,
    handshake: &Handshake,
    caller: Caller,
    (outlet, route): (Box<dyn Outlet>, Arc<Route>),
    options: ConnectOptions,
    handler: D,
) -> Result<()> {
    let connection = gateway.chat.connect(caller, outlet, options).await?;
    handshake.joined();
    let (chat, auth) = (gateway.chat.clone(), gateway.auth.clone());
    let address = handshake.device.address;
    let served = events::Socket::new(connection, address, chat, auth, handshake.backlog.clone());
    let inbox = Inbox::new(served, handler, gateway.shutdown.clone(), Pace::of(&gateway.settings.limits));
    socket.on_fallback(Dispatcher { inbox: inbox.clone(), route: route.clone() });
    socket.on_disconnect(Leaving { inbox: inbox.clone(), route });
    socket.extensions.insert(inbox);
    Ok(())
}

/// A dialect that is notified when its socket disconnects.
pub trait Departs: EventHandler {
    fn depart(&self, _reason: DisconnectReason) {}
}

/// Runs when a socket has disconnected. It does not run as a task, as the library would run a function: a
/// client that leaves the namespace and joins again at once would not be noticed until the task has run.
struct Leaving<D> {
    inbox: Arc<Inbox<EventPacket, D>>,
    route: Arc<Route>,
}

impl<D: Departs> DisconnectHandler<Sockets, ()> for Leaving<D> {
    fn call_with_defer(&self, socket: Arc<RawSocket>, reason: DisconnectReason, defer: fn(Arc<RawSocket>)) {
        self.route.leave();
        self.inbox.handler.depart(reason);
        self.inbox.leave();
        defer(socket);
    }
}

/// Runs after the CONNECT packet was answered. The socket then receives events, and its own events are
/// handled. It does not run as a task, as the library would run a function: until the task has run, the
/// socket would not receive what is sent to everyone.
pub struct OpenOnConnect<D>(PhantomData<fn() -> D>);

impl<D> OpenOnConnect<D> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<D> Clone for OpenOnConnect<D> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<D: EventHandler> ConnectHandler<Sockets, ()> for OpenOnConnect<D> {
    fn call(&self, socket: Arc<RawSocket>, _: Option<Value>) {
        if let Some(inbox) = socket.extensions.get::<Arc<Inbox<EventPacket, D>>>() {
            inbox.open();
        }
    }
}
