//! The namespace `/chat`, for native clients.

mod ack_task;
mod outlet;
mod own_acks;

use std::sync::Arc;

use socketioxide::{ParserError, extract::TryData, handler::ConnectHandler};

use self::outlet::ChatOutlet;
use super::{
    Gateway, RawSocket, SocketIo,
    connect::{self, AuthPayload, Departs, Handle, OpenOnConnect},
    handshake::Handshake,
    refusal::ConnectError,
    socket_handle::SocketHandle,
};
use crate::{
    error::{Error, Result},
    gateway::native::{ConnectParameters, Native},
};

impl Departs for Native {}

const PATH: &str = "/chat";

/// What a client passes as `auth`, decoded once for each of the two types. One type with `flatten` would copy
/// the payload first. Unknown fields are ignored.
type Payload = Result<(AuthPayload, ConnectParameters), ParserError>;

pub fn mount(io: &SocketIo, gateway: Gateway) {
    let enter = async move |Handle(socket), TryData(shown), TryData(parameters)| {
        enter(gateway, socket, shown.and_then(|shown| Ok((shown, parameters?)))).await
    };
    io.ns(PATH, OpenOnConnect::<Native>::new().with(enter));
}

/// Runs before the CONNECT packet is answered. A refusal becomes a `connect_error`.
async fn enter(gateway: Gateway, socket: Arc<RawSocket>, payload: Payload) -> Result<(), ConnectError> {
    let admit = async |handshake| admit(&gateway, &socket, handshake, payload).await;
    Ok(connect::enter(&gateway, &socket, admit).await?)
}

async fn admit(
    gateway: &Gateway,
    socket: &Arc<RawSocket>,
    handshake: Arc<Handshake>,
    payload: Payload,
) -> Result<()> {
    let (shown, parameters) = payload.map_err(|err| Error::invalid("auth", err.to_string()))?;
    let (options, receipts) = (parameters.options(), parameters.receipts()?);
    let caller = connect::caller(gateway, &shown, &handshake).await?;
    let handle = SocketHandle::new(gateway, socket, &handshake, PATH)?;
    let route = handle.route().clone();
    let outlet = Box::new(ChatOutlet::new(gateway, handle, receipts));
    connect::connect(gateway, socket, &handshake, caller, (outlet, route), options, Native).await
}
