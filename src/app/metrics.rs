//! The metrics, as text.

use std::sync::Arc;

use crate::{
    chat::Chat,
    gateway::{rest, socketio},
    telemetry,
};

/// Renders the metrics, if they are collected. What is counted in the core is asked at that moment.
pub(super) fn render(chat: &Chat, sessions: socketio::Sessions) -> Option<rest::RenderMetrics> {
    let handle = telemetry::metrics()?;
    let chat = chat.clone();
    Some(Arc::new(move || {
        let gauges = chat.gauges();
        metrics::gauge!("parlor_users_online").set(gauges.users_online as f64);
        metrics::gauge!("parlor_connections").set(gauges.connections as f64);
        metrics::gauge!("parlor_rooms_resident").set(gauges.rooms_resident as f64);
        metrics::gauge!("parlor_drafts_waiting").set(gauges.drafts_waiting as f64);
        metrics::gauge!("parlor_tasks").set(gauges.tasks as f64);
        metrics::gauge!("parlor_subscriptions").set(gauges.subscriptions as f64);
        metrics::gauge!("parlor_catch_ups").set(gauges.catch_ups as f64);
        metrics::gauge!("parlor_acknowledgements_awaited").set(gauges.acknowledgements as f64);
        let counts = chat.counts();
        for (gateway, count) in counts.connections() {
            metrics::gauge!("parlor_gateway_connections", "gateway" => gateway).set(count as f64);
        }
        metrics::gauge!("parlor_tcp_connections").set(counts.tcp_connections.now() as f64);
        metrics::gauge!("parlor_engine_sessions").set(counts.engine_sessions.now() as f64);
        metrics::gauge!("parlor_engine_sessions_upgraded").set(sessions.upgraded() as f64);
        metrics::gauge!("parlor_outgoing_bytes").set(counts.outgoing_bytes.now() as f64);
        metrics::gauge!("parlor_waiting_bytes").set(counts.waiting_bytes.now() as f64);
        metrics::gauge!("parlor_pending_connections").set(counts.pending_connections.now() as f64);
        metrics::counter!("parlor_log_lines_lost_total").absolute(telemetry::lost_lines());
        handle.run_upkeep();
        handle.render()
    }))
}
