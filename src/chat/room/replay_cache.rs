//! The replay cache: messages that connections have missed. They are read once for all connections that
//! reconnect at the same place of a room, and kept for a short time, with their renderings.
//!
//! Receipts and the names of senders are looked up each time, so a page from the cache is what the database would
//! return. A change of a message replaces it here before the change is published ([`ReplayCache::replace`]); what was
//! read before that is not kept.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Room, changed_pages::ChangedPages};
use crate::{
    chat::{
        Core,
        event::{Envelope, Event},
        extras::expire_events,
        model::Message,
    },
    error::Result,
};

/// How long messages are kept after they were last asked for.
const KEPT: Duration = Duration::from_secs(5);
/// The longest time that they are kept, however often they are asked for: the name of a sender who has left
/// the room is not looked up again.
const AT_LONGEST: Duration = Duration::from_secs(60);
/// The most messages of one room that are kept.
const OF_ONE_ROOM: usize = 1_000;
/// The most bytes of all rooms that are kept. Beyond it, each connection reads from the database.
const OF_ALL: usize = 16 << 20;
/// About what a message takes besides its content: the row, its names, and its renderings.
const BESIDES: usize = 1_000;

/// See the module.
pub(super) struct ReplayCache {
    kept: Mutex<Kept>,
    pub changed: ChangedPages,
    /// Notified when something is kept.
    pub work: Notify,
}

#[derive(Default)]
struct Kept {
    rooms: HashMap<RoomId, Stretch>,
    bytes: usize,
}

/// Messages of one room, in the order of seq and without holes.
struct Stretch {
    messages: VecDeque<Arc<Envelope>>,
    bytes: usize,
    since: Instant,
    asked_for: Instant,
}

impl Core {
    /// A page of the messages after a seq, oldest first. It has fewer than `limit` only if no more are
    /// published.
    pub(in crate::chat) async fn missed_messages(
        &self,
        room: &Room,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<Envelope>>> {
        let mut page = Vec::new();
        let mut after = after;
        while page.len() < limit && after < room.published() {
            let part = self.missed_part(room, after, limit - page.len()).await?;
            let Some(last) = part.last().and_then(|envelope| seq_of(envelope)) else { break };
            after = last;
            page.extend(part);
        }
        expire_events(&mut page, self.clock.now(), &self.settings.messages);
        Ok(page)
    }

    /// As many of them as one read returns.
    async fn missed_part(&self, room: &Room, after: Seq, limit: usize) -> Result<Vec<Arc<Envelope>>> {
        if let Some(kept) = self.rooms.replay_cache.after(room, after, limit) {
            return Ok(kept);
        }
        // Connections that reconnect at the same time wait for the first one's page.
        let _reading = room.reading.lock().await;
        let replaced = room.replaced.load(Ordering::SeqCst);
        if let Some(kept) = self.rooms.replay_cache.after(room, after, limit) {
            return Ok(kept);
        }
        let messages = match room.recent(after) {
            Some(mut recent) if !recent.is_empty() => {
                recent.truncate(limit);
                recent
            }
            _ => {
                let limit = limit.min(self.rooms.replay_cache.gap(room.id, after).unwrap_or(limit));
                self.page_after(room, after, limit as u64).await?
            }
        };
        let mut page: Vec<_> =
            messages.into_iter().map(|message| Arc::new(Envelope::new(Event::Message(message)))).collect();
        // Recent messages are as they were published, without receipts.
        room.bring_up_to_date(&mut page);
        self.rooms.replay_cache.keep(room, &page, replaced);
        Ok(page)
    }
}

/// Removes messages that are not asked for any more, and old pages of changes, until the server shuts down.
pub(in crate::chat) async fn run(core: Arc<Core>) {
    let cache = &core.rooms.replay_cache;
    loop {
        tokio::select! {
            () = cache.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        // Both at each turn.
        while cache.sweep(Instant::now()) | cache.changed.sweep(Instant::now()) {
            if core.shutdown.begins_within(KEPT / 5).await {
                return;
            }
        }
    }
}

impl ReplayCache {
    pub fn new() -> Self {
        Self { kept: Mutex::default(), changed: ChangedPages::default(), work: Notify::new() }
    }

    /// The kept messages that follow a seq without a hole, with their current receipts and names.
    fn after(&self, room: &Room, after: Seq, limit: usize) -> Option<Vec<Arc<Envelope>>> {
        let replaced;
        let mut page: Vec<_> = {
            let mut kept = self.kept.lock();
            replaced = room.replaced.load(Ordering::SeqCst);
            let stretch = kept.rooms.get_mut(&room.id)?;
            let skipped = usize::try_from(after.0 - stretch.before()?.0).ok()?;
            stretch.asked_for = Instant::now();
            stretch.messages.iter().skip(skipped).take(limit).cloned().collect()
        };
        if page.is_empty() {
            return None;
        }
        if room.bring_up_to_date(&mut page) {
            // Their renderings then serve the next connection, too.
            self.keep(room, &page, replaced);
        }
        Some(page)
    }

    /// The number of messages between a seq and the first kept message of the room.
    fn gap(&self, room: RoomId, after: Seq) -> Option<usize> {
        let before = self.kept.lock().rooms.get(&room)?.before()?;
        usize::try_from(before.0 - after.0).ok().filter(|gap| *gap > 0)
    }

    /// Replaces the versions of changed messages, unless they are newer. Call it before the changes are published.
    pub fn replace(&self, room: &Room, messages: &[Arc<Message>]) {
        let mut kept = self.kept.lock();
        room.replaced.fetch_add(1, Ordering::SeqCst);
        kept.replace(room.id, messages);
        self.changed.forget(room.id);
    }

    /// Forgets a room whose messages were changed in an unknown way.
    pub fn forget(&self, room: &Room) {
        let mut kept = self.kept.lock();
        room.replaced.fetch_add(1, Ordering::SeqCst);
        if let Some(stretch) = kept.rooms.remove(&room.id) {
            kept.bytes -= stretch.bytes;
        }
        self.changed.forget(room.id);
    }

    /// Keeps a page, and joins it with the kept messages of the room, unless messages were replaced since it was read.
    fn keep(&self, room: &Room, page: &[Arc<Envelope>], replaced: u64) {
        let mut kept = self.kept.lock();
        if room.replaced.load(Ordering::SeqCst) == replaced && kept.add(room.id, page) {
            self.work.notify_one();
        }
    }

    /// Removes what was not asked for lately. Returns whether anything is left.
    fn sweep(&self, now: Instant) -> bool {
        let mut kept = self.kept.lock();
        let for_less = |than, since| now.saturating_duration_since(since) < than;
        kept.rooms
            .retain(|_, stretch| for_less(KEPT, stretch.asked_for) && for_less(AT_LONGEST, stretch.since));
        kept.bytes = kept.rooms.values().map(|stretch| stretch.bytes).sum();
        if kept.rooms.is_empty() {
            *kept = Kept::default();
        }
        !kept.rooms.is_empty()
    }
}

impl Room {
    /// Replaces messages in `page` whose receipts or sender name have changed since the messages were read.
    /// Returns whether it replaced any.
    fn bring_up_to_date(&self, page: &mut [Arc<Envelope>]) -> bool {
        let state = self.state.lock();
        let floors = state.receipts.floors();
        let mut changed = false;
        for envelope in page {
            let Some(message) = envelope.message() else { continue };
            let (sender, seq) = (message.row.sender_id, message.row.seq);
            let delivered_to_all = floors.delivered.of(sender) >= seq;
            let read_by_all = floors.read.of(sender) >= seq;
            let person = state.members.get(sender).map_or(&message.sender, |member| &member.person);
            if (delivered_to_all, read_by_all) != (message.delivered_to_all, message.read_by_all)
                || *person != message.sender
            {
                let message = Message {
                    delivered_to_all,
                    read_by_all,
                    sender: person.clone(),
                    ..Message::clone(message)
                };
                *envelope = Arc::new(Envelope::new(Event::Message(Arc::new(message))));
                changed = true;
            }
        }
        changed
    }
}

impl Kept {
    /// Joins a page with the kept messages of its room. Returns whether there was space for it.
    fn add(&mut self, room: RoomId, page: &[Arc<Envelope>]) -> bool {
        let mut stretch = match self.rooms.remove(&room) {
            Some(stretch) => {
                self.bytes -= stretch.bytes;
                stretch
            }
            None => {
                let now = Instant::now();
                Stretch { messages: VecDeque::new(), bytes: 0, since: now, asked_for: now }
            }
        };
        stretch.join(page);
        let fits = self.bytes + stretch.bytes <= OF_ALL;
        if fits {
            self.bytes += stretch.bytes;
            self.rooms.insert(room, stretch);
        }
        fits
    }

    fn replace(&mut self, room: RoomId, messages: &[Arc<Message>]) {
        let Some(stretch) = self.rooms.get_mut(&room) else { return };
        for message in messages {
            let is_not_newer = |kept: &&mut Arc<Envelope>| {
                let row = kept.message().map(|message| &message.row);
                row.is_some_and(|row| row.seq == message.row.seq && row.change <= message.row.change)
            };
            if let Some(older) = stretch.messages.iter_mut().find(is_not_newer) {
                *older = Arc::new(Envelope::new(Event::Message(message.clone())));
            }
        }
        self.bytes -= stretch.bytes;
        stretch.bytes = stretch.messages.iter().map(|envelope| bytes_of(envelope)).sum();
        self.bytes += stretch.bytes;
    }
}

impl Stretch {
    /// The seq before its first message.
    fn before(&self) -> Option<Seq> {
        let first = self.messages.front().and_then(|envelope| seq_of(envelope))?;
        Some(Seq(first.0 - 1))
    }

    /// Adds messages that overlap this stretch or are next to it; newer versions replace its own. A page
    /// elsewhere replaces the whole stretch.
    fn join(&mut self, page: &[Arc<Envelope>]) {
        let seq = |envelope: Option<&Arc<Envelope>>| envelope.and_then(|envelope| seq_of(envelope));
        let (Some(from), Some(upto)) = (seq(page.first()), seq(page.last())) else { return };
        if let (Some(first), Some(last)) = (seq(self.messages.front()), seq(self.messages.back()))
            && (upto.next() < first || last.next() < from)
        {
            self.messages.clear();
        }
        let older = self.messages.iter().take_while(|old| seq_of(old) < Some(from)).count();
        let newer =
            self.messages.iter().skip_while(|old| seq_of(old) <= Some(upto)).cloned().collect::<Vec<_>>();
        self.messages.truncate(older);
        self.messages.extend(page.iter().cloned().chain(newer));
        // The newest messages are asked for most.
        self.messages.drain(..self.messages.len().saturating_sub(OF_ONE_ROOM));
        self.bytes = self.messages.iter().map(|envelope| bytes_of(envelope)).sum();
    }
}

fn seq_of(envelope: &Envelope) -> Option<Seq> {
    envelope.message().map(|message| message.row.seq)
}

fn bytes_of(envelope: &Envelope) -> usize {
    // Once in the row, and once for each wire format in use in a room.
    BESIDES + envelope.message().map_or(0, |message| 4 * message.bytes())
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use entity::{ChangeNumber, UserId};

    use super::*;

    fn page(seqs: RangeInclusive<i64>) -> Vec<Arc<Envelope>> {
        let room = RoomId::new();
        let model = |seq| Message::in_group(room, seq, UserId::new());
        seqs.map(|seq| Arc::new(Envelope::new(Event::Message(Arc::new(model(seq)))))).collect()
    }

    fn kept(missed: &ReplayCache, room: RoomId) -> Vec<i64> {
        let kept = missed.kept.lock();
        let messages = kept.rooms.get(&room).into_iter().flat_map(|stretch| &stretch.messages);
        messages.filter_map(|envelope| Some(seq_of(envelope)?.0)).collect()
    }

    fn range(seqs: RangeInclusive<i64>) -> Vec<i64> {
        seqs.collect()
    }

    #[test]
    fn what_is_kept_never_has_a_hole() {
        let (missed, room) = (ReplayCache::new(), RoomId::new());
        for (added, stands) in [
            (5..=9, 5..=9),
            // Next to it, on either side.
            (10..=12, 5..=12),
            (3..=4, 3..=12),
            // Over its ends, and inside.
            (1..=5, 1..=12),
            (11..=15, 1..=15),
            (7..=8, 1..=15),
            // Elsewhere.
            (17..=18, 17..=18),
            (1..=15, 1..=15),
        ] {
            missed.kept.lock().add(room, &page(added.clone()));
            assert_eq!(kept(&missed, room), range(stands), "{added:?}");
        }
        assert_eq!(missed.gap(room, Seq(0)), None);
        missed.kept.lock().add(room, &page(31..=32));
        assert_eq!(missed.gap(room, Seq(10)), Some(20));
        assert_eq!(missed.gap(room, Seq(40)), None);
    }

    #[test]
    fn newer_versions_of_messages_replace_older_ones() {
        let (missed, room) = (ReplayCache::new(), RoomId::new());
        missed.kept.lock().add(room, &page(1..=9));
        let newer = page(4..=6);
        missed.kept.lock().add(room, &newer);
        let state = missed.kept.lock();
        let stretch = state.rooms.get(&room).unwrap();
        assert!(newer.iter().zip(stretch.messages.iter().skip(3)).all(|(new, kept)| Arc::ptr_eq(new, kept)));
    }

    #[test]
    fn a_changed_message_replaces_the_older_one_in_its_place() {
        let (missed, room) = (ReplayCache::new(), RoomId::new());
        let mut state = missed.kept.lock();
        state.add(room, &page(1..=3));
        let version = |seq, change, length| {
            let mut changed = Message::in_group(room, seq, UserId::new());
            (changed.row.change, changed.row.content) = (ChangeNumber(change), "x".repeat(length));
            Arc::new(changed)
        };
        state.replace(room, &[version(2, 5, 100), version(9, 6, 10)]);
        // A frame of another node may come late.
        state.replace(room, &[version(2, 4, 50)]);
        let contents =
            state.rooms[&room].messages.iter().map(|kept| kept.message().unwrap().row.content.len());
        assert_eq!(contents.collect::<Vec<_>>(), [2, 100, 2]);
        assert_eq!(state.bytes, 3 * BESIDES + 4 * 104);
    }

    #[test]
    fn only_so_much_is_kept_and_only_for_so_long() {
        let (missed, room) = (ReplayCache::new(), RoomId::new());
        missed.kept.lock().add(room, &page(1..=OF_ONE_ROOM as i64));
        missed.kept.lock().add(room, &page(1_001..=1_010));
        assert_eq!(kept(&missed, room), range(11..=1_010));
        for _ in 0..40 {
            missed.kept.lock().add(RoomId::new(), &page(1..=OF_ONE_ROOM as i64));
        }
        assert!(missed.kept.lock().bytes <= OF_ALL);
        assert!(missed.sweep(Instant::now()));
        assert!(!missed.sweep(Instant::now() + KEPT));
        assert_eq!(missed.kept.lock().bytes, 0);
        assert!(kept(&missed, room).is_empty());
    }
}
