//! Each user's own settings of a room: which messages to be notified of, muted, archived, marked as unread, and a
//! draft. They are stored with the membership (`members.view`). The user's devices keep them the same.
//!
//! - `set`: changes them
//! - `tell`: tells the user's other connections what differs now, also how far the user has read and how many messages
//!   are unread
//! - `follow`: tells the connections here of what was changed at another node

mod follow;
mod set;
mod tell;

use std::{collections::BTreeMap, sync::Arc};

use entity::{ChangeNumber, RoomId, UserId};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Notify};

pub use self::set::ViewChange;
use self::tell::RoomNews;
pub(super) use self::tell::{run, tell};
use super::room::Room;
use crate::room_view::StoredView;

/// Locks shared by all users; the user's id selects the lock.
const STRIPES: usize = 64;

/// See the module.
pub(super) struct Views {
    /// A user's views are written, told and answered one after the other, so that all devices end with the same.
    turns: [AsyncMutex<()>; STRIPES],
    /// What is to be told, at most once for each room and user.
    news: Mutex<BTreeMap<(RoomId, UserId), RoomNews>>,
    /// Rooms in which another node has changed messages, each with the last change before these.
    foreign: Mutex<BTreeMap<RoomId, (Arc<Room>, ChangeNumber)>>,
    work: Notify,
    /// One round at a time.
    telling: AsyncMutex<()>,
}

impl Views {
    pub fn new() -> Self {
        Self {
            turns: std::array::from_fn(|_| AsyncMutex::new(())),
            news: Mutex::default(),
            foreign: Mutex::default(),
            work: Notify::new(),
            telling: AsyncMutex::default(),
        }
    }

    async fn turn(&self, user: UserId) -> MutexGuard<'_, ()> {
        let [.., last] = user.0.into_bytes();
        self.turns[usize::from(last) % STRIPES].lock().await
    }
}

/// A view from what is stored.
pub(super) fn read_view(json: &str) -> StoredView {
    StoredView::read(json).unwrap_or_else(|err| {
        tracing::error!(error = %err, "the view of a room cannot be read");
        StoredView::default()
    })
}
