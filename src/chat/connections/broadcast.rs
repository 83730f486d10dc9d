//! Writing events to many connections without keeping other tasks waiting.

use std::sync::Arc;

use super::connection::Connection;
use crate::chat::event::Envelope;

/// Connections that are written to before other tasks run.
const CONNECTIONS: usize = 256;

/// Events that are written to one connection without a pause: a queue keeps the memory of its greatest
/// length.
const EVENTS: usize = 16;

/// Writes the events to each connection, in their order, with pauses for other tasks. Two calls about one
/// room must not overlap if their order matters.
pub(in crate::chat) async fn notify_all(connections: &[Arc<Connection>], events: &[Envelope]) {
    let mut is_first = true;
    for events in events.chunks(EVENTS) {
        for connections in connections.chunks(CONNECTIONS) {
            if !std::mem::take(&mut is_first) {
                tokio::task::yield_now().await;
            }
            for connection in connections {
                for event in events {
                    connection.notify(event);
                }
            }
        }
    }
}
