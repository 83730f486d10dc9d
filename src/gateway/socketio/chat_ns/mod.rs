//! The namespace `/chat`: a native client comes in.

mod outlet;
mod promises;

use std::sync::Arc;

use serde::Deserialize;
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

/// What a client passes as `auth`. Fields that nobody asked for are let be.
#[derive(Default, Deserialize)]
struct ConnectPayload {
    #[serde(flatten)]
    shown: Shown,
    #[serde(flatten)]
    wishes: Wishes,
}

pub fn mount(io: &SocketIo, gateway: Gateway) {
    let enter = async move |Handle(socket), TryData(payload)| enter(gateway, socket, payload).await;
    io.ns(PATH, Open::<Native>::new().with(enter));
}

/// Runs before the CONNECT packet is answered; what it refuses becomes a `connect_error`.
async fn enter(
    gateway: Gateway,
    socket: Arc<Socket>,
    payload: Result<ConnectPayload, ParserError>,
) -> Result<(), Refused> {
    let admit = async |handshake| admit(&gateway, &socket, handshake, payload).await;
    Ok(connect::enter(&gateway, &socket, admit).await?)
}

async fn admit(
    gateway: &Gateway,
    socket: &Arc<Socket>,
    handshake: Arc<Handshake>,
    payload: Result<ConnectPayload, ParserError>,
) -> Result<()> {
    let payload = payload.map_err(|err| Error::invalid("auth", err.to_string()))?;
    let (options, receipts) = (payload.wishes.options(), payload.wishes.receipts()?);
    let caller = connect::caller(gateway, &payload.shown, &handshake).await?;
    let way = Way::new(gateway, socket, &handshake, PATH)?;
    let outlet = Box::new(ChatOutlet::new(gateway, way, receipts));
    connect::connect(gateway, socket, &handshake, caller, outlet, options, Native).await
}
