//! Writing events to many connections without keeping other tasks waiting.

use std::sync::Arc;

use super::{connection::Connection, event::Envelope};

/// Connections that are written to before other tasks get a turn.
const CONNECTIONS: usize = 256;

/// Events that one connection is written in one go: a queue that has once been long keeps its length in memory.
const EVENTS: usize = 16;

/// Writes the events to each connection, in their order. What fits into one turn is written without a pause.
/// Two calls about one room must not overlap where their order matters.
pub(super) async fn tell_all(connections: &[Arc<Connection>], events: &[Envelope]) {
    let mut is_first = true;
    for events in events.chunks(EVENTS) {
        for connections in connections.chunks(CONNECTIONS) {
            if !std::mem::take(&mut is_first) {
                tokio::task::yield_now().await;
            }
            for connection in connections {
                for event in events {
                    connection.tell(event);
                }
            }
        }
    }
}
