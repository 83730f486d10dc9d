//! The Socket.IO gateway: builds the engine with every transport limit, mounts the namespaces, and
//! knows how to cut a session off.

mod chat_ns;
mod connect;
mod dispatch;
mod encoded;
mod polled;
mod refusal;
mod request;
mod root_ns;
mod sessions;
mod way;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use socketioxide::ParserConfig;

use crate::{
    auth::Auth, backlog::Backlogs, chat::Chat, gateway::events::Pace, limits::PendingConnections,
    shutdown::Shutdown,
};

pub use self::root_ns::Dialects;
pub use self::sessions::Sessions;
use self::{
    encoded::{Namespaces, Sockets},
    request::{Parts, SlimLayer},
};

/// The library's types, with [`Sockets`] as their adapter.
pub type SocketIo = socketioxide::SocketIo<Sockets>;
type Socket = socketioxide::socket::Socket<Sockets>;

/// Engine.IO's own pace, as Node's server has it.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may say nothing complete: a ping and its answer take no longer.
pub const SILENCE: Duration = PING_INTERVAL.saturating_add(PING_TIMEOUT);
/// Binary attachments of one packet; nothing of ours takes any.
const ATTACHMENTS: usize = 10;
/// Bytes of a websocket's read buffer, and of one read. For a larger frame it grows to what was read and the
/// whole frame once more, and stays so: the first frame has a token in it, so from 512 it becomes 1,024 bytes.
const READ_BUFFER: usize = 256;

/// What the gateway needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most bytes of a packet, on every transport.
    pub packet_bytes: usize,
    /// Packets that may wait for one socket; one more and it is cut off.
    pub outgoing_packets: usize,
    /// `response` events that a socket may leave unacknowledged; further ones come without asking.
    pub unacknowledged: usize,
    /// How many events a socket may send.
    pub pace: Pace,
    /// What is spoken in the namespace `/`.
    pub root: Dialects,
    /// How long a request that says something may take to arrive.
    pub request_timeout: Duration,
    /// Sessions that may be open without having joined a namespace.
    pub pending: usize,
    /// The same of one address.
    pub pending_per_address: usize,
    /// How long a connection may stay without joining a namespace.
    pub connect_timeout: Duration,
    /// How long the acknowledgement of a `response` event is waited for.
    pub ack_timeout: Duration,
    /// Whose word on a client's address is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

/// What every socket of the gateway works with.
#[derive(Clone)]
struct Gateway {
    chat: Chat,
    auth: Auth,
    shutdown: Shutdown,
    sessions: Sessions,
    io: SocketIo,
    namespaces: Namespaces,
    settings: Arc<Settings>,
}

/// The gateway, ready to be served.
pub struct Built {
    pub router: Router,
    /// Closes all sessions.
    pub io: SocketIo,
    /// Knows the sessions that were upgraded.
    pub sessions: Sessions,
}

/// Builds the gateway. What waits for its sessions is counted in `backlogs`.
pub fn routes(chat: Chat, auth: Auth, shutdown: Shutdown, backlogs: Backlogs, settings: Settings) -> Built {
    let count = chat.counts().pending_connections.clone();
    let pending = PendingConnections::new(settings.pending, settings.pending_per_address, count);
    let parser = ParserConfig::common()
        .max_incoming_binaries(ATTACHMENTS)
        .max_incoming_binary_buf_size(settings.packet_bytes)
        .packet_completion_timeout(settings.connect_timeout);
    let namespaces = Namespaces::default();
    let (service, io) = socketioxide::SocketIo::builder()
        .req_path("/socket.io")
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .max_payload(settings.packet_bytes as u64)
        // The library does not derive these from the above.
        .ws_max_message_size(settings.packet_bytes)
        .ws_max_frame_size(settings.packet_bytes)
        .ws_read_buffer_size(READ_BUFFER)
        .max_buffer_size(settings.outgoing_packets)
        .connect_timeout(settings.connect_timeout)
        .ack_timeout(settings.ack_timeout)
        .with_parser(parser)
        .with_adapter::<Sockets>(namespaces.clone())
        .build_svc();
    let sessions = Sessions::new(service.clone(), shutdown.clone());
    let settings = Arc::new(settings);
    let slim = SlimLayer::new(Parts {
        sessions: sessions.clone(),
        settings: settings.clone(),
        engine_sessions: chat.counts().engine_sessions.clone(),
        backlogs,
        pending,
    });
    let gateway =
        Gateway { chat, auth, shutdown, sessions: sessions.clone(), io: io.clone(), namespaces, settings };
    chat_ns::mount(&io, gateway.clone());
    if gateway.settings.root.rooms || gateway.settings.root.lobby {
        root_ns::mount(&io, gateway);
    }
    let service = tower::Layer::layer(&slim, service);
    let router =
        Router::new().route_service("/socket.io", service.clone()).route_service("/socket.io/", service);
    Built { router, io, sessions }
}
