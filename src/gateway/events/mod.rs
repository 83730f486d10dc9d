//! What every gateway with lasting connections shares: a connection as the functions behind its
//! events see it, an event's name and payload, the way to answer it, and the inbox that has them
//! handled in order. What an event means is left to the wire forms, how it travels to the gateways.

mod ack;
mod inbox;
mod request;

use std::{net::IpAddr, sync::Arc};

pub use self::{
    ack::{Ack, Write},
    inbox::{Dialect, Inbox, Incoming, Pace, Packet},
    request::Request,
};
use crate::{
    auth::Auth,
    chat::{Chat, caller::Caller, connection::Connection},
};

/// One connection, as the functions behind its events see it.
pub struct Socket {
    pub connection: Arc<Connection>,
    pub address: IpAddr,
    pub chat: Chat,
    pub auth: Auth,
}

impl Socket {
    /// Who is on it, by the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.connection.caller()
    }
}
