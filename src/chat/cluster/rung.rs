//! What a node has to look at, because another one has stored something.

use std::collections::BTreeSet;

use entity::RoomId;

use super::typing::TypingNews;
use crate::bus::frame::FrameEntry;

/// At most the rooms in memory of all nodes, and a bounded number of users who type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rung {
    /// Something was stored in these rooms.
    pub rooms: BTreeSet<RoomId>,
    /// There are notices.
    pub notices: bool,
    /// Users have come or gone.
    pub presences: bool,
    pub typing: TypingNews,
    /// Receipts of these rooms were saved, and not told.
    pub receipts: BTreeSet<RoomId>,
}

impl Rung {
    pub fn add(&mut self, other: Self) {
        self.rooms.extend(other.rooms);
        self.notices |= other.notices;
        self.presences |= other.presences;
        self.typing.add(other.typing);
        self.receipts.extend(other.receipts);
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn entries(&self) -> impl Iterator<Item = FrameEntry> {
        let notices = self.notices.then_some(FrameEntry::Notices);
        let presences = self.presences.then_some(FrameEntry::Presences);
        let rooms = self.rooms.iter().copied().map(FrameEntry::Room);
        rooms.chain(notices).chain(presences).chain(self.typing.entries())
    }
}
