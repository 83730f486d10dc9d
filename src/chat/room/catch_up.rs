//! Sends a connection the messages that it has missed, page by page, until it is live in all its rooms.
//!
//! There is one task per room in which a connection is behind, and only while it is behind. No task runs
//! ahead of its client: after a full page it waits for the acknowledgement, at most five seconds, and all
//! rooms of a connection share one limit of messages under way. A task reads a page only while less than a
//! page of bytes waits for the connection, so a ping never waits long on a slow link.
//!
//! When a connection has all messages, the task sends what was changed in those that it had before, each message once
//! and as it stands now, and then begins again if more was published meanwhile. A page of changes ends at what is
//! *published*: a message that changes again while pages are read is told of by the next page, and the connection is live
//! only then, because live changes name only the fields that they touch. A device that has missed too many is told to
//! read the room again instead.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use entity::{ChangeNumber, Seq};
use futures_util::FutureExt;

use super::{
    Room,
    subscriptions::{Beginning, CatchUp, Standing},
};
use crate::{
    chat::{
        Core,
        changes::ChangedRange,
        connections::connection::Connection,
        event::{Envelope, Event},
        model::SyncedRoom,
        page_size::{PAGE_BYTES, read_in_parts},
    },
    error::Result,
};

/// The most messages of one room that are sent without a pause (docs/events.md).
const PAGE: usize = 500;
/// How long a task waits for a client that does not acknowledge a page.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// A page has left when fewer bytes than this wait for the connection: they are few packets.
const NEARLY_NOTHING: usize = 4_096;
/// Changes are not acknowledged. A further page of them is sent while fewer bytes than this wait for the connection.
const CHANGES_WAITING: usize = 64_000;

impl Core {
    /// Makes a subscription that is behind live: at once if it has missed nothing, or else by a task.
    pub(in crate::chat) fn bring_up(self: &Arc<Self>, connection: &Arc<Connection>, room: &Arc<Room>) {
        let catch_up = match room.begin_catch_up(connection.id) {
            None => return,
            Some(Beginning::Live) => return self.came_live(connection, room),
            Some(Beginning::Missed(catch_up)) => catch_up,
        };
        let (core, connection, room) = (self.clone(), connection.clone(), room.clone());
        let counted = self.counts.catch_ups.one();
        self.shutdown.spawn(async move {
            let _counted = counted;
            let task = CatchUpTask::new(&core, &connection, &room, catch_up);
            tokio::select! {
                () = task.run() => {}
                () = connection.over() => {}
            }
        });
    }
}

/// One catch-up under way.
struct CatchUpTask<'a> {
    core: &'a Arc<Core>,
    connection: &'a Arc<Connection>,
    room: &'a Arc<Room>,
    catch_up: CatchUp,
    /// The most messages of a page.
    most: usize,
    /// Smaller than `most` if messages are so long that a page ends early: the rest would be read for nothing.
    limit: usize,
    /// Whether the client has acknowledged the page before in time.
    acknowledges: bool,
    /// Messages that this catch-up has sent in a version later than [`CatchUp::shown`], each with its newest change.
    /// At most as many as messages were changed meanwhile.
    shown: BTreeMap<Seq, ChangeNumber>,
}

impl<'a> CatchUpTask<'a> {
    fn new(
        core: &'a Arc<Core>,
        connection: &'a Arc<Connection>,
        room: &'a Arc<Room>,
        catch_up: CatchUp,
    ) -> Self {
        let most = PAGE.min(core.settings.under_way());
        Self {
            core,
            connection,
            room,
            catch_up,
            most,
            limit: most,
            acknowledges: true,
            shown: BTreeMap::new(),
        }
    }

    async fn run(mut self) {
        let mut standing = self.catch_up.missing;
        let mut is_first = true;
        loop {
            let was = standing;
            standing = match was {
                Standing::Ended | Standing::Live => return,
                Standing::Behind(after) => self.send_messages(after).await,
                Standing::Outdated { sent, upto } => self.send_reset(sent, upto),
                Standing::Untold { sent, told, upto } => {
                    let waiting = if is_first { PAGE_BYTES } else { CHANGES_WAITING };
                    is_first = false;
                    self.connection.backlog_below(waiting).await;
                    self.send_changes(sent, told, upto).await
                }
            };
            if standing == was {
                // What was published is not in the database. The task must not skip it silently.
                tracing::error!(room.id = %self.room.id, missing = ?was, "what was published is not in the database");
                self.connection.disconnect("what it has missed could not be read");
                return;
            }
        }
    }

    /// Sends a page of the messages after a seq. Returns when the client has acknowledged it, if it should.
    async fn send_messages(&mut self, after: Seq) -> Standing {
        // Never closed.
        let Ok(turn) = self.connection.pages.acquire().await else { return Standing::Ended };
        self.connection.backlog_below(PAGE_BYTES).await;
        let read = |last: Option<&Arc<Envelope>>, rows| {
            self.read_messages(last.and_then(seq_of).unwrap_or(after), rows).map(Ok::<_, Infallible>)
        };
        let Ok((page, ends_early)) = read_in_parts(self.limit, bytes, read).await;
        let is_full = ends_early || page.len() == self.limit;
        self.limit = (2 * if ends_early { page.len() } else { self.limit }).min(self.most);
        let Some(last) = page.last().and_then(seq_of) else { return Standing::Behind(after) };
        let share = u32::try_from(page.len()).unwrap_or(u32::MAX);
        // Never closed.
        let Ok(_share) = self.connection.under_way.acquire_many(share).await else { return Standing::Ended };
        let standing = self.room.send_page(&self.catch_up, &page);
        self.connection.flush();
        drop(turn);
        self.note_shown(&page);
        if !matches!(standing, Standing::Behind(_) | Standing::Ended) {
            // Notifications of deliveries of its own messages may have waited until it was sent these messages.
            self.core.receipts.touch(self.room);
        }
        match standing {
            Standing::Ended => {}
            // Its share of the limit is free again when the client has received this page.
            Standing::Live => {
                self.core.came_live(self.connection, self.room);
                acknowledged(self.connection, self.room, last).await;
            }
            // A client that acknowledges nothing gets short pages without this wait.
            _ if is_full && (self.acknowledges || page.len() == self.most) => {
                self.acknowledges = acknowledged(self.connection, self.room, last).await;
            }
            _ => {}
        }
        if standing != Standing::Ended {
            // If too many acknowledgements are pending, none is requested for this page. Its share then becomes free
            // when the page has left. Without this wait, further pages would overflow the connection's queue.
            drop(tokio::time::timeout(ACK_WAIT, self.connection.backlog_below(NEARLY_NOTHING)).await);
        }
        standing
    }

    fn note_shown(&mut self, page: &[Arc<Envelope>]) {
        let messages = page.iter().filter_map(|envelope| envelope.message());
        let newer = messages.filter(|message| message.row.change > self.catch_up.shown);
        self.shown.extend(newer.map(|message| (message.row.seq, message.row.change)));
    }

    /// Sends a page of changed messages, as they stand now: those that the client had before, and those that were
    /// changed after this catch-up sent them.
    async fn send_changes(&mut self, sent: Seq, told: ChangeNumber, upto: ChangeNumber) -> Standing {
        if upto.0 - told.0 > self.core.settings.limits.changes_replayed as i64
            && self.is_too_much(sent, told, upto).await
        {
            return self.send_reset(sent, upto);
        }
        let read = |last: Option<&Arc<Envelope>>, rows| {
            let range = self.range(sent, last.and_then(change_of).unwrap_or(told), upto);
            self.read_changes(range, rows).map(Ok::<_, Infallible>)
        };
        let Ok((mut page, may_follow)) = read_in_parts(self.most, bytes, read).await;
        let is_longer = may_follow || page.len() == self.most;
        let upto = page.last().and_then(change_of).filter(|_| is_longer).unwrap_or(upto);
        let is_news = |envelope: &Arc<Envelope>| {
            envelope.change().is_some_and(|change| {
                self.shown.get(&change.message.row.seq).is_none_or(|shown| *shown < change.number)
            })
        };
        page.retain(is_news);
        if !is_longer {
            // Then it is not live yet, and reads them next.
            let range = self.range(sent, told, upto);
            self.until_read(|| self.core.publish_passed_over(self.room, range)).await;
        }
        self.write_changes(&page, upto)
    }

    fn write_changes(&self, page: &[Arc<Envelope>], upto: ChangeNumber) -> Standing {
        self.sent(self.room.send_changes(&self.catch_up, page, upto))
    }

    /// Tells the device to read the room again.
    fn send_reset(&self, sent: Seq, upto: ChangeNumber) -> Standing {
        let told = SyncedRoom { room: self.room.id, seq: sent, change: upto, reset: true };
        let reset = Envelope::new(Event::Synced(vec![told]));
        self.sent(self.room.send_reset(&self.catch_up, &reset, upto))
    }

    fn sent(&self, standing: Standing) -> Standing {
        self.connection.flush();
        if standing == Standing::Live {
            self.core.came_live(self.connection, self.room);
        }
        standing
    }

    fn range(&self, sent: Seq, told: ChangeNumber, upto: ChangeNumber) -> ChangedRange {
        ChangedRange {
            after: told,
            upto,
            from: self.connection.oldest_held(self.room.id),
            sent,
            held: self.catch_up.after.seq,
            shown: self.catch_up.shown,
        }
    }

    /// Whether so many messages were changed that the client has to read the room again. Only a client that is told
    /// so can do that.
    async fn is_too_much(&self, sent: Seq, told: ChangeNumber, upto: ChangeNumber) -> bool {
        if !self.connection.replays_changes() {
            return false;
        }
        let most = self.core.settings.limits.changes_replayed;
        let range = self.range(sent, told, upto);
        let counted = self.until_read(|| self.core.count_changed(self.room.id, range, most as u64 + 1)).await;
        counted > most as u64
    }

    async fn read_messages(&self, after: Seq, limit: usize) -> Vec<Arc<Envelope>> {
        let read = || async {
            let page = self.core.missed_messages(self.room, after, limit).await?;
            self.core.follow_membership(self.room).await?;
            Ok(page)
        };
        self.until_read(read).await
    }

    async fn read_changes(&self, range: ChangedRange, limit: usize) -> Vec<Arc<Envelope>> {
        let read = || async {
            let page = self.core.missed_changes(self.room, range, limit).await?;
            self.core.follow_membership(self.room).await?;
            Ok(page)
        };
        self.until_read(read).await
    }

    /// Repeats until the database answers; the end of the connection ends this, too.
    async fn until_read<T, F: Future<Output = Result<T>>>(&self, read: impl Fn() -> F) -> T {
        let mut pause = Duration::from_millis(500);
        loop {
            match read().await {
                Ok(page) => return page,
                Err(err) => {
                    tracing::warn!(error = ?err, room.id = %self.room.id, "could not read what a connection missed");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    }
}

fn seq_of(envelope: &Arc<Envelope>) -> Option<Seq> {
    envelope.message().map(|message| message.row.seq)
}

fn change_of(envelope: &Arc<Envelope>) -> Option<ChangeNumber> {
    envelope.change().map(|change| change.number)
}

fn bytes(envelope: &Arc<Envelope>) -> usize {
    let message = envelope.message().or_else(|| envelope.change().map(|change| &change.message));
    message.map_or(0, |message| message.bytes())
}

/// Waits until the connection has acknowledged everything up to `seq` that it was asked to, at most
/// [`ACK_WAIT`]. Returns whether it has.
async fn acknowledged(connection: &Arc<Connection>, room: &Room, seq: Seq) -> bool {
    let arrived = async {
        loop {
            // Created before the check, so that no change in between is missed.
            let moved = connection.acknowledged.notified();
            if !room.awaits_acks(connection.id, seq) {
                return;
            }
            moved.await;
        }
    };
    // A timeout is no failure: the next page follows in both cases.
    tokio::time::timeout(ACK_WAIT, arrived).await.is_ok()
}
