//! A socket's way in: its credential becomes a caller, and its dispatcher is registered before the
//! CONNECT packet is answered, so that no event is lost however early it comes.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use entity::{RoomId, Seq};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value as Json;
use socketioxide::{
    ParserError, TransportType,
    adapter::LocalAdapter,
    extract::{SocketRef, TryData},
    handler::{DisconnectHandler, FromConnectParts, Value},
    socket::{DisconnectReason, Socket},
};

use super::{
    Gateway,
    chat_ns::outlet::{ChatOutlet, Receipts},
    dispatch::{Dispatcher, Inbox},
    refusal::Refused,
    request::Handshake,
};
use crate::{
    auth::Credential,
    chat::connection::ConnectOptions,
    error::{Error, Result, Why},
};

/// The socket itself, to be kept weakly: the library's own reference would keep it alive.
pub struct Handle(Arc<Socket>);

impl FromConnectParts<LocalAdapter> for Handle {
    type Error = Infallible;

    fn from_connect_parts(socket: &Arc<Socket>, _: &Option<Value>) -> Result<Self, Infallible> {
        Ok(Self(socket.clone()))
    }
}

/// What a client passes as `auth`. Fields that nobody asked for are let be.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectPayload {
    token: Json,
    since: Option<HashMap<String, i64>>,
    catch_up: Option<bool>,
    receipts: Option<String>,
}

/// Runs before the CONNECT packet is answered; what it refuses becomes a `connect_error`.
pub async fn enter(
    gateway: Gateway,
    Handle(socket): Handle,
    TryData(payload): TryData<ConnectPayload>,
) -> Result<(), Refused> {
    let handshake = socket.req_parts().extensions.get::<Arc<Handshake>>().cloned();
    let handshake = handshake.ok_or_else(|| Error::internal("a session without a handshake"))?;
    let admitted = admit(&gateway, &socket, &handshake, payload).await;
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
    Ok(admitted?)
}

async fn admit(
    gateway: &Gateway,
    socket: &Arc<Socket>,
    handshake: &Handshake,
    payload: Result<ConnectPayload, ParserError>,
) -> Result<()> {
    handshake.attempts.take()?;
    let payload = payload.map_err(|err| Error::invalid("auth", err.to_string()))?;
    let credential = credential(&payload.token, handshake)?;
    let options = options(&payload);
    let receipts = receipts(payload.receipts.as_deref())?;
    let caller = gateway.auth.credential(Credential::Token(credential), handshake.address).await?;
    let outlet = ChatOutlet::new(gateway, socket, handshake.websocket.clone(), receipts);
    let connection = gateway.chat.connect(caller, Box::new(outlet), options).await?;
    let inbox = Inbox::new(gateway.clone(), connection, handshake.address);
    socket.on_fallback(Dispatcher::new(inbox.clone()));
    socket.on_disconnect(Leaving(inbox.clone()));
    socket.extensions.insert(inbox);
    Ok(())
}

/// Runs when a socket is gone. Not as a task, as the library would run a function: until it has run,
/// a client that leaves the namespace and comes back at once would be overlooked.
struct Leaving(Arc<Inbox>);

impl DisconnectHandler<LocalAdapter, ()> for Leaving {
    fn call_with_defer(&self, socket: Arc<Socket>, _: DisconnectReason, defer: fn(Arc<Socket>)) {
        self.0.leave();
        defer(socket);
    }
}

/// Runs when the CONNECT packet was answered: the socket hears events, and its own are handled.
pub async fn open(socket: SocketRef) {
    if let Some(inbox) = socket.extensions.get::<Arc<Inbox>>() {
        inbox.open();
    }
}

/// `auth.token` first, then what the first request brought along.
fn credential(token: &Json, handshake: &Handshake) -> Result<SecretString> {
    match token {
        Json::String(token) if !token.is_empty() => Ok(token.clone().into()),
        Json::String(_) | Json::Null => {
            handshake.credential.clone().ok_or(Error::Unauthenticated(Why::TokenMissing))
        }
        _ => Err(Error::Unauthenticated(Why::TokenInvalid)),
    }
}

fn options(payload: &ConnectPayload) -> ConnectOptions {
    let since = payload.since.iter().flatten();
    ConnectOptions {
        // A room that does not exist is one that the user is not in; neither has anything to send.
        since: since.filter_map(|(room, seq)| Some((room.parse::<RoomId>().ok()?, Seq(*seq)))).collect(),
        catch_up: payload.catch_up.unwrap_or(true),
    }
}

fn receipts(asked: Option<&str>) -> Result<Receipts> {
    match asked {
        None => Ok(Receipts::Acknowledged),
        Some("batched") => Ok(Receipts::Batched),
        Some(_) => Err(Error::invalid("receipts", "can only be \"batched\"")),
    }
}
