//! What a device with a store says that it has of changes, and how it reads a room again. The messages themselves are
//! in its history; the checker works the store out of that.

use std::collections::BTreeMap;

use chrono::DateTime;
use entity::RoomId;
use serde_json::{Value as Json, json};

use crate::{
    history::Position,
    version::{Digest, Mark, Set, Version},
};

#[derive(Default)]
pub struct Cursors {
    /// Moved by `messageChanged` and `synced` alone.
    pub changes: BTreeMap<RoomId, i64>,
    /// The oldest message that it has.
    oldest: BTreeMap<RoomId, i64>,
    /// How `history` names each room.
    places: BTreeMap<RoomId, (Json, bool)>,
    /// Rooms to be read again, and before which seq the next page ends.
    again: BTreeMap<RoomId, Option<i64>>,
}

impl Cursors {
    pub fn has_read(&mut self, room: RoomId, seq: i64, message: &Json, myself: &str) {
        let oldest = self.oldest.entry(room).or_insert(seq);
        *oldest = seq.min(*oldest);
        self.places.entry(room).or_insert_with(|| {
            let is_group = message["group"] == true;
            let is_to_other = is_group || message["sender"] == myself;
            (message[if is_to_other { "receiver" } else { "sender" }].clone(), is_group)
        });
    }

    pub fn has_heard(&mut self, room: RoomId, change: i64) {
        let cursor = self.changes.entry(room).or_default();
        *cursor = change.max(*cursor);
    }

    /// Returns the rooms to be read again.
    pub fn are_synced(&mut self, rooms: &BTreeMap<RoomId, Position>) {
        for (room, position) in rooms {
            if position.is_reset {
                self.changes.insert(*room, position.change);
                self.oldest.remove(room);
                self.again.insert(*room, None);
            } else {
                self.has_heard(*room, position.change);
            }
        }
    }

    /// What it says when it connects; with or without the oldest message that it has.
    pub fn said(&self, with_oldest: bool) -> Json {
        let mut said = serde_json::Map::new();
        for (room, change) in &self.changes {
            let oldest = self.oldest.get(room).filter(|_| with_oldest && !self.again.contains_key(room));
            let cursor = oldest.map_or(json!(change), |oldest| json!({ "change": change, "from": oldest }));
            said.insert(room.to_string(), cursor);
        }
        Json::Object(said)
    }

    pub fn rooms_again(&self) -> impl Iterator<Item = RoomId> {
        self.again.keys().copied()
    }

    /// The next page of a room that is read again.
    pub fn page(&self, room: RoomId) -> Option<Json> {
        let before = self.again.get(&room)?;
        let (receiver, is_group) = self.places.get(&room)?;
        let mut wanted = json!({ "receiver": receiver, "group": is_group, "limit": 50, "changes": true });
        if let Some(before) = before {
            wanted["before"] = json!(before);
        }
        Some(wanted)
    }

    /// A page of a room came, which begins at `first`.
    pub fn has_page(&mut self, room: RoomId, first: Option<i64>, is_last: bool) {
        if let Some(first) = first {
            self.oldest.insert(room, first);
        }
        match first {
            Some(first) if !is_last => drop(self.again.insert(room, Some(first))),
            _ => drop(self.again.remove(&room)),
        }
    }
}

/// The version in which a message was sent.
pub fn version_of(message: &Json) -> Version {
    let unchanged = Version::unchanged(Digest::of(message["content"].as_str().unwrap()));
    unchanged.with(message["change"].as_i64().unwrap_or(0), &set_of(message))
}

/// The fields that a change names.
pub fn set_of(set: &Json) -> Set {
    Set {
        content: set["content"].as_str().map(Digest::of),
        edits: set.get("edits").map(|edits| edits.as_i64().unwrap_or(0)),
        edited_at: set.get("editedAt").map(|edited| edited.as_str().map_or(0, millis)),
        reactions: set.get("reactions").map(|reactions| Digest::of(&reactions.to_string())),
        deleted: set.get("deletedAt").map(|_| mark(set, "deletedAt", "deletedBy")),
        pinned: set.get("pinnedAt").map(|_| mark(set, "pinnedAt", "pinnedBy")),
    }
}

fn millis(at: &str) -> i64 {
    DateTime::parse_from_rfc3339(at).map_or(-1, |at| at.timestamp_millis())
}

fn mark(set: &Json, at: &str, by: &str) -> Option<Mark> {
    let by = Digest::of(set[by].as_str().unwrap_or_default());
    set[at].as_str().map(|at| Mark { at: millis(at), by })
}

/// What `synced` says of each room.
pub fn positions(synced: &Json) -> BTreeMap<RoomId, Position> {
    let rooms = synced["rooms"].as_object().unwrap();
    let position = |(room, position): (&String, &Json)| {
        let change = position["change"].as_i64().unwrap();
        (room.parse().unwrap(), Position { change, is_reset: position["reset"] == true })
    };
    rooms.iter().map(position).collect()
}
