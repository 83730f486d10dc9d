//! Pages of changed messages. Each is read once for all connections that ask for the same one, and kept for a short time,
//! with its renderings: after a restart, most devices of a room lack the same changes. [`super::replay_cache`] owns them.
//!
//! A change of the room removes its pages before the change is published. So a page never shows more than its readers
//! may see, and never less than they are told ([`super::catch_up`]).

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use entity::RoomId;
use parking_lot::Mutex;

use super::Room;
use crate::{
    chat::{
        Core,
        changes::ChangedRange,
        event::{Envelope, Event},
    },
    error::Result,
};

/// How long a page is kept. What it does not follow is that a user takes another name.
const KEPT: Duration = Duration::from_secs(5);
/// The most bytes of all pages. Beyond it, each connection reads from the database.
const OF_ALL: usize = 16 << 20;
/// About what a change takes besides its content: the row, its names, and its renderings.
const BESIDES: usize = 1_500;

/// See the module.
#[derive(Default)]
pub(super) struct ChangedPages {
    kept: Mutex<PagesOfRooms>,
}

#[derive(Default)]
struct PagesOfRooms {
    rooms: HashMap<RoomId, HashMap<Asked, KeptPage>>,
    bytes: usize,
}

/// Which page of a room.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    range: ChangedRange,
    limit: usize,
}

struct KeptPage {
    changes: Vec<Arc<Envelope>>,
    bytes: usize,
    since: Instant,
}

impl Core {
    /// Changed messages as they stand now, ascending by their newest change.
    pub(super) async fn missed_changes(
        &self,
        room: &Room,
        range: ChangedRange,
        limit: usize,
    ) -> Result<Vec<Arc<Envelope>>> {
        let (cache, asked) = (&self.rooms.replay_cache, Asked { range, limit });
        let pages = &cache.changed;
        if let Some(kept) = pages.find(room.id, asked) {
            return Ok(kept);
        }
        // Connections that reconnect at the same time wait for the first one's page.
        let _reading = room.reading.lock().await;
        let replaced = room.replaced.load(Ordering::SeqCst);
        if let Some(kept) = pages.find(room.id, asked) {
            return Ok(kept);
        }
        let changes = self.changed_messages(room, range, limit as u64).await?;
        let envelope = |change| Arc::new(Envelope::new(Event::MessageChanged(Arc::new(change))));
        let page: Vec<_> = changes.into_iter().map(envelope).collect();
        if pages.keep(room, asked, &page, replaced) {
            cache.work.notify_one();
        }
        Ok(page)
    }
}

impl ChangedPages {
    fn find(&self, room: RoomId, asked: Asked) -> Option<Vec<Arc<Envelope>>> {
        let kept = self.kept.lock();
        let page = kept.rooms.get(&room)?.get(&asked)?;
        (page.since.elapsed() < KEPT).then(|| page.changes.clone())
    }

    /// Keeps a page, unless a message of the room was changed since it was read. Returns whether it may have done so.
    fn keep(&self, room: &Room, asked: Asked, changes: &[Arc<Envelope>], replaced: u64) -> bool {
        if changes.is_empty() || changes.iter().any(|change| disappears(change)) {
            return false;
        }
        let mut kept = self.kept.lock();
        let is_current = room.replaced.load(Ordering::SeqCst) == replaced;
        if is_current {
            kept.add(room.id, asked, changes, Instant::now());
        }
        is_current
    }

    /// A message of the room was changed. Call it after [`Room::replaced`] was increased, and before the change is
    /// published.
    pub fn forget(&self, room: RoomId) {
        self.kept.lock().forget(room);
    }

    /// Removes old pages. Returns whether any are left.
    pub fn sweep(&self, now: Instant) -> bool {
        self.kept.lock().sweep(now)
    }
}

impl PagesOfRooms {
    fn add(&mut self, room: RoomId, asked: Asked, changes: &[Arc<Envelope>], now: Instant) {
        let bytes = changes.iter().map(|change| bytes_of(change)).sum();
        if self.bytes + bytes > OF_ALL {
            self.sweep(now);
        }
        if self.bytes + bytes > OF_ALL {
            return;
        }
        let page = KeptPage { changes: changes.to_vec(), bytes, since: now };
        let older = self.rooms.entry(room).or_default().insert(asked, page);
        self.bytes = self.bytes + bytes - older.map_or(0, |older| older.bytes);
    }

    fn forget(&mut self, room: RoomId) {
        let pages = self.rooms.remove(&room).unwrap_or_default();
        self.bytes -= pages.values().map(|page| page.bytes).sum::<usize>();
    }

    fn sweep(&mut self, now: Instant) -> bool {
        self.rooms.retain(|_, pages| {
            pages.retain(|_, page| now.saturating_duration_since(page.since) < KEPT);
            !pages.is_empty()
        });
        self.bytes = self.rooms.values().flat_map(HashMap::values).map(|page| page.bytes).sum();
        !self.rooms.is_empty()
    }
}

/// Whether a change is of a message that is a tombstone from some time on.
fn disappears(envelope: &Envelope) -> bool {
    let extras = envelope.change().and_then(|change| change.message.extras.as_ref());
    extras.is_some_and(|extras| extras.expires_at.is_some())
}

fn bytes_of(envelope: &Envelope) -> usize {
    // Once in the row, and once for each wire format in use in a room.
    BESIDES + envelope.change().map_or(0, |change| 4 * change.message.bytes())
}

#[cfg(test)]
mod tests {
    use entity::{ChangeNumber, Seq, UserId};

    use super::*;
    use crate::chat::model::{Message, MessageChange};

    fn asked(after: i64) -> Asked {
        let (seq, upto) = (Seq(i64::MAX), ChangeNumber(9));
        let after = ChangeNumber(after);
        let range = ChangedRange { after, upto, from: Seq::ZERO, sent: seq, held: seq, shown: upto };
        Asked { range, limit: 500 }
    }

    fn page(room: RoomId, content: usize) -> Vec<Arc<Envelope>> {
        let mut message = Message::in_group(room, 1, UserId::new());
        message.row.content = "x".repeat(content);
        let change = MessageChange::caught_up(Arc::new(message));
        vec![Arc::new(Envelope::new(Event::MessageChanged(Arc::new(change))))]
    }

    fn has(pages: &ChangedPages, room: RoomId, after: i64) -> bool {
        pages.find(room, asked(after)).is_some()
    }

    #[test]
    fn only_who_asks_for_the_same_page_gets_it_and_a_change_removes_it() {
        let (pages, room, other) = (ChangedPages::default(), RoomId::new(), RoomId::new());
        for (room, after) in [(room, 1), (room, 2), (other, 1)] {
            pages.kept.lock().add(room, asked(after), &page(room, 10), Instant::now());
        }
        assert!(has(&pages, room, 1) && has(&pages, room, 2) && has(&pages, other, 1));
        assert!(!has(&pages, room, 3) && !has(&pages, other, 2));
        pages.forget(room);
        assert!(!has(&pages, room, 1) && !has(&pages, room, 2));
        assert!(has(&pages, other, 1));
        pages.forget(other);
        assert_eq!(pages.kept.lock().bytes, 0);
    }

    #[test]
    fn only_so_much_is_kept_and_only_for_so_long() {
        let pages = ChangedPages::default();
        for _ in 0..10 {
            let room = RoomId::new();
            pages.kept.lock().add(room, asked(1), &page(room, OF_ALL / 16), Instant::now());
        }
        let bytes = pages.kept.lock().bytes;
        assert!(bytes <= OF_ALL && bytes > OF_ALL / 2, "{bytes}");
        assert!(pages.sweep(Instant::now()));
        let later = Instant::now() + KEPT;
        let room = RoomId::new();
        pages.kept.lock().add(room, asked(1), &page(room, OF_ALL / 8), later);
        assert!(pages.sweep(later), "the old pages have made room for it");
        assert_eq!(pages.kept.lock().rooms.len(), 1);
        assert!(!pages.sweep(later + KEPT));
        assert_eq!(pages.kept.lock().bytes, 0);
    }

    #[test]
    fn a_message_that_disappears_is_read_each_time() {
        let room = RoomId::new();
        let mut message = Message::in_group(room, 1, UserId::new());
        assert!(!disappears(&page(room, 10)[0]));
        let extras = crate::message_extras::MessageExtras { expires_at: Some(1), ..Default::default() };
        message.extras = Some(Box::new(extras));
        let change = MessageChange::caught_up(Arc::new(message));
        assert!(disappears(&Envelope::new(Event::MessageChanged(Arc::new(change)))));
    }
}
