//! Sends a connection the messages that it has missed, page by page, until it is live in all its rooms.
//!
//! There is one task per room in which a connection is behind, and only while it is behind. No task runs
//! ahead of its client: after a full page it waits for the acknowledgement, at most five seconds, and all
//! rooms of a connection share one limit of messages under way. A task reads a page only while less than a
//! page of bytes waits for the connection, so a ping never waits long on a slow link.

use std::{sync::Arc, time::Duration};

use entity::Seq;

use super::{Room, Standing};
use crate::chat::{
    Core,
    connections::connection::Connection,
    event::Envelope,
    page_size::{self, PAGE_BYTES},
};

/// The most messages of one room that are sent without a pause (docs/events.md).
const PAGE: usize = 500;
/// How long a task waits for a client that does not acknowledge a page.
const ACK_WAIT: Duration = Duration::from_secs(5);

impl Core {
    /// Brings a subscription up to date: at once if it has missed nothing, or else by a task.
    pub(in crate::chat) fn bring_up(self: &Arc<Self>, connection: &Arc<Connection>, room: &Arc<Room>) {
        if let Standing::Behind(_) = room.catch_up(connection.id, &[]) {
            self.fall_behind(connection, room);
        }
    }

    /// A connection has missed messages of a room: starts a catch-up task, unless one runs already.
    pub(in crate::chat) fn fall_behind(self: &Arc<Self>, connection: &Arc<Connection>, room: &Arc<Room>) {
        if !connection.behind.lock().insert(room.id) {
            // The task that runs already looks once more before it ends.
            return;
        }
        let (core, connection, room) = (self.clone(), connection.clone(), room.clone());
        let counted = self.counts.catch_ups.one();
        self.shutdown.spawn(async move {
            let _counted = counted;
            tokio::select! {
                () = catch_up(&core, &connection, &room) => {}
                () = connection.over() => {}
            }
        });
    }
}

async fn catch_up(core: &Core, connection: &Arc<Connection>, room: &Arc<Room>) {
    let most = PAGE.min(core.settings.under_way());
    // Smaller if messages are so long that a page ends early: the rest would be read for nothing.
    let mut limit = most;
    let mut acknowledges = true;
    let mut next = still_behind(connection, room);
    while let Some(after) = next {
        // Never closed.
        let Ok(turn) = connection.pages.acquire().await else { return };
        connection.backlog_below(PAGE_BYTES).await;
        let first = limit.min(page_size::FIRST_PART);
        let mut page = read_page(core, room, after, first).await;
        let contents = page.iter().map(|envelope| page_size::content(envelope));
        let fitting = page_size::room_for(contents).min(limit - first);
        // Whether messages follow that were not read because they would not fit.
        let mut is_cut_short = page.len() == first && first < limit;
        let follows = page.last().filter(|_| is_cut_short && fitting > 0);
        if let Some(seq) = follows.and_then(|envelope| Some(envelope.message()?.row.seq)) {
            let rest = read_page(core, room, seq, fitting).await;
            is_cut_short = rest.len() == fitting && first + fitting < limit;
            page.extend(rest);
        }
        let read = page.len();
        page.truncate(page_size::fitting(page.iter().map(|envelope| page_size::content(envelope))));
        let ends_early = page.len() < read || is_cut_short;
        let is_full = ends_early || read == limit;
        limit = (2 * if ends_early { page.len() } else { limit }).min(most);
        let Some(last) = page.last().and_then(|envelope| Some(envelope.message()?.row.seq)) else {
            // A published message is not in the database. The task must not skip it silently.
            tracing::error!(room.id = %room.id, seq = %after, "a published message is not in the database");
            connection.cut("its missed messages could not be read");
            return;
        };
        let share = u32::try_from(page.len()).unwrap_or(u32::MAX);
        // Never closed, and a page is smaller than the whole limit.
        let Ok(_share) = connection.under_way.acquire_many(share).await else { return };
        let standing = room.catch_up(connection.id, &page);
        drop(turn);
        if standing == Standing::Behind(after) {
            tracing::error!(room.id = %room.id, seq = %after, "the messages after this one are not in the database");
            connection.cut("its missed messages could not be read");
            return;
        }
        if standing == Standing::Live {
            // Notifications of deliveries of its own messages may have waited until it was sent these
            // messages.
            core.receipts.touch(room);
        }
        if is_full && standing != Standing::Live {
            // A client that acknowledges nothing gets short pages without a pause, as fast as it reads them.
            if acknowledges || page.len() == most {
                acknowledges = acknowledged(connection, room, last).await;
            }
            next = still_behind(connection, room);
        } else {
            next = still_behind(connection, room);
            if next.is_none() {
                // Its share of the limit is free again when the client has received this page.
                acknowledged(connection, room, last).await;
            }
        }
    }
}

/// Reads a page. Repeats until the database answers; the end of the connection ends this, too.
async fn read_page(core: &Core, room: &Room, after: Seq, limit: usize) -> Vec<Arc<Envelope>> {
    let mut pause = Duration::from_millis(500);
    loop {
        match core.missed_messages(room, after, limit).await {
            Ok(page) => return page,
            Err(err) => {
                tracing::warn!(error = ?err, room.id = %room.id, "could not read what a connection missed");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// Returns the seq after which messages are missing. Returns `None`, and ends the task's claim to the room,
/// if none are missing.
fn still_behind(connection: &Arc<Connection>, room: &Room) -> Option<Seq> {
    let mut behind = connection.behind.lock();
    match room.catch_up(connection.id, &[]) {
        Standing::Behind(after) => Some(after),
        Standing::Live | Standing::Gone => {
            behind.remove(&room.id);
            None
        }
    }
}

/// Waits until the connection has acknowledged everything up to `seq`, at most [`ACK_WAIT`]. Returns whether
/// it has.
async fn acknowledged(connection: &Arc<Connection>, room: &Room, seq: Seq) -> bool {
    let arrived = async {
        loop {
            // Created before the check, so that no change in between is missed.
            let moved = connection.acknowledged.notified();
            if room.acked(connection.id).is_none_or(|acked| acked >= seq) {
                return;
            }
            moved.await;
        }
    };
    // A timeout is no failure: the next page follows in both cases.
    tokio::time::timeout(ACK_WAIT, arrived).await.is_ok()
}
