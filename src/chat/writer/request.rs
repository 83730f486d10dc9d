//! What a commit needs from the database: the rooms of its drafts, and the conditions on them.

use std::collections::{BTreeMap, HashSet};

use entity::{RoomId, Seq};

use super::QueuedDraft;

/// What a commit's drafts need from their rooms.
pub(super) struct CommitRequest {
    pub rooms: BTreeMap<RoomId, RoomRequest>,
    /// The 1-based position of each draft among the drafts of its room.
    pub places: Vec<i64>,
}

pub(super) struct RoomRequest {
    pub roster_version: i64,
    pub messages: i64,
    /// The newest message that this node knows of.
    pub last: Seq,
}

impl CommitRequest {
    /// `None` if the drafts need a closer look: one repeats another, their senders were found in different versions of a
    /// room's membership, or rows of other tables belong to one.
    pub fn of(drafts: &[QueuedDraft]) -> Option<Self> {
        let mut rooms: BTreeMap<RoomId, RoomRequest> = BTreeMap::new();
        let mut places = Vec::with_capacity(drafts.len());
        let mut seen = HashSet::with_capacity(drafts.len());
        for draft in drafts {
            if draft.extras.as_ref().is_some_and(|extras| extras.has_rows()) {
                return None;
            }
            let id = draft.client_message_id.as_ref();
            if id.is_some_and(|id| !seen.insert((draft.room.id, draft.sender, id))) {
                return None;
            }
            let room = rooms.entry(draft.room.id).or_insert_with(|| RoomRequest {
                roster_version: draft.roster_version,
                messages: 0,
                last: draft.room.published(),
            });
            if room.roster_version != draft.roster_version {
                return None;
            }
            room.messages += 1;
            places.push(room.messages);
        }
        Some(Self { rooms, places })
    }
}
