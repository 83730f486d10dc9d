//! What all gateways with lasting connections share: a connection as event handlers see it, an event's name
//! and payload, the acknowledgement of an event, the inbox that handles events in order, and the tables that declare
//! events. The wire forms decide what an event means. The gateways decide how it travels.

mod ack;
mod call;
mod declared;
mod inbox;
mod request;

use std::{net::IpAddr, sync::Arc};

pub use self::{
    ack::{Ack, Write},
    call::{Answer, AnswerForm, Call, Response, receive},
    declared::{ClientEvent, Described, Named, ServerEvent},
    inbox::{EventHandler, Inbox, Incoming, Pace, Packet},
    request::Request,
};
pub(in crate::gateway) use self::{
    call::{borrowed_responses, owned_responses},
    declared::{client_events, server_events},
};
use crate::{
    auth::Auth,
    backlog::Backlog,
    chat::{Chat, connections::connection::Connection},
    identity::Caller,
};

/// One connection, as event handlers see it.
pub struct Socket {
    pub connection: Arc<Connection>,
    pub address: IpAddr,
    pub chat: Chat,
    pub auth: Auth,
    /// The bytes that wait for this connection.
    pub backlog: Arc<Backlog>,
}

impl Socket {
    /// Creates the socket of a connection. If too many bytes wait for all clients together, and most of them
    /// wait for this one, it is disconnected, so that its client reconnects.
    pub fn new(
        connection: Arc<Connection>,
        address: IpAddr,
        chat: Chat,
        auth: Auth,
        backlog: Arc<Backlog>,
    ) -> Self {
        // Weak: the backlog lives as long as the TCP connection, and the chat connection ends with the
        // socket.
        let weak = Arc::downgrade(&connection);
        backlog.closes_with(move || {
            if let Some(connection) = weak.upgrade() {
                connection.disconnect("too many bytes wait for all connections");
            }
        });
        Self { connection, address, chat, auth, backlog }
    }

    /// The user of this connection, from the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.connection.caller()
    }
}
