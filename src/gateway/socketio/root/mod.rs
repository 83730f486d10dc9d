//! The namespace `/`, which several front ends share. A client does not say which front end it is. The first
//! event that only one front end knows identifies it. Until then, a socket receives the events of all of
//! them. `app` passes the front ends in.

mod outlet;
mod private_id;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde::Serialize;
use serde_json::value::to_raw_value;
use socketioxide::{ParserError, extract::TryData, handler::ConnectHandler};
use utoipa::ToSchema;

pub use self::private_id::ReturningClient;
pub use super::adapter::Encoded;
pub use socketioxide::socket::DisconnectReason;

use self::{outlet::RootOutlet, private_id::PrivateId};
use super::{
    Gateway, RawSocket, SocketIo,
    connect::{self, AuthPayload, Departs, Handle, OpenOnConnect},
    handshake::Handshake,
    socket_handle::SocketHandle,
};
use crate::{
    chat::{Chat, connections::connection::ConnectOptions, event::Envelope},
    error::{Entity, Error, Result},
    gateway::{
        events::{Ack, AnswerForm, EventHandler, Named, Request, Response, Socket},
        wire::Refusal,
    },
    identity::Caller,
};

const PATH: &str = "/";

/// The future type for a trait that is used as an object.
pub type Boxed<'a, T> = futures_util::future::BoxFuture<'a, T>;

/// A front end that connects to the namespace `/`.
pub trait RootDialect: Send + Sync {
    /// Creates the state of a user's socket. The socket may later turn out to belong to another front end.
    /// `client` is `None` for a client that cannot be recognised when it returns.
    fn connect<'a>(
        &'a self,
        chat: &'a Chat,
        caller: &'a Caller,
        client: Option<ReturningClient>,
    ) -> Boxed<'a, Result<Box<dyn RootSocket>>>;
}

/// The state of a front end for one socket.
pub trait RootSocket: Send + Sync {
    /// Whether the front end sends this event.
    fn knows(&self, event: &str) -> bool;

    /// Handles an event for which `knows` returns true, and answers it in the form of [`RootForm`].
    fn handle<'a>(&'a self, socket: &'a Socket, request: Request<'a>, ack: Ack) -> Boxed<'a, ()>;

    /// What the socket receives for an event of the core. `is_own`: the event was caused by this socket.
    fn render<'a>(&self, envelope: &'a Envelope, is_own: bool) -> Option<&'a Encoded>;

    /// The socket has disconnected.
    fn depart(&self, _reason: DisconnectReason) {}
}

/// The front ends that a socket may belong to, and the one that it belongs to, once that is known.
struct FrontEnds {
    all: Vec<Box<dyn RootSocket>>,
    known: OnceLock<usize>,
}

impl FrontEnds {
    /// The front ends that the socket may belong to.
    fn possible(&self) -> impl Iterator<Item = &dyn RootSocket> {
        let known = self.known.get();
        let all = self.all.iter().enumerate();
        all.filter(move |(number, _)| known.is_none_or(|known| known == number))
            .map(|(_, front_end)| &**front_end)
    }
}

/// Handles the events that one socket sends.
struct Root(Arc<FrontEnds>);

impl EventHandler for Root {
    async fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) {
        let FrontEnds { all, known } = &*self.0;
        let Some(number) = all.iter().position(|front_end| front_end.knows(request.event)) else {
            return RootForm::fail(ack, &Error::NotFound(Entity::Event));
        };
        known.get_or_init(|| number);
        if let Some(front_end) = all.get(number) {
            front_end.handle(socket, request, ack).await;
        }
    }

    fn refuse(&self, ack: Ack, error: &Error) {
        RootForm::fail(ack, error);
    }
}

impl Departs for Root {
    fn depart(&self, reason: DisconnectReason) {
        for front_end in &self.0.all {
            front_end.depart(reason);
        }
    }
}

/// The answer to an event that was refused. Nothing has changed. The answer to a successful event is the bare value.
#[derive(Serialize, ToSchema)]
pub struct RootFailure {
    error: Refusal,
}

/// The form of the answers in this namespace.
pub struct RootForm;

impl AnswerForm for RootForm {
    fn succeed(ack: Ack, response: &impl Serialize) {
        ack.answer(response);
    }

    fn fail(ack: Ack, error: &Error) {
        ack.refuse(error, |error| RootFailure { error: Refusal::of(error) });
    }
}

/// An event of this namespace.
pub fn event<P: Response>(event: Named<P>, payload: &P::View<'_>) -> Option<Encoded> {
    let name = event.name;
    to_raw_value(payload)
        .inspect_err(|err| tracing::error!(error = %err, event = name, "could not render an event"))
        .ok()
        .map(|payload| Encoded::event(PATH, name, &payload))
}

/// The same text for every reason, because the front ends compare it.
#[derive(Debug)]
struct NotAuthorized;

impl From<Error> for NotAuthorized {
    fn from(error: Error) -> Self {
        tracing::debug!(code = error.code(), "refused a socket");
        Self
    }
}

impl fmt::Display for NotAuthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Not Authorized")
    }
}

/// Serves the namespace for these front ends. Without front ends, the namespace does not exist.
pub(super) fn mount(io: &SocketIo, gateway: Gateway, front_ends: Vec<Arc<dyn RootDialect>>) {
    if front_ends.is_empty() {
        return;
    }
    let front_ends: Arc<[_]> = front_ends.into();
    let enter =
        async move |Handle(socket), TryData(payload)| enter(gateway, &front_ends, socket, payload).await;
    io.ns(PATH, OpenOnConnect::<Root>::new().with(enter));
}

async fn enter(
    gateway: Gateway,
    front_ends: &[Arc<dyn RootDialect>],
    socket: Arc<RawSocket>,
    payload: Result<AuthPayload, ParserError>,
) -> Result<(), NotAuthorized> {
    let admit = async |handshake| admit(&gateway, front_ends, &socket, handshake, payload).await;
    Ok(connect::enter(&gateway, &socket, admit).await?)
}

async fn admit(
    gateway: &Gateway,
    front_ends: &[Arc<dyn RootDialect>],
    socket: &Arc<RawSocket>,
    handshake: Arc<Handshake>,
    payload: Result<AuthPayload, ParserError>,
) -> Result<()> {
    let auth = payload.map_err(|err| Error::invalid("auth", err.to_string()))?;
    let caller = connect::caller(gateway, &auth, &handshake).await?;
    // A page that is identified by a cookie has nothing to return to.
    let private_id = auth.has_token().then(|| PrivateId::of_client(auth.pid())).transpose()?;
    let client = private_id.as_ref().map(PrivateId::client);
    let mut all = Vec::with_capacity(front_ends.len());
    for front_end in front_ends {
        all.push(front_end.connect(&gateway.chat, &caller, client).await?);
    }
    if let Some(private_id) = private_id {
        let sid = socket.id.to_string();
        let answer = private_id.in_answer(&sid)?;
        gateway.sessions.replace(&sid, handshake.websocket.as_ref(), answer);
    }
    let all = Arc::new(FrontEnds { all, known: OnceLock::new() });
    let handle = SocketHandle::new(gateway, socket, &handshake, PATH)?;
    let route = handle.route().clone();
    let outlet = Box::new(RootOutlet::new(handle, all.clone()));
    // The front ends load the history themselves.
    let options = ConnectOptions::live_only();
    connect::connect(gateway, socket, &handshake, caller, (outlet, route), options, Root(all)).await
}
