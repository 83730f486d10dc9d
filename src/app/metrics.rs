//! The metrics, as text. What is counted where it happens is in `crate::metrics`; the state of the server is asked for
//! at each scrape.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Once},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Registry,
};

use crate::{
    chat::Chat,
    gateway::{rest, socketio},
    metrics::{self, HTTP_TIME, show},
    telemetry,
};

/// The wire forms of connections. They are shown before the first connection, too.
const GATEWAYS: [&str; 4] = ["chat", "root", "websocket", "encrypted"];

/// Renders the metrics.
pub(super) fn render(chat: &Chat, sessions: socketio::Sessions) -> rest::RenderMetrics {
    static ROUTES: Once = Once::new();
    ROUTES.call_once(|| {
        for (method, route) in rest::declared_routes() {
            HTTP_TIME.declare(&method, &route);
        }
    });
    let mut registry = Registry::default();
    let build =
        [("version", env!("CARGO_PKG_VERSION")), ("commit", telemetry::COMMIT), ("date", telemetry::DATE)];
    let help = "The version of the program, and what it was built from";
    registry.register("parlor_build", help, Info::new(build));
    registry.register_collector(Box::new(ServerState { chat: chat.clone(), sessions }));
    metrics::register(&mut registry);
    Arc::new(move || metrics::text_of(&registry))
}

/// The state of one server.
struct ServerState {
    chat: Chat,
    sessions: socketio::Sessions,
}

/// Collectors have to have it; the fields have none.
impl fmt::Debug for ServerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerState").finish_non_exhaustive()
    }
}

impl Collector for ServerState {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        gauges(&mut encoder, &self.chat, &self.sessions)?;
        let help = "Lines of the log that nobody could take in time.";
        show(&mut encoder, "parlor_log_lines_lost", help, &ConstCounter::new(telemetry::lost_lines()))
    }
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, chat: &Chat, sessions: &socketio::Sessions) -> fmt::Result {
    let gauges = chat.gauges();
    let counts = chat.counts();
    for (name, help, value) in [
        ("parlor_connections", "Connected sockets, on every wire form.", gauges.connections),
        ("parlor_users_online", "Users with a connection, or who had one a moment ago.", gauges.users_online),
        ("parlor_tcp_connections", "TCP connections of every kind.", counts.tcp_connections.now()),
        (
            "parlor_engine_sessions",
            "Socket.IO sessions, in a namespace or not.",
            counts.engine_sessions.now(),
        ),
        (
            "parlor_engine_sessions_upgraded",
            "Socket.IO sessions that began with polling and changed to a websocket.",
            sessions.upgraded(),
        ),
        (
            "parlor_pending_connections",
            "Socket.IO sessions that have joined no namespace.",
            counts.pending_connections.now(),
        ),
        ("parlor_outgoing_bytes", "Bytes that wait for TCP connections.", counts.outgoing_bytes.now()),
        ("parlor_waiting_bytes", "Bytes of events that wait to be handled.", counts.waiting_bytes.now()),
        ("parlor_rooms_resident", "Rooms in memory.", gauges.rooms_resident),
        ("parlor_subscriptions", "Subscriptions of connections to rooms.", gauges.subscriptions),
        ("parlor_drafts_waiting", "Messages that wait to be stored.", gauges.drafts_waiting),
        (
            "parlor_acknowledgements_awaited",
            "Messages that clients have not acknowledged yet.",
            gauges.acknowledgements,
        ),
        (
            "parlor_cluster_nodes",
            "Nodes on this database that are alive, this one included.",
            gauges.other_nodes + 1,
        ),
        ("parlor_cluster_bus_up", "1 if what other nodes store is noticed at once.", gauges.bus_works.into()),
        ("parlor_catch_ups", "Tasks that send a connection what it has missed in a room.", gauges.catch_ups),
        ("parlor_tasks", "Tasks of every kind.", gauges.tasks),
    ] {
        show(encoder, name, help, &ConstGauge::new(value))?;
    }
    for (name, help, seconds) in [
        (
            "parlor_cluster_bus_loopback_seconds",
            "How long the way over the bus takes, to this node itself.",
            chat.bus_loopback().as_secs_f64(),
        ),
        (
            "parlor_cluster_clock_skew_seconds",
            "By how much the clock is ahead of the database's.",
            chat.clock_skew().as_seconds_f64(),
        ),
    ] {
        show(encoder, name, help, &ConstGauge::new(seconds))?;
    }
    let mut of_gateways: BTreeMap<&str, usize> = GATEWAYS.into_iter().map(|gateway| (gateway, 0)).collect();
    of_gateways.extend(counts.connections());
    let help = "Connections in memory, by wire form.";
    let mut family =
        encoder.encode_descriptor("parlor_gateway_connections", help, None, MetricType::Gauge)?;
    for (gateway, count) in of_gateways {
        ConstGauge::new(count).encode(family.encode_family(&[("gateway", gateway)])?)?;
    }
    Ok(())
}
