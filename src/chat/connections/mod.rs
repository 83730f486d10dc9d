//! The connections: each from its first moment until everyone is notified that its user has gone.

pub mod connection;

pub(in crate::chat) mod broadcast;
pub(in crate::chat) mod expiry;
pub(in crate::chat) mod hub;
pub(in crate::chat) mod lifecycle;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Identifies a connection inside this process. A Socket.IO id is also the engine's session id, which must
/// never reach another user, so the core has its own ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
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
