//! How far members have received and read, as plain rules: what one connection has acknowledged, a member's
//! marks, and the lowest marks of a room. No lock, no room, no wire format.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::RangeInclusive,
};

use entity::{Seq, UserId};

/// The most acknowledgements after a hole that are remembered for one connection.
const BEYOND: usize = 4_096;

/// How far a member has received and read, and up to where the member was notified of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub delivered: Seq,
    pub read: Seq,
    pub notified: Seq,
    /// When `read` moved last, in Unix milliseconds.
    pub read_at: i64,
}

impl Marks {
    /// All marks at one seq, for a new member.
    pub fn at(seq: Seq) -> Self {
        Self { delivered: seq, read: seq, notified: seq, read_at: 0 }
    }

    /// The greater of each pair of marks.
    pub fn max(self, other: Self) -> Self {
        Self {
            delivered: self.delivered.max(other.delivered),
            read: self.read.max(other.read),
            notified: self.notified.max(other.notified),
            read_at: self.read_at.max(other.read_at),
        }
    }

    /// The newest received seq. A message that was read was also received.
    pub fn arrived(&self) -> Seq {
        self.delivered.max(self.read)
    }
}

/// What one connection has acknowledged: everything in `(from, upto]`, and some messages after a hole.
#[derive(Debug)]
pub struct Acked {
    pub from: Seq,
    pub upto: Seq,
    /// The highest seq of a message of somebody else that was acknowledged, before or after a hole; zero if
    /// none was.
    pub highest: Seq,
    beyond: BTreeSet<Seq>,
    /// Messages after `upto` that were sent without a request for an acknowledgement, as ranges in order, at
    /// most [`BEYOND`]. What is sent on one connection arrives in order, so the acknowledgement of a later
    /// message covers them.
    unrequested: VecDeque<RangeInclusive<Seq>>,
    /// The user's own messages that were sent and not acknowledged, at most [`BEYOND`].
    own: VecDeque<Seq>,
    /// The newest message of somebody else that was sent.
    newest_other: Seq,
}

impl Acked {
    pub fn after(seq: Seq) -> Self {
        Self {
            from: seq,
            upto: seq,
            highest: Seq::ZERO,
            beyond: BTreeSet::new(),
            unrequested: VecDeque::new(),
            own: VecDeque::new(),
            newest_other: seq,
        }
    }

    /// The client has said that it has everything up to `seq`.
    pub fn up_to(seq: Seq) -> Self {
        Self { highest: seq, ..Self::after(seq) }
    }

    /// A message was sent to the connection. The user's own messages are kept apart, because who
    /// sends messages has not read others. `is_unrequested`: its client acknowledges messages, but was not asked to
    /// acknowledge this one.
    pub fn sent(&mut self, seq: Seq, is_own: bool, is_unrequested: bool) {
        if is_unrequested {
            self.add_unrequested(seq);
        }
        if !is_own {
            self.sent_of_another(seq);
        } else if self.own.len() < BEYOND {
            self.own.push_back(seq);
        }
    }

    /// The same for a message of another user, whose acknowledgement was asked for.
    #[inline]
    pub fn sent_of_another(&mut self, seq: Seq) {
        self.newest_other = seq;
    }

    fn add_unrequested(&mut self, seq: Seq) {
        if let Some(last) = self.unrequested.back_mut()
            && last.end().next() == seq
        {
            *last = *last.start()..=seq;
        } else if self.unrequested.len() < BEYOND {
            // Otherwise the receipt waits until the client says that it has everything up to a later message.
            self.unrequested.push_back(seq..=seq);
        }
    }

    /// Whether acknowledgements of messages up to `seq`, which was sent, may still come.
    pub fn awaits(&self, seq: Seq) -> bool {
        let next = self.upto.next();
        let unrequested = |range: &RangeInclusive<Seq>| *range.start() <= next && *range.end() >= seq;
        self.upto < seq && !self.unrequested.front().is_some_and(unrequested)
    }

    pub fn add(&mut self, seq: Seq) {
        match self.own.binary_search(&seq) {
            Ok(at) => drop(self.own.remove(at)),
            Err(_) => self.highest = self.highest.max(seq),
        }
        if seq == self.upto.next() {
            self.upto = seq;
            self.join();
        } else if seq > self.upto && self.beyond.len() < BEYOND {
            // The rest is ignored: the receipt waits for the hole in any case.
            self.beyond.insert(seq);
            self.join();
        }
    }

    /// The client has everything up to `seq`. If `seq` is before its first message, the messages between stay
    /// a hole.
    pub fn everything_up_to(&mut self, seq: Seq) {
        self.highest = self.highest.max(seq.min(self.newest_other));
        self.own.retain(|own| *own > seq);
        if seq < self.from {
            return;
        }
        self.from = Seq::ZERO;
        self.upto = self.upto.max(seq);
        self.beyond = self.beyond.split_off(&self.upto.next());
        self.join();
    }

    /// Moves `upto` over what follows it and has arrived.
    fn join(&mut self) {
        loop {
            while self.beyond.remove(&self.upto.next()) {
                self.upto = self.upto.next();
            }
            while self.unrequested.front().is_some_and(|range| *range.end() <= self.upto) {
                self.unrequested.pop_front();
            }
            let newest = self.beyond.last().copied().unwrap_or(self.upto);
            match self.unrequested.front() {
                Some(range) if *range.start() <= self.upto.next() && *range.end() < newest => {
                    self.upto = *range.end();
                }
                _ => return,
            }
        }
    }
}

/// What a connection has acknowledged: everything in `(after, upto]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub user: UserId,
    pub after: Seq,
    pub upto: Seq,
}

/// The lowest marks of a room's members, kept so that a sender's own mark can be left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor {
    pub least: Option<(Seq, UserId)>,
    second: Option<Seq>,
}

impl Floor {
    pub fn add(&mut self, user: UserId, seq: Seq) {
        match self.least {
            Some((least, _)) if seq >= least => {
                self.second = Some(self.second.map_or(seq, |second| second.min(seq)));
            }
            Some((least, _)) => {
                self.second = Some(least);
                self.least = Some((seq, user));
            }
            None => self.least = Some((seq, user)),
        }
    }

    /// The seq that everyone except the sender has reached. If the sender is alone in the room, the sender's
    /// own.
    pub fn of(&self, sender: UserId) -> Seq {
        match self.least {
            None => Seq::ZERO,
            Some((least, holder)) if holder != sender => least,
            Some((own, _)) => self.second.unwrap_or(own),
        }
    }
}

/// The lowest marks of a room at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floors {
    pub delivered: Floor,
    pub read: Floor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_beyond_a_hole_waits_for_the_hole() {
        let mut acked = Acked::after(Seq(3));
        acked.add(Seq(5));
        acked.add(Seq(6));
        assert_eq!(acked.upto, Seq(3));
        acked.add(Seq(4));
        assert_eq!(acked.upto, Seq(6));
        acked.add(Seq(2));
        assert_eq!(acked.upto, Seq(6));
        acked.add(Seq(9));
        acked.everything_up_to(Seq(8));
        assert_eq!((acked.upto, acked.beyond.len()), (Seq(9), 0));
    }

    #[test]
    fn what_lies_before_a_connections_first_message_stays_a_hole() {
        let mut acked = Acked::after(Seq(10));
        acked.everything_up_to(Seq(3));
        acked.add(Seq(11));
        assert_eq!((acked.from, acked.upto), (Seq(10), Seq(11)), "4 to 10 were acknowledged by nobody");
        acked.everything_up_to(Seq(10));
        assert_eq!((acked.from, acked.upto), (Seq(0), Seq(11)));
    }

    #[test]
    fn a_later_acknowledgement_covers_what_was_sent_without_a_request() {
        let mut acked = Acked::after(Seq(0));
        for seq in [3, 4, 7] {
            acked.sent(Seq(seq), false, true);
        }
        acked.add(Seq(1));
        assert!(acked.awaits(Seq(2)) && acked.awaits(Seq(4)), "the second may come");
        acked.add(Seq(5));
        assert_eq!(acked.upto, Seq(1), "the second was asked for, and is missing");
        acked.add(Seq(2));
        assert_eq!(acked.upto, Seq(5));
        acked.add(Seq(6));
        assert_eq!(acked.upto, Seq(6), "nothing says that the seventh has arrived");
        assert!(!acked.awaits(Seq(7)), "nothing will come by itself");
        assert!(acked.awaits(Seq(8)));
        acked.add(Seq(8));
        assert_eq!((acked.upto, acked.unrequested.len()), (Seq(8), 0));
        acked.sent(Seq(9), false, true);
        acked.everything_up_to(Seq(12));
        assert_eq!((acked.upto, acked.unrequested.len()), (Seq(12), 0));
    }

    #[test]
    fn the_highest_is_of_somebody_else() {
        let mut acked = Acked::after(Seq(0));
        for (seq, is_own) in [(1, true), (2, false), (3, true), (4, true)] {
            acked.sent(Seq(seq), is_own, false);
        }
        acked.add(Seq(1));
        assert_eq!(acked.highest, Seq(0));
        acked.add(Seq(2));
        acked.add(Seq(4));
        assert_eq!((acked.highest, acked.upto), (Seq(2), Seq(2)));
        acked.everything_up_to(Seq(4));
        assert_eq!((acked.highest, acked.upto), (Seq(2), Seq(4)));
    }

    #[test]
    fn acknowledgements_beyond_a_hole_do_not_pile_up_for_ever() {
        let mut acked = Acked::after(Seq(0));
        for seq in 2..10_000 {
            acked.add(Seq(seq));
        }
        assert_eq!(acked.beyond.len(), BEYOND);
    }

    #[test]
    fn the_floor_leaves_the_sender_out_unless_alone() {
        let (ada, bob, cyd) = (UserId::new(), UserId::new(), UserId::new());
        let mut floor = Floor::default();
        assert_eq!(floor.of(ada), Seq(0));
        floor.add(ada, Seq(1));
        assert_eq!(floor.of(ada), Seq(1), "alone, one's own counts");
        floor.add(bob, Seq(5));
        floor.add(cyd, Seq(3));
        assert_eq!(floor.of(ada), Seq(3));
        assert_eq!(floor.of(bob), Seq(1));
        assert_eq!(floor.of(UserId::new()), Seq(1), "one who left waits for all who are there");
    }
}
