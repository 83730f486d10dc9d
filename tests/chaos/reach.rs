//! How far a person's receipt in one room may have got at most, by what their devices have said: the rule
//! of docs/events.md, worked out a second time and without the server.
//!
//! A receipt moves to the highest seq up to which everything was acknowledged, by one of the person's
//! connections, and a connection that begins beyond the receipt waits for the others to fill the hole. What a
//! connection was not asked to acknowledge counts with the next that it acknowledges.

use std::collections::{BTreeMap, BTreeSet};

/// A device's connection: the device, and the how-manieth of it.
pub type Connection = (usize, u32);

#[derive(Debug, Default)]
pub struct Reach {
    delivered: i64,
    read: i64,
    connections: BTreeMap<Connection, Span>,
    /// The highest seq that each connection has acknowledged or claimed, beyond holes as well.
    highest: BTreeMap<Connection, i64>,
}

/// What one connection has acknowledged: everything in `(from, upto]`, and some beyond a hole.
#[derive(Debug)]
struct Span {
    from: i64,
    upto: i64,
    beyond: BTreeSet<i64>,
    unrequested: BTreeSet<i64>,
}

impl Span {
    /// Moves over what follows and has arrived.
    fn joins(&mut self) {
        let newest = self.beyond.last().copied().unwrap_or(0);
        let next = |span: &Self| span.upto + 1;
        while self.beyond.remove(&next(self)) || (next(self) < newest && self.unrequested.remove(&next(self)))
        {
            self.upto += 1;
        }
    }
}

impl Reach {
    /// What may be delivered, which what was read is, too.
    pub fn delivered(&self) -> i64 {
        self.delivered.max(self.read)
    }

    /// What was acknowledged alone.
    pub fn acknowledged_up_to(&self) -> i64 {
        self.delivered
    }

    pub fn read(&self) -> i64 {
        self.read
    }

    /// A connection gets its first message after `from`.
    pub fn begins(&mut self, connection: Connection, from: i64) {
        let fresh = || Span { from, upto: from, beyond: BTreeSet::new(), unrequested: BTreeSet::new() };
        self.connections.entry(connection).or_insert_with(fresh);
    }

    /// A message came without a request to acknowledge it.
    pub fn gets_unrequested(&mut self, connection: Connection, seq: i64) {
        if let Some(span) = self.connections.get_mut(&connection) {
            span.unrequested.insert(seq);
        }
    }

    pub fn acknowledges(&mut self, connection: Connection, seq: i64) {
        self.knows(connection, seq);
        let Some(span) = self.connections.get_mut(&connection) else { return };
        if seq > span.upto {
            span.beyond.insert(seq);
            span.joins();
        }
        self.moves();
    }

    /// A device says that it has everything up to `seq`.
    pub fn claims(&mut self, connection: Connection, seq: i64) {
        self.knows(connection, seq);
        self.delivered = self.delivered.max(seq);
        if let Some(span) = self.connections.get_mut(&connection)
            && seq >= span.from
        {
            span.from = 0;
            span.upto = span.upto.max(seq);
            span.beyond.retain(|beyond| *beyond > seq);
            span.joins();
        }
        self.moves();
    }

    fn knows(&mut self, connection: Connection, seq: i64) {
        let highest = self.highest.entry(connection).or_default();
        *highest = seq.max(*highest);
    }

    /// A connection sends a message: whoever answers has read what the connection had acknowledged.
    pub fn answers(&mut self, connection: Connection) {
        let read = self.highest.get(&connection).copied().unwrap_or(0);
        self.marks_read(read);
    }

    pub fn marks_read(&mut self, seq: i64) {
        self.read = self.read.max(seq);
    }

    /// A device comes anew: what its earlier connections acknowledged is known, though the server may still
    /// hear of it, and what of it lies behind the receipt cannot move that any more.
    pub fn forgets(&mut self, (device, newest): Connection) {
        let delivered = self.delivered;
        self.connections
            .retain(|(other, number), span| *other != device || *number >= newest || span.upto > delivered);
    }

    fn moves(&mut self) {
        let Self { delivered, connections, .. } = self;
        loop {
            let next =
                connections.values().filter(|span| span.from <= *delivered).map(|span| span.upto).max();
            match next {
                Some(next) if next > *delivered => *delivered = next,
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_waited_for_whoever_fills_it() {
        let mut reach = Reach::default();
        reach.begins((0, 1), 0);
        reach.begins((1, 1), 3);
        reach.acknowledges((1, 1), 4);
        reach.acknowledges((0, 1), 2);
        assert_eq!(reach.delivered(), 0);
        reach.acknowledges((0, 1), 1);
        assert_eq!(reach.delivered(), 2);
        reach.acknowledges((0, 1), 3);
        assert_eq!(reach.delivered(), 4);
        reach.claims((1, 1), 9);
        assert_eq!(reach.delivered(), 9);
        reach.marks_read(11);
        assert_eq!((reach.acknowledged_up_to(), reach.delivered(), reach.read()), (9, 11, 11));
    }

    #[test]
    fn what_was_not_asked_for_counts_with_the_next_that_is_acknowledged() {
        let mut reach = Reach::default();
        reach.begins((0, 1), 0);
        for seq in [2, 3, 5] {
            reach.gets_unrequested((0, 1), seq);
        }
        reach.acknowledges((0, 1), 1);
        assert_eq!(reach.delivered(), 1);
        reach.acknowledges((0, 1), 4);
        assert_eq!(reach.delivered(), 4);
    }

    #[test]
    fn who_answers_has_read_what_the_same_connection_had_acknowledged() {
        let mut reach = Reach::default();
        reach.begins((0, 1), 0);
        reach.begins((1, 1), 0);
        reach.acknowledges((0, 1), 1);
        reach.acknowledges((0, 1), 3);
        reach.answers((1, 1));
        assert_eq!(reach.read(), 0);
        reach.answers((0, 1));
        assert_eq!(reach.read(), 3);
    }
}
