//! How far members have received and read, as plain rules: what one connection has acknowledged, a member's
//! marks, and the lowest marks of a room. No lock, no room, no wire format.

use std::collections::BTreeSet;

use entity::{Seq, UserId};

/// The most acknowledgements after a hole that are remembered for one connection.
const BEYOND: usize = 4_096;

/// How far a member has received and read, and up to where the member was notified of deliveries (`told`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub delivered: Seq,
    pub read: Seq,
    pub told: Seq,
}

impl Marks {
    /// All marks at one seq, for a new member.
    pub fn at(seq: Seq) -> Self {
        Self { delivered: seq, read: seq, told: seq }
    }

    /// The greater of each pair of marks.
    pub fn max(self, other: Self) -> Self {
        Self {
            delivered: self.delivered.max(other.delivered),
            read: self.read.max(other.read),
            told: self.told.max(other.told),
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
    beyond: BTreeSet<Seq>,
}

impl Acked {
    pub fn after(seq: Seq) -> Self {
        Self { from: seq, upto: seq, beyond: BTreeSet::new() }
    }

    pub fn add(&mut self, seq: Seq) {
        if seq == self.upto.next() {
            self.upto = seq;
            self.join();
        } else if seq > self.upto && self.beyond.len() < BEYOND {
            // The rest is ignored: the receipt waits for the hole in any case.
            self.beyond.insert(seq);
        }
    }

    /// The client has everything up to `seq`. If `seq` is before its first message, the messages between stay
    /// a hole.
    pub fn everything_up_to(&mut self, seq: Seq) {
        if seq < self.from {
            return;
        }
        self.from = Seq::ZERO;
        self.upto = self.upto.max(seq);
        self.beyond = self.beyond.split_off(&self.upto.next());
        self.join();
    }

    fn join(&mut self) {
        while self.beyond.remove(&self.upto.next()) {
            self.upto = self.upto.next();
        }
    }
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
