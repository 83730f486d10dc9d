//! What is counted and measured since the process started. Each metric is one `static` in this file with its name and
//! its help text, and a line in [`register`], so it is in the first scrape, with the value zero. `prometheus-client`
//! keeps the values and writes the text. It adds `_total` to the name of each counter, and a full stop to each help
//! text. Gauges have no place here: `app` asks for them at each scrape.
//!
//! All servers in one process share these.

mod counter;
mod histogram;
mod process;
mod routes;

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric, prometheus_text},
    registry::Registry,
};

use crate::error::CODES;

pub use self::{
    counter::{Counter, Counters},
    histogram::Histogram,
    routes::RouteTimes,
};

pub static CONNECTIONS_OPENED: Counter =
    Counter::new("parlor_connections_opened", "Connections that were accepted, on every wire form");
pub static CONNECTIONS_DISPLACED: Counter = Counter::new(
    "parlor_connections_displaced",
    "Connections that were closed to make room for a newer one of their user",
);
pub static CONNECTIONS_DISCONNECTED: Counters<5> = Counters::new(
    "parlor_connections_disconnected",
    "Connections that the server gave up, so that their clients reconnect and catch up",
    "reason",
    [
        "its queue is full",
        "too many bytes wait for all connections",
        "an answer could not be rendered",
        "what it has missed could not be read",
        "what it missed could not be read",
    ],
);
pub static OUTGOING_RELIEVED: Counter = Counter::new(
    "parlor_outgoing_relieved",
    "Connections that were closed because too many bytes waited for all connections together",
);
pub static TCP_SILENT: Counter = Counter::new(
    "parlor_tcp_connections_silent",
    "TCP connections that were closed because the client sent nothing complete, or did not read",
);
pub static TCP_IDLE_CLOSED: Counter = Counter::new(
    "parlor_tcp_connections_idle_closed",
    "Idle TCP connections that were closed to make room, because all file descriptors were in use",
);
pub static EVENTS: Counter = Counter::new("parlor_events", "Events of clients that were handled");
pub static REFUSALS: Counters<{ CODES.len() }> = Counters::new(
    "parlor_refusals",
    "Refused requests, events and connections, by the code that the client received",
    "code",
    CODES,
);
pub static LOGINS: Counters<5> = Counters::new(
    "parlor_logins",
    "Logins with a password, by their result",
    "result",
    ["ok", "wrong", "disabled", "limited", "failed"],
);
pub static MESSAGES_STORED: Counter = Counter::new("parlor_messages_stored", "Messages that were stored");
pub static FOREIGN_MESSAGES: Counter = Counter::new(
    "parlor_foreign_messages",
    "Messages that another node has stored, and that this node has read to deliver them",
);
pub static CHANGES_BY_FRAME: Counter = Counter::new(
    "parlor_cluster_changes_by_frame",
    "Changes of messages by another node that came over the bus",
);
pub static MESSAGES_BY_FRAME: Counter = Counter::new(
    "parlor_cluster_messages_by_frame",
    "Messages that another node has stored, and that came over the bus, so that this node did not read them",
);
pub static FRAMES_HEARD: Counter =
    Counter::new("parlor_cluster_frames_heard", "Frames of other nodes that came over the bus");
pub static FRAMES_MISSED: Counter = Counter::new(
    "parlor_cluster_frames_missed",
    "Times that frames of another node were missing, so that this node has looked at everything",
);
pub static CHANGES_STORED: Counter = Counter::new(
    "parlor_changes_stored",
    "Changes of messages that were stored: edits, deletions, reactions, pins",
);
pub static COMMITS: Counters<2> = Counters::new(
    "parlor_commits",
    "Commits of messages, by the path: one statement (fast), or a transaction that reads first",
    "path",
    ["fast", "transaction"],
);
pub static COMMIT_MESSAGES: Histogram = Histogram::of_numbers(
    "parlor_commit_messages",
    "Messages in each commit",
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
);
pub static COMMIT_TIME: Histogram = Histogram::of_times(
    "parlor_commit_duration_seconds",
    "How long the database took for each commit of messages, or of changes of messages",
);
pub static ACKNOWLEDGEMENT_TIME: Histogram = Histogram::of_times(
    "parlor_acknowledgement_duration_seconds",
    "How long the message of each commit that had waited longest took, from being queued to its acknowledgement",
);
pub static DATABASE_WAIT: Histogram = Histogram::of_times(
    "parlor_database_wait_seconds",
    "How long each write waited for its turn (SQLite), or each statement for a connection (PostgreSQL)",
);
pub static HTTP_TIME: RouteTimes = RouteTimes::new(
    "parlor_http_request_duration_seconds",
    "How long HTTP requests took until the head of their answer, by method and route",
);

/// Adds everything above, and what the system knows of the process.
pub fn register(registry: &mut Registry) {
    for counter in [
        &CONNECTIONS_OPENED,
        &CONNECTIONS_DISPLACED,
        &OUTGOING_RELIEVED,
        &TCP_SILENT,
        &TCP_IDLE_CLOSED,
        &EVENTS,
        &MESSAGES_STORED,
        &FOREIGN_MESSAGES,
        &MESSAGES_BY_FRAME,
        &CHANGES_BY_FRAME,
        &FRAMES_HEARD,
        &FRAMES_MISSED,
        &CHANGES_STORED,
    ] {
        counter.register(registry);
    }
    CONNECTIONS_DISCONNECTED.register(registry);
    REFUSALS.register(registry);
    LOGINS.register(registry);
    COMMITS.register(registry);
    for histogram in [&COMMIT_MESSAGES, &COMMIT_TIME, &ACKNOWLEDGEMENT_TIME, &DATABASE_WAIT] {
        histogram.register(registry);
    }
    HTTP_TIME.register(registry);
    registry.register_collector(Box::new(process::Process));
}

/// Writes one metric of a collector. Unlike a registered one, its help text ends with a full stop.
pub fn show(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// The text format of Prometheus, version 0.0.4.
pub fn text_of(registry: &Registry) -> String {
    let mut text = String::new();
    let written = prometheus_text::encode(&mut text, registry);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
    text
}
