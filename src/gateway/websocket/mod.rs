//! Plain WebSockets (protocol.md part 4.4), in two wire forms: the native events as JSON frames ([`plain`]),
//! and the frames of the end-to-end encrypted app ([`encrypted`]). What they share stands here: the
//! handshake (`upgrade`), one task for each websocket (`pump`) and its queue (`outgoing`), and the codes
//! of goodbye (`close`).

mod close;
pub mod encrypted;
mod outgoing;
pub mod plain;
mod pump;
mod upgrade;

use std::{sync::Arc, time::Duration};

use axum::extract::FromRef;
use http::{HeaderMap, Uri};

use crate::{
    backlog::Backlogs,
    chat::{
        caller::Caller,
        connection::{ConnectOptions, Outlet},
    },
    error::{Error, Result, Why},
    gateway::{
        credential,
        events::{Dialect, Inbox, Pace, Packet, Socket},
        http::{Http, extract::Client},
    },
    shutdown::Shutdown,
};

/// What of the configuration websockets go by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most bytes of a message, in however many frames.
    pub packet_bytes: usize,
    /// Messages that may wait for one websocket; one more and it is cut off.
    pub outgoing_packets: usize,
    /// Bytes that may wait for one websocket; more close it.
    pub outgoing_bytes: usize,
    /// `response` events that a websocket may leave unacknowledged; further ones come without asking.
    pub unacknowledged: usize,
    /// How long the acknowledgement of a `response` event is waited for.
    pub ack_timeout: Duration,
    /// How many events a websocket may send.
    pub pace: Pace,
}

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct WebSockets {
    pub http: Http,
    pub shutdown: Shutdown,
    pub backlogs: Backlogs,
    pub settings: Arc<Settings>,
}

impl FromRef<WebSockets> for Http {
    fn from_ref(sockets: &WebSockets) -> Self {
        sockets.http.clone()
    }
}

impl WebSockets {
    /// Who asks for a connection, by the credential of the request, which may be used up by it.
    async fn caller(&self, uri: &Uri, headers: &HeaderMap, client: Client) -> Result<Caller> {
        let found = credential::from_request(uri, headers);
        let found = found.ok_or(Error::Unauthenticated(Why::TokenMissing))?;
        self.http.auth.credential(found, client.address).await
    }

    /// Connects a websocket to the core. It is let go of when the inbox is dropped.
    ///
    /// In a task of its own: a client that hangs up meanwhile has the handler dropped where it stands, and
    /// a connection that is half in would stay.
    async fn connect<P: Packet, D: Dialect>(
        &self,
        caller: Caller,
        outlet: impl Outlet,
        options: ConnectOptions,
        dialect: D,
    ) -> Result<Arc<Inbox<P, D>>> {
        let backlog = outlet.backlog().clone();
        let Http { chat, auth, .. } = self.http.clone();
        let (shutdown, pace) = (self.shutdown.clone(), self.settings.pace);
        let connecting = self.shutdown.spawn(async move {
            let address = caller.address;
            let connection = chat.connect(caller, Box::new(outlet), options).await?;
            let socket = Socket::new(connection, address, chat, auth, backlog);
            Ok(Inbox::new(socket, dialect, shutdown, pace))
        });
        connecting.await.map_err(Error::internal)?
    }
}
