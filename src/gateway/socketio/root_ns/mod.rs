//! The namespace `/`, where two front ends of the seeds meet: the React rooms app (protocol.md part 4.2,
//! [`rooms`]) and the lobby (4.3, [`lobby`]). Neither says which it is; the first event that only one
//! of them knows tells. Until then a socket hears both.

mod joined;
mod lobby;
mod outlet;
mod rooms;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use serde::Serialize;
use socketioxide::{
    ParserError, SocketIo,
    extract::TryData,
    handler::ConnectHandler,
    socket::{DisconnectReason, Socket as Raw},
};

use self::{
    joined::{Kept, Visit},
    outlet::RootOutlet,
};
use super::{
    Gateway,
    connect::{self, Departs, Handle, Shown},
    request::Handshake,
    way::Way,
};
use crate::{
    chat::{caller::Caller, connection::ConnectOptions},
    error::{Error, Noun, Result},
    gateway::{
        events::{Ack, Dialect, Request, Socket},
        wire::Refusal,
    },
};

const PATH: &str = "/";

/// Which of the two are switched on.
#[derive(Clone, Copy, Debug)]
pub struct Dialects {
    pub rooms: bool,
    pub lobby: bool,
}

/// Which of the two a socket speaks, as far as it is known.
pub struct Spoken(AtomicU8);

const ANY: u8 = 0;
const ROOMS: u8 = 1;
const LOBBY: u8 = 2;

impl Spoken {
    fn new(on: Dialects) -> Self {
        Self(AtomicU8::new(match on {
            Dialects { rooms: true, lobby: false } => ROOMS,
            Dialects { rooms: false, lobby: true } => LOBBY,
            _ => ANY,
        }))
    }

    fn hears_rooms(&self) -> bool {
        self.0.load(Ordering::Relaxed) != LOBBY
    }

    fn hears_lobby(&self) -> bool {
        self.0.load(Ordering::Relaxed) != ROOMS
    }

    fn is(&self, spoken: u8) {
        self.0.store(spoken, Ordering::Relaxed);
    }
}

/// What one socket says.
struct Root {
    on: Dialects,
    spoken: Arc<Spoken>,
    visit: Visit,
}

impl Dialect for Root {
    async fn handle(&self, socket: &Socket, request: Request<'_>, ack: Ack) {
        if self.on.rooms && rooms::knows(request.event) {
            self.spoken.is(ROOMS);
            rooms::handle(socket, &self.visit, request, ack).await;
        } else if self.on.lobby && lobby::knows(request.event) {
            self.spoken.is(LOBBY);
            lobby::handle(socket, request, ack).await;
        } else {
            self.refuse(ack, &Error::NotFound(Noun::Event));
        }
    }

    fn refuse(&self, ack: Ack, error: &Error) {
        fail(ack, error);
    }
}

impl Departs for Root {
    fn depart(&self, reason: DisconnectReason) {
        self.visit.over(reason);
    }
}

/// How both dialects answer a failure; success is answered with the bare value.
#[derive(Serialize)]
struct Failure {
    error: Refusal,
}

fn fail(ack: Ack, error: &Error) {
    ack.refuse(error, |error| Failure { error: Refusal::of(error) });
}

fn answer<T: Serialize>(ack: Ack, result: Result<T>) {
    match result {
        Ok(value) => ack.answer(&value),
        Err(err) => fail(ack, &err),
    }
}

/// Whatever the reason: the front ends compare the words.
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

pub fn mount(io: &SocketIo, gateway: Gateway) {
    let kept = Kept::new(gateway.chat.counts().last_joined.clone());
    let enter = async move |Handle(socket), TryData(payload)| enter(gateway, kept, socket, payload).await;
    io.ns(PATH, connect::Opens::<Root>::new().with(enter));
}

async fn enter(
    gateway: Gateway,
    kept: Kept,
    socket: Arc<Raw>,
    payload: Result<Shown, ParserError>,
) -> Result<(), NotAuthorized> {
    let admit = async |handshake| admit(&gateway, kept, &socket, handshake, payload).await;
    Ok(connect::enter(&gateway, &socket, admit).await?)
}

/// Gives a socket what its user's last one had joined, if the server was started only a moment ago and
/// knows of it no more than was noted; what was noted earlier is over.
async fn restore(gateway: &Gateway, kept: &Kept, caller: &Caller, visit: &Visit) -> Result<()> {
    let rooms = gateway.chat.noted_as_joined(caller).await?;
    if kept.may_come_back() {
        for room in rooms {
            visit.join(room);
        }
    } else if !rooms.is_empty() {
        gateway.chat.forget_joined(caller).await?;
    }
    Ok(())
}

async fn admit(
    gateway: &Gateway,
    kept: Kept,
    socket: &Arc<Raw>,
    handshake: Arc<Handshake>,
    payload: Result<Shown, ParserError>,
) -> Result<()> {
    let shown = payload.map_err(|err| Error::invalid("auth", err.to_string()))?;
    let caller = connect::caller(gateway, &shown, &handshake).await?;
    let on = gateway.settings.root;
    let spoken = Arc::new(Spoken::new(on));
    let visit = Visit::begin(kept.clone(), caller.user);
    if on.rooms && visit.is_news {
        restore(gateway, &kept, &caller, &visit).await?;
    }
    let way = Way::new(gateway, socket, &handshake, PATH);
    let outlet = Box::new(RootOutlet::new(way, spoken.clone(), visit.joined()));
    // The front ends load what was said by themselves, and leave sockets open.
    let options = ConnectOptions { gives_way: true, ..ConnectOptions::live_only() };
    let dialect = Root { on, spoken, visit };
    connect::connect(gateway, socket, &handshake, caller, outlet, options, dialect).await
}
