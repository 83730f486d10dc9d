//! The connections: each from its first moment until everyone is notified that its user has gone.

pub mod connection;

mod ending;
pub(in crate::chat) mod expiry;
pub(in crate::chat) mod hub;
pub(in crate::chat) mod lifecycle;
pub(in crate::chat) mod news;
pub(in crate::chat) mod options;
pub(in crate::chat) mod publish;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{db::Db, shutdown::Shutdown};

/// What connecting needs: the rooms of a user, and the ends of tokens.
pub(in crate::chat) struct Connecting {
    rooms_of: lifecycle::RoomsOf,
    expiry: expiry::Expiry,
}

impl Connecting {
    pub fn new(db: &Db, shutdown: &Shutdown) -> Self {
        Self { rooms_of: lifecycle::rooms_of(db, shutdown), expiry: expiry::Expiry::new() }
    }
}

/// Identifies a connection inside this process. A Socket.IO id is also the engine's session id, which must
/// never reach another user, so the core has its own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// A connection of another node: none here has this id.
    pub(in crate::chat) const ELSEWHERE: Self = Self(0);

    pub(in crate::chat) fn next() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(1);
        Self(COUNTER.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A point in the order in which connections opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chat) struct Opening(u64);

static OPENINGS: AtomicU64 = AtomicU64::new(1);

impl Opening {
    /// After all connections that are open now.
    pub fn now() -> Self {
        Self(OPENINGS.load(Ordering::SeqCst))
    }

    pub(in crate::chat) fn next() -> Self {
        Self(OPENINGS.fetch_add(1, Ordering::SeqCst))
    }
}
