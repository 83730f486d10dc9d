//! What connections have missed: read once for all who come back to the same place of a room, and kept
//! for a moment, with what gateways have rendered of it.
//!
//! A stored message never changes. What does change is what is known about it: how far it has got, and
//! what its sender is called. That is looked up each time, so a page from here is what the database
//! would have given. Whoever teaches the server to change or delete messages has to tell it here.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use entity::{RoomId, Seq};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Core,
    event::{Envelope, Event},
    roster::Roster,
};
use crate::error::Result;

/// How long messages are kept after they were last asked for.
const KEPT: Duration = Duration::from_secs(5);
/// How long they are kept however often they are asked for: what somebody who has left the room is called
/// is not looked up again.
const AT_LONGEST: Duration = Duration::from_secs(60);
/// Most messages kept of one room.
const OF_ONE_ROOM: usize = 1_000;
/// Most bytes kept of all rooms; beyond it everyone reads for themself.
const OF_ALL: usize = 16 << 20;
/// What a message takes besides its content, about: the row, its names, and what is rendered of it.
const BESIDES: usize = 1_000;

/// See the module.
pub(super) struct Missed {
    kept: Mutex<Kept>,
    /// Told when something is kept again.
    work: Notify,
}

#[derive(Default)]
struct Kept {
    rooms: HashMap<RoomId, Stretch>,
    bytes: usize,
}

/// Messages of one room, in the order of seq and without a hole.
struct Stretch {
    messages: VecDeque<Arc<Envelope>>,
    bytes: usize,
    since: Instant,
    asked_for: Instant,
}

impl Core {
    /// A page of the messages that follow a seq, oldest first; fewer than `limit` only where no more
    /// are published.
    pub(super) async fn missed(
        &self,
        roster: &Roster,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<Envelope>>> {
        let mut page = Vec::new();
        let mut after = after;
        while page.len() < limit && after < roster.published() {
            let part = self.missed_part(roster, after, limit - page.len()).await?;
            let Some(last) = part.last().and_then(|envelope| seq_of(envelope)) else { break };
            after = last;
            page.extend(part);
        }
        Ok(page)
    }

    /// As many of them as can be had in one go.
    async fn missed_part(&self, roster: &Roster, after: Seq, limit: usize) -> Result<Vec<Arc<Envelope>>> {
        if let Some(kept) = self.missed.after(roster, after, limit) {
            return Ok(kept);
        }
        // Who comes back at the same moment waits for the first one's page.
        let _reading = roster.reading.lock().await;
        if let Some(kept) = self.missed.after(roster, after, limit) {
            return Ok(kept);
        }
        let messages = match roster.recent(after) {
            Some(mut recent) if !recent.is_empty() => {
                recent.truncate(limit);
                recent
            }
            _ => {
                let limit = limit.min(self.missed.gap(roster.id, after).unwrap_or(limit));
                self.page_after(roster, after, limit as u64).await?
            }
        };
        let mut page: Vec<_> =
            messages.into_iter().map(|message| Arc::new(Envelope::new(Event::Message(message)))).collect();
        // The recent ones are as they were published: nobody had got them yet.
        roster.bring_up_to_date(&mut page);
        self.missed.keep(roster.id, &page);
        Ok(page)
    }
}

/// Lets go of what nobody asks for any more.
pub(super) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.missed.work.notified() => {}
            () = core.shutdown.begun() => return,
        }
        while core.missed.sweep(Instant::now()) {
            tokio::select! {
                () = tokio::time::sleep(KEPT / 5) => {}
                () = core.shutdown.begun() => return,
            }
        }
    }
}

impl Missed {
    pub fn new() -> Self {
        Self { kept: Mutex::default(), work: Notify::new() }
    }

    /// What is kept of the messages that follow a seq without a hole, as things stand now.
    fn after(&self, roster: &Roster, after: Seq, limit: usize) -> Option<Vec<Arc<Envelope>>> {
        let mut page: Vec<_> = {
            let mut kept = self.kept.lock();
            let stretch = kept.rooms.get_mut(&roster.id)?;
            let skipped = usize::try_from(after.0 - stretch.before()?.0).ok()?;
            stretch.asked_for = Instant::now();
            stretch.messages.iter().skip(skipped).take(limit).cloned().collect()
        };
        if page.is_empty() {
            return None;
        }
        if roster.bring_up_to_date(&mut page) {
            // What is rendered of them now serves the next one as well.
            self.keep(roster.id, &page);
        }
        Some(page)
    }

    /// How many messages lie between a seq and what is kept of the room.
    fn gap(&self, room: RoomId, after: Seq) -> Option<usize> {
        let before = self.kept.lock().rooms.get(&room)?.before()?;
        usize::try_from(before.0 - after.0).ok().filter(|gap| *gap > 0)
    }

    /// Keeps a page, joined with what is kept of the room already.
    fn keep(&self, room: RoomId, page: &[Arc<Envelope>]) {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let mut stretch = match kept.rooms.remove(&room) {
            Some(stretch) => {
                kept.bytes -= stretch.bytes;
                stretch
            }
            None => {
                let now = Instant::now();
                Stretch { messages: VecDeque::new(), bytes: 0, since: now, asked_for: now }
            }
        };
        stretch.join(page);
        if kept.bytes + stretch.bytes <= OF_ALL {
            kept.bytes += stretch.bytes;
            kept.rooms.insert(room, stretch);
            self.work.notify_one();
        }
    }

    /// Lets go of what was not asked for lately. Answers whether anything is left.
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

impl Stretch {
    /// The seq before its first message.
    fn before(&self) -> Option<Seq> {
        let first = self.messages.front().and_then(|envelope| seq_of(envelope))?;
        Some(Seq(first.0 - 1))
    }

    /// Takes in messages that overlap it or lie next to it, newer versions of its own among them; what
    /// lies elsewhere takes its place.
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
        // The newest are asked for most.
        self.messages.drain(..self.messages.len().saturating_sub(OF_ONE_ROOM));
        self.bytes = self.messages.iter().map(|envelope| bytes_of(envelope)).sum();
    }
}

fn seq_of(envelope: &Envelope) -> Option<Seq> {
    envelope.message().map(|message| message.row.seq)
}

fn bytes_of(envelope: &Envelope) -> usize {
    // Once as the row has it, and rendered for as many wires as there are in a room.
    BESIDES + envelope.message().map_or(0, |message| 4 * message.row.content.len())
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use entity::UserId;

    use super::*;
    use crate::chat::nouns::Message;

    fn page(seqs: RangeInclusive<i64>) -> Vec<Arc<Envelope>> {
        let room = RoomId::new();
        let noun = |seq| Message::in_group(room, seq, UserId::new());
        seqs.map(|seq| Arc::new(Envelope::new(Event::Message(Arc::new(noun(seq)))))).collect()
    }

    fn kept(missed: &Missed, room: RoomId) -> Vec<i64> {
        let kept = missed.kept.lock();
        let messages = kept.rooms.get(&room).into_iter().flat_map(|stretch| &stretch.messages);
        messages.filter_map(|envelope| Some(seq_of(envelope)?.0)).collect()
    }

    fn range(seqs: RangeInclusive<i64>) -> Vec<i64> {
        seqs.collect()
    }

    #[test]
    fn what_is_kept_never_has_a_hole() {
        let (missed, room) = (Missed::new(), RoomId::new());
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
            missed.keep(room, &page(added.clone()));
            assert_eq!(kept(&missed, room), range(stands), "{added:?}");
        }
        assert_eq!(missed.gap(room, Seq(0)), None);
        missed.keep(room, &page(31..=32));
        assert_eq!(missed.gap(room, Seq(10)), Some(20));
        assert_eq!(missed.gap(room, Seq(40)), None);
    }

    #[test]
    fn newer_versions_of_messages_replace_older_ones() {
        let (missed, room) = (Missed::new(), RoomId::new());
        missed.keep(room, &page(1..=9));
        let newer = page(4..=6);
        missed.keep(room, &newer);
        let state = missed.kept.lock();
        let stretch = state.rooms.get(&room).unwrap();
        assert!(newer.iter().zip(stretch.messages.iter().skip(3)).all(|(new, kept)| Arc::ptr_eq(new, kept)));
    }

    #[test]
    fn only_so_much_is_kept_and_only_for_so_long() {
        let (missed, room) = (Missed::new(), RoomId::new());
        missed.keep(room, &page(1..=OF_ONE_ROOM as i64));
        missed.keep(room, &page(1_001..=1_010));
        assert_eq!(kept(&missed, room), range(11..=1_010));
        for _ in 0..40 {
            missed.keep(RoomId::new(), &page(1..=OF_ONE_ROOM as i64));
        }
        assert!(missed.kept.lock().bytes <= OF_ALL);
        assert!(missed.sweep(Instant::now()));
        assert!(!missed.sweep(Instant::now() + KEPT));
        assert_eq!(missed.kept.lock().bytes, 0);
        assert!(kept(&missed, room).is_empty());
    }
}
