//! The Socket.IO gateway: builds the engine with every transport limit, mounts the namespaces, and can
//! disconnect a session.

mod adapter;
mod chat_ns;
mod connect;
mod dispatch;
mod engine_layer;
mod engine_stream;
mod handshake;
mod packets;
mod polled;
mod probe;
mod refusal;
mod refused;
pub mod root;
mod route;
mod sessions;
mod socket_handle;
mod upgrade_stage;
mod websocket;

use std::sync::Arc;

use axum::Router;
use socketioxide::ParserConfig;
use tower::Layer;

use crate::{
    auth::Auth,
    backlog::Backlogs,
    chat::Chat,
    config::{LimitsConfig, ServerConfig},
    gateway::native::LateAcks,
    limits::PendingConnections,
    shutdown::Shutdown,
};

pub use self::sessions::Sessions;
use self::{
    adapter::{Namespaces, Sockets},
    engine_layer::EngineLayer,
    handshake::Handshakes,
    root::RootDialect,
};

/// The library's types, with [`Sockets`] as their adapter.
pub type SocketIo = socketioxide::SocketIo<Sockets>;
type RawSocket = socketioxide::socket::Socket<Sockets>;

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
    late_acks: LateAcks,
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
    let (limits, server) = (&settings.limits, &settings.server);
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
        .ping_interval(server.ping_interval)
        .ping_timeout(server.ping_timeout)
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
    sessions.watch();
    let settings = Arc::new(settings);
    let late_acks = LateAcks::default();
    late_acks.watch(&shutdown);
    let handshakes = Handshakes {
        settings: settings.clone(),
        engine_sessions: chat.counts().engine_sessions.clone(),
        backlogs,
        pending,
    };
    let service =
        EngineLayer::new(sessions.clone(), handshakes, settings.server.request_timeout).layer(service);
    let gateway = Gateway {
        chat,
        auth,
        shutdown,
        sessions: sessions.clone(),
        io: io.clone(),
        namespaces,
        settings,
        late_acks,
    };
    chat_ns::mount(&io, gateway.clone());
    root::mount(&io, gateway, front_ends);
    let router =
        Router::new().route_service("/socket.io", service.clone()).route_service("/socket.io/", service);
    Built { router, io, sessions }
}
