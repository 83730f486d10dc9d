//! What all namespaces have in common when a socket comes in and goes: its credential becomes a caller,
//! and its dispatcher is registered before the CONNECT packet is answered, so that no event is lost
//! however early it comes.

use std::{convert::Infallible, future::Future, marker::PhantomData, sync::Arc};

use serde::Deserialize;
use serde_json::Value as Json;
use socketioxide::{
    TransportType,
    handler::{ConnectHandler, DisconnectHandler, FromConnectParts, Value},
    socket::DisconnectReason,
};

use super::{
    Gateway, Socket,
    dispatch::{Dispatcher, EventPacket},
    encoded::Sockets,
    request::Handshake,
};
use crate::{
    auth::Credential,
    chat::{
        caller::Caller,
        connection::{ConnectOptions, Outlet},
    },
    error::{Error, Result, Why},
    gateway::events::{self, Dialect, Inbox},
};

/// The socket itself, to be kept weakly: the library's own reference would keep it alive.
pub struct Handle(pub Arc<Socket>);

impl FromConnectParts<Sockets> for Handle {
    type Error = Infallible;

    fn from_connect_parts(socket: &Arc<Socket>, _: &Option<Value>) -> Result<Self, Infallible> {
        Ok(Self(socket.clone()))
    }
}

/// What a client passes as `auth` to say who it is.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Shown {
    token: Json,
    ticket: Json,
}

/// Lets a socket in by `admit`, at most so often for one session.
pub async fn enter<F: Future<Output = Result<()>>>(
    gateway: &Gateway,
    socket: &Arc<Socket>,
    admit: impl FnOnce(Arc<Handshake>) -> F,
) -> Result<()> {
    let handshake = socket.req_parts().extensions.get::<Arc<Handshake>>().cloned();
    let handshake = handshake.ok_or_else(|| Error::internal("a session without a handshake"))?;
    handshake.attempts.take()?;
    let admitted = admit(handshake.clone()).await;
    if let Err(refused) = &admitted {
        tracing::info!(client = %handshake.address, code = refused.code(), "refused a connection");
    }
    if let Err(Error::Unavailable(_) | Error::Internal(_)) = admitted {
        // Clients do not come back after a refusal, but they do after a lost connection. This is
        // not the client's fault, and soon over.
        let is_websocket = socket.transport_type() == TransportType::Websocket;
        let cut = gateway.sessions.cut(&socket.id.to_string(), is_websocket, handshake.websocket.as_ref());
        if let Some(cut) = cut {
            // A session that is not gone yet would still deliver the refusal.
            drop(cut.await);
        }
    }
    admitted
}

/// Who is coming: `auth.token` first, then `auth.ticket`, then what the first request brought along.
pub async fn caller(gateway: &Gateway, shown: &Shown, handshake: &Handshake) -> Result<Caller> {
    gateway.auth.credential(credential(shown, handshake)?, handshake.address).await
}

fn credential(shown: &Shown, handshake: &Handshake) -> Result<Credential> {
    match (&shown.token, &shown.ticket) {
        (Json::String(token), _) if !token.is_empty() => Ok(Credential::Token(token.as_str().into())),
        (Json::String(_) | Json::Null, Json::String(ticket)) if !ticket.is_empty() => {
            Ok(Credential::Ticket(ticket.as_str().into()))
        }
        (Json::String(_) | Json::Null, Json::String(_) | Json::Null) => {
            handshake.credential.clone().ok_or(Error::Unauthenticated(Why::TokenMissing))
        }
        (Json::String(_) | Json::Null, _) => Err(Error::Unauthenticated(Why::TicketUsed)),
        _ => Err(Error::Unauthenticated(Why::TokenInvalid)),
    }
}

/// Connects a socket to the core, with a dialect for what it says and an outlet for what it hears.
pub async fn connect<D: Departs>(
    gateway: &Gateway,
    socket: &Arc<Socket>,
    handshake: &Handshake,
    caller: Caller,
    outlet: Box<dyn Outlet>,
    options: ConnectOptions,
    dialect: D,
) -> Result<()> {
    let connection = gateway.chat.connect(caller, outlet, options).await?;
    handshake.joined();
    let (chat, auth) = (gateway.chat.clone(), gateway.auth.clone());
    let served = events::Socket::new(connection, handshake.address, chat, auth, handshake.backlog.clone());
    let inbox = Inbox::new(served, dialect, gateway.shutdown.clone(), gateway.settings.pace);
    socket.on_fallback(Dispatcher::new(inbox.clone()));
    socket.on_disconnect(Leaving(inbox.clone()));
    socket.extensions.insert(inbox);
    Ok(())
}

/// A dialect that wants to know how its socket went.
pub trait Departs: Dialect {
    fn depart(&self, _reason: DisconnectReason) {}
}

/// Runs when a socket is gone. Not as a task, as the library would run a function: until it has run,
/// a client that leaves the namespace and comes back at once would be overlooked.
struct Leaving<D>(Arc<Inbox<EventPacket, D>>);

impl<D: Departs> DisconnectHandler<Sockets, ()> for Leaving<D> {
    fn call_with_defer(&self, socket: Arc<Socket>, reason: DisconnectReason, defer: fn(Arc<Socket>)) {
        self.0.dialect.depart(reason);
        self.0.leave();
        defer(socket);
    }
}

/// Runs when the CONNECT packet was answered: the socket hears events, and its own are handled. Not as a
/// task, as the library would run a function: until it has run, what everyone is told would pass it by.
pub struct Open<D>(PhantomData<fn() -> D>);

impl<D> Open<D> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<D> Clone for Open<D> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<D: Dialect> ConnectHandler<Sockets, ()> for Open<D> {
    fn call(&self, socket: Arc<Socket>, _: Option<Value>) {
        if let Some(inbox) = socket.extensions.get::<Arc<Inbox<EventPacket, D>>>() {
            inbox.open();
        }
    }
}
