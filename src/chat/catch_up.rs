//! Sends a connection what it has missed, page by page, until it is live in all its rooms.
//!
//! One task per connection, and only while it is behind. It never runs further ahead than the
//! client keeps up: a full page waits for its acknowledgement or five seconds.

use std::{sync::Arc, time::Duration};

use entity::Seq;

use super::{
    Core,
    connection::Connection,
    roster::{Roster, Standing},
};

/// Most messages of one room sent without a pause (protocol.md part 3).
const PAGE: u64 = 500;
/// Most messages of all rooms together sent without a pause; well below what a connection's queue
/// holds, so that catching up cannot overflow it.
const IN_FLIGHT: usize = 2_000;
/// How long a page waits for a client that does not acknowledge.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Brings a listener up to date: at once where nothing is missing, else by the task.
    pub(super) fn bring_up(self: &Arc<Self>, connection: &Arc<Connection>, roster: &Arc<Roster>) {
        if let Standing::Behind(_) = roster.catch_up(connection.id, &[]) {
            self.fall_behind(connection, roster);
        }
    }

    /// A listener has missed something of a room.
    pub(super) fn fall_behind(self: &Arc<Self>, connection: &Arc<Connection>, roster: &Arc<Roster>) {
        let mut behind = connection.behind.lock();
        behind.rooms.push_back(roster.clone());
        if !std::mem::replace(&mut behind.running, true) {
            let (core, connection) = (self.clone(), connection.clone());
            self.shutdown.spawn(async move {
                tokio::select! {
                    () = catch_up(&core, &connection) => {}
                    () = connection.over() => {}
                }
            });
        }
    }
}

async fn catch_up(core: &Core, connection: &Arc<Connection>) {
    let mut in_flight = 0;
    loop {
        let roster = {
            let mut behind = connection.behind.lock();
            match behind.rooms.pop_front() {
                Some(roster) => roster,
                None => {
                    behind.running = false;
                    return;
                }
            }
        };
        while let Standing::Behind(after) = roster.catch_up(connection.id, &[]) {
            let page = match core.page_after(&roster, after, PAGE).await {
                Ok(page) => page,
                Err(err) => {
                    tracing::warn!(error = ?err, room.id = %roster.id, "could not read what a connection missed");
                    connection.cut("its missed messages could not be read");
                    return;
                }
            };
            let Some(last) = page.last().map(|message| message.row.seq) else {
                // Published and yet not there: never to be skipped in silence.
                tracing::error!(room.id = %roster.id, seq = %after, "a published message is not in the database");
                connection.cut("its missed messages could not be read");
                return;
            };
            in_flight += page.len();
            let standing = roster.catch_up(connection.id, &page);
            if standing == Standing::Live {
                // Deliveries of its own messages may have waited for it to see these.
                core.receipts.touch(&roster);
            }
            let full = page.len() as u64 == PAGE && standing != Standing::Live;
            if full || in_flight >= IN_FLIGHT {
                acknowledged(connection, &roster, last).await;
                in_flight = 0;
            }
        }
    }
}

/// Waits until the connection has acknowledged everything up to `seq`, or patience runs out.
async fn acknowledged(connection: &Arc<Connection>, roster: &Roster, seq: Seq) {
    let arrived = async {
        loop {
            let moved = connection.acknowledged.notified();
            if roster.acked(connection.id).is_none_or(|acked| acked >= seq) {
                return;
            }
            moved.await;
        }
    };
    // Running out of patience is no failure: the next page follows either way.
    drop(tokio::time::timeout(PATIENCE, arrived).await);
}
