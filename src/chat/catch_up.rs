//! Sends a connection what it has missed, page by page, until it is live in all its rooms.
//!
//! One task per room that a connection is behind in, and only for so long. None runs further ahead
//! than the client keeps up: a full page waits for its acknowledgement or five seconds, and all
//! rooms of a connection share one allowance of messages under way. A page is read only while less than a
//! page of bytes waits for the connection, so that a ping never waits behind much on a slow link.

use std::{sync::Arc, time::Duration};

use entity::Seq;

use super::{
    Core,
    connection::Connection,
    event::Envelope,
    page::{self, PAGE_BYTES},
    roster::{Roster, Standing},
};

/// Most messages of one room sent without a pause (protocol.md part 3).
const PAGE: usize = 500;
/// How long a page waits for a client that does not acknowledge.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Brings a listener up to date: at once where nothing is missing, else by a task.
    pub(super) fn bring_up(self: &Arc<Self>, connection: &Arc<Connection>, roster: &Arc<Roster>) {
        if let Standing::Behind(_) = roster.catch_up(connection.id, &[]) {
            self.fall_behind(connection, roster);
        }
    }

    /// A listener has missed something of a room.
    pub(super) fn fall_behind(self: &Arc<Self>, connection: &Arc<Connection>, roster: &Arc<Roster>) {
        if !connection.behind.lock().insert(roster.id) {
            // The task that is on it looks once more before it ends.
            return;
        }
        let (core, connection, roster) = (self.clone(), connection.clone(), roster.clone());
        let counted = self.counts.catch_ups.one();
        self.shutdown.spawn(async move {
            let _counted = counted;
            tokio::select! {
                () = catch_up(&core, &connection, &roster) => {}
                () = connection.over() => {}
            }
        });
    }
}

async fn catch_up(core: &Core, connection: &Arc<Connection>, roster: &Arc<Roster>) {
    let most = PAGE.min(core.settings.under_way);
    // Less where messages are so long that a page ends early: the others would be read in vain.
    let mut limit = most;
    let mut acknowledges = true;
    let mut next = still_behind(connection, roster);
    while let Some(after) = next {
        // Never closed.
        let Ok(turn) = connection.pages.acquire().await else { return };
        connection.backlog_below(PAGE_BYTES).await;
        let first = limit.min(page::FIRST_PART);
        let mut page = read_page(core, roster, after, first).await;
        let room = page::room_for(page.iter().map(|envelope| page::content(envelope))).min(limit - first);
        // Whether messages follow that were not read, since they would not fit.
        let mut is_cut_short = page.len() == first && first < limit;
        let follows = page.last().filter(|_| is_cut_short && room > 0);
        if let Some(seq) = follows.and_then(|envelope| Some(envelope.message()?.row.seq)) {
            let rest = read_page(core, roster, seq, room).await;
            is_cut_short = rest.len() == room && first + room < limit;
            page.extend(rest);
        }
        let read = page.len();
        page.truncate(page::fitting(page.iter().map(|envelope| page::content(envelope))));
        let ends_early = page.len() < read || is_cut_short;
        let is_full = ends_early || read == limit;
        limit = (2 * if ends_early { page.len() } else { limit }).min(most);
        let Some(last) = page.last().and_then(|envelope| Some(envelope.message()?.row.seq)) else {
            // Published and yet not there: never to be skipped in silence.
            tracing::error!(room.id = %roster.id, seq = %after, "a published message is not in the database");
            connection.cut("its missed messages could not be read");
            return;
        };
        let share = u32::try_from(page.len()).unwrap_or(u32::MAX);
        // Never closed, and a page is smaller than the whole.
        let Ok(_share) = connection.under_way.acquire_many(share).await else { return };
        let standing = roster.catch_up(connection.id, &page);
        drop(turn);
        if standing == Standing::Behind(after) {
            tracing::error!(room.id = %roster.id, seq = %after, "the messages after this one are not in the database");
            connection.cut("its missed messages could not be read");
            return;
        }
        if standing == Standing::Live {
            // Deliveries of its own messages may have waited for it to see these.
            core.receipts.touch(roster);
        }
        if is_full && standing != Standing::Live {
            // A client that acknowledges nothing gets short pages one after the other, as it reads them.
            if acknowledges || page.len() == most {
                acknowledges = acknowledged(connection, roster, last).await;
            }
            next = still_behind(connection, roster);
        } else {
            next = still_behind(connection, roster);
            if next.is_none() {
                // Its share of what may be under way is free again when this page has arrived.
                acknowledged(connection, roster, last).await;
            }
        }
    }
}

/// Reads a page, however long the database takes to come back: the connection's end ends this too.
async fn read_page(core: &Core, roster: &Roster, after: Seq, limit: usize) -> Vec<Arc<Envelope>> {
    let mut pause = Duration::from_millis(500);
    loop {
        match core.missed(roster, after, limit).await {
            Ok(page) => return page,
            Err(err) => {
                tracing::warn!(error = ?err, room.id = %roster.id, "could not read what a connection missed");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// After which seq the listener has something to be sent; where it has not, the task is over.
fn still_behind(connection: &Arc<Connection>, roster: &Roster) -> Option<Seq> {
    let mut behind = connection.behind.lock();
    match roster.catch_up(connection.id, &[]) {
        Standing::Behind(after) => Some(after),
        Standing::Live | Standing::Gone => {
            behind.remove(&roster.id);
            None
        }
    }
}

/// Waits until the connection has acknowledged everything up to `seq`, or patience runs out. Answers whether
/// it has.
async fn acknowledged(connection: &Arc<Connection>, roster: &Roster, seq: Seq) -> bool {
    let arrived = async {
        loop {
            // Made before the look, so that what moves in between is not missed.
            let moved = connection.acknowledged.notified();
            if roster.acked(connection.id).is_none_or(|acked| acked >= seq) {
                return;
            }
            moved.await;
        }
    };
    // Running out of patience is no failure: the next page follows either way.
    tokio::time::timeout(PATIENCE, arrived).await.is_ok()
}
