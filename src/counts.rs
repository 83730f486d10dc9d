//! Counts of live objects. Objects that could be left over are counted from their creation to their end, so
//! that metrics and tests show any that are left over. Knows nothing of what it counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// A number of live objects. Cheap to clone; all clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicUsize>);

impl Count {
    /// Counts one more, for as long as the returned value is kept.
    #[must_use = "it counts for as long as it is kept"]
    pub fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// Adds `more`; returns the new number.
    pub fn add(&self, more: usize) -> usize {
        self.0.fetch_add(more, Ordering::Relaxed) + more
    }

    /// Removes `less` of those that were added.
    pub fn remove(&self, less: usize) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    pub fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of a [`Count`], until it is dropped.
#[derive(Debug)]
pub struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All counts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// TCP connections.
    pub tcp_connections: Count,
    /// Engine.IO sessions, in a namespace or not.
    pub engine_sessions: Count,
    /// Engine.IO sessions that have joined no namespace.
    pub pending_connections: Count,
    /// Bytes that wait for connections.
    pub outgoing_bytes: Count,
    /// Bytes of events that wait to be handled.
    pub waiting_bytes: Count,
    /// `response` events whose acknowledgement is pending.
    pub acknowledgements: Count,
    /// Tasks that send a connection the messages that it has missed in one room.
    pub catch_ups: Count,
    /// Connections in memory, by the name of their gateway. Names stay, so that a gauge returns to zero.
    connections: Arc<Mutex<BTreeMap<&'static str, Count>>>,
}

impl Counts {
    /// Counts one more connection of this gateway, for as long as the returned value is kept.
    pub fn connection(&self, gateway: &'static str) -> Counted {
        self.connections.lock().entry(gateway).or_default().one()
    }

    pub fn connections(&self) -> Vec<(&'static str, usize)> {
        self.connections.lock().iter().map(|(gateway, count)| (*gateway, count.now())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_counted_no_more() {
        let counts = Counts::default();
        let (one, two) = (counts.connection("a"), counts.clone().connection("a"));
        assert_eq!(counts.connections(), [("a", 2)]);
        drop(one);
        drop(two);
        assert_eq!(counts.connections(), [("a", 0)]);
    }
}
