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
    backlog::Backlog,
    chat::{Chat, caller::Caller, connection::Connection},
};

/// One connection, as the functions behind its events see it.
pub struct Socket {
    pub connection: Arc<Connection>,
    pub address: IpAddr,
    pub chat: Chat,
    pub auth: Auth,
    /// The bytes that wait for it.
    pub backlog: Arc<Backlog>,
}

impl Socket {
    /// A connection that is cut, so that its client reconnects, when more bytes wait for all clients than
    /// may, and most of them for this one.
    pub fn new(
        connection: Arc<Connection>,
        address: IpAddr,
        chat: Chat,
        auth: Auth,
        backlog: Arc<Backlog>,
    ) -> Self {
        // Weak: the backlog lives as long as the line, and the connection ends with the socket.
        let fattest = Arc::downgrade(&connection);
        backlog.closes_with(move || {
            if let Some(connection) = fattest.upgrade() {
                connection.cut("too many bytes wait for all connections");
            }
        });
        Self { connection, address, chat, auth, backlog }
    }

    /// Who is on it, by the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.connection.caller()
    }
}
