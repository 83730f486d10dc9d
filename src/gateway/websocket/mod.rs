//! Plain WebSockets (docs/events.md). [`plain`] carries the native events as JSON frames. Dialects add
//! wire forms of their own. The wire forms share the handshake ([`upgrade`]), the task that serves one
//! websocket ([`pump`]), its queue ([`outgoing`]) and the close codes ([`close`]).

pub mod close;
pub mod outgoing;
pub mod plain;
pub mod pump;
pub mod upgrade;

use std::sync::Arc;

use axum::extract::FromRef;
use http::{HeaderMap, Uri};

use self::pump::Heartbeat;
use super::{
    credential,
    events::{EventHandler, Inbox, Pace, Packet, Socket},
    http::{Http, extract::Client},
    native::LateAcks,
};
use crate::{
    backlog::Backlogs,
    chat::connections::connection::{ConnectOptions, Outlet},
    config::LimitsConfig,
    error::{AuthError, Error, Result},
    identity::Caller,
    shutdown::Shutdown,
};

/// What the handlers use. Cheap to clone.
#[derive(Clone)]
pub struct WebSockets {
    pub http: Http,
    pub shutdown: Shutdown,
    pub backlogs: Backlogs,
    pub limits: Arc<LimitsConfig>,
    pub heartbeat: Heartbeat,
    pub late_acks: LateAcks,
}

impl FromRef<WebSockets> for Http {
    fn from_ref(sockets: &WebSockets) -> Self {
        sockets.http.clone()
    }
}

impl WebSockets {
    /// The caller, by the credential of the request. A ticket is used up by this call.
    pub async fn caller(&self, uri: &Uri, headers: &HeaderMap, client: Client) -> Result<Caller> {
        let found = credential::from_request(uri, headers);
        let found = found.ok_or(Error::Unauthenticated(AuthError::TokenMissing))?;
        self.http.auth.credential(found, &client.device(headers)).await
    }

    /// Connects a websocket to the core. It disconnects when the inbox is dropped.
    ///
    /// This runs in its own task. If the client hangs up meanwhile, the handler is dropped wherever it waits,
    /// and a half connected client would stay in the core.
    pub async fn connect<P: Packet, D: EventHandler>(
        &self,
        caller: Caller,
        outlet: impl Outlet,
        options: ConnectOptions,
        handler: D,
    ) -> Result<Arc<Inbox<P, D>>> {
        let backlog = outlet.backlog().clone();
        let Http { chat, auth, .. } = self.http.clone();
        let (shutdown, pace) = (self.shutdown.clone(), Pace::of(&self.limits));
        let connecting = self.shutdown.spawn(async move {
            let address = caller.address;
            let connection = chat.connect(caller, Box::new(outlet), options).await?;
            let socket = Socket::new(connection, address, chat, auth, backlog);
            Ok(Inbox::new(socket, handler, shutdown, pace))
        });
        connecting.await.map_err(Error::internal)?
    }
}
