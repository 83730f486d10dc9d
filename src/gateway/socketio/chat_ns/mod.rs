//! The namespace `/chat`: a native client comes in.

mod outlet;
mod promises;

use std::sync::Arc;

use socketioxide::{ParserError, extract::TryData, handler::ConnectHandler};

use self::outlet::ChatOutlet;
use super::{
    Gateway, Socket, SocketIo,
    connect::{self, Departs, Handle, Open, Shown},
    refusal::Refused,
    request::Handshake,
    way::Way,
};
use crate::{
    error::{Error, Result},
    gateway::native::{Native, Wishes},
};

impl Departs for Native {}

const PATH: &str = "/chat";

/// What a client passes as `auth`, read once for each: as one, with `flatten`, it would be copied before it is
/// looked at. Fields that nobody asked for are let be.
type Payload = Result<(Shown, Wishes), ParserError>;

pub fn mount(io: &SocketIo, gateway: Gateway) {
    let enter = async move |Handle(socket), TryData(shown), TryData(wishes)| {
        enter(gateway, socket, shown.and_then(|shown| Ok((shown, wishes?)))).await
    };
    io.ns(PATH, Open::<Native>::new().with(enter));
}

/// Runs before the CONNECT packet is answered; what it refuses becomes a `connect_error`.
async fn enter(gateway: Gateway, socket: Arc<Socket>, payload: Payload) -> Result<(), Refused> {
    let admit = async |handshake| admit(&gateway, &socket, handshake, payload).await;
    Ok(connect::enter(&gateway, &socket, admit).await?)
}

async fn admit(
    gateway: &Gateway,
    socket: &Arc<Socket>,
    handshake: Arc<Handshake>,
    payload: Payload,
) -> Result<()> {
    let (shown, wishes) = payload.map_err(|err| Error::invalid("auth", err.to_string()))?;
    let (options, receipts) = (wishes.options(), wishes.receipts()?);
    let caller = connect::caller(gateway, &shown, &handshake).await?;
    let way = Way::new(gateway, socket, &handshake, PATH)?;
    let outlet = Box::new(ChatOutlet::new(gateway, way, receipts));
    connect::connect(gateway, socket, &handshake, caller, outlet, options, Native).await
}
