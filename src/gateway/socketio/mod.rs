//! The Socket.IO gateway: builds the engine with every transport limit, mounts the namespaces, and can
//! disconnect a session.

mod adapter;
mod chat_ns;
mod connect;
mod dispatch;
mod handshake;
mod polled;
mod refusal;
pub mod root;
mod sessions;
mod socket_handle;

use std::{sync::Arc, time::Duration};

use axum::Router;
use socketioxide::ParserConfig;

use crate::{
    auth::Auth,
    backlog::Backlogs,
    chat::Chat,
    config::{LimitsConfig, ServerConfig},
    limits::PendingConnections,
    shutdown::Shutdown,
};

pub use self::sessions::Sessions;
use self::{
    adapter::{Namespaces, Sockets},
    handshake::{EngineParts, SlimLayer},
    root::RootDialect,
};

/// The library's types, with [`Sockets`] as their adapter.
pub type SocketIo = socketioxide::SocketIo<Sockets>;
type Socket = socketioxide::socket::Socket<Sockets>;

/// Engine.IO's intervals, with the values of the Node server.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may send nothing complete. A ping and its answer take no longer.
pub const SILENCE: Duration = PING_INTERVAL.saturating_add(PING_TIMEOUT);
/// The most binary attachments of one packet. No event of this server takes any.
const ATTACHMENTS: usize = 10;
/// The size in bytes of a websocket's read buffer, and of one read. For a larger frame, the buffer grows to
/// the bytes read plus the whole frame, and keeps that size. The first frame contains a token, so a buffer of
/// 512 would become 1,024 bytes.
const READ_BUFFER: usize = 256;

/// The parts of the configuration that the gateway uses.
#[derive(Clone, Debug)]
pub struct SocketIoSettings {
    pub limits: LimitsConfig,
    pub server: ServerConfig,
}

/// What every socket of the gateway uses.
#[derive(Clone)]
struct Gateway {
    chat: Chat,
    auth: Auth,
    shutdown: Shutdown,
    sessions: Sessions,
    io: SocketIo,
    namespaces: Namespaces,
    settings: Arc<SocketIoSettings>,
}

/// The gateway, ready to be served.
pub struct Built {
    pub router: Router,
    /// Closes all sessions.
    pub io: SocketIo,
    /// Knows the sessions that were upgraded.
    pub sessions: Sessions,
}

/// Builds the gateway. The waiting bytes of its sessions are counted in `backlogs`. The `front_ends` share
/// the namespace `/`.
pub fn routes(
    chat: Chat,
    auth: Auth,
    shutdown: Shutdown,
    backlogs: Backlogs,
    settings: SocketIoSettings,
    front_ends: Vec<Arc<dyn RootDialect>>,
) -> Built {
    let limits = &settings.limits;
    let count = chat.counts().pending_connections.clone();
    let pending =
        PendingConnections::new(limits.pending_connections, limits.pending_connections_per_address, count);
    let parser = ParserConfig::common()
        .max_incoming_binaries(ATTACHMENTS)
        .max_incoming_binary_buf_size(limits.packet_bytes)
        .packet_completion_timeout(limits.connect_timeout);
    let namespaces = Namespaces::default();
    let (service, io) = socketioxide::SocketIo::builder()
        .req_path("/socket.io")
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .max_payload(limits.packet_bytes as u64)
        // The library does not derive these from the above.
        .ws_max_message_size(limits.packet_bytes)
        .ws_max_frame_size(limits.packet_bytes)
        .ws_read_buffer_size(READ_BUFFER)
        .max_buffer_size(limits.outgoing_packets)
        .connect_timeout(limits.connect_timeout)
        .ack_timeout(limits.ack_timeout)
        .with_parser(parser)
        .with_adapter::<Sockets>(namespaces.clone())
        .build_svc();
    let sessions = Sessions::new(service.clone(), shutdown.clone());
    let settings = Arc::new(settings);
    let slim = SlimLayer::new(EngineParts {
        sessions: sessions.clone(),
        settings: settings.clone(),
        engine_sessions: chat.counts().engine_sessions.clone(),
        backlogs,
        pending,
    });
    let gateway =
        Gateway { chat, auth, shutdown, sessions: sessions.clone(), io: io.clone(), namespaces, settings };
    chat_ns::mount(&io, gateway.clone());
    root::mount(&io, gateway, front_ends);
    let service = tower::Layer::layer(&slim, service);
    let router =
        Router::new().route_service("/socket.io", service.clone()).route_service("/socket.io/", service);
    Built { router, io, sessions }
}
