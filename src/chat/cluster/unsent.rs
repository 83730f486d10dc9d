//! What a node has not told the others yet: what they have to look at, and messages and changes whole, in the order of
//! their numbers in their rooms.

use entity::RoomId;

use super::{changed::Changing, receipts::SavedMarks, rung::Rung, stored::Storing};
use crate::bus::frame::{self, EncodedEntry, FrameEntry};

/// The most bytes of messages and changes that wait to be sent. If there are more, the others are told the room, and read it.
const WAITING: usize = 4 * 1_024 * 1_024;

/// A message or a change that the other nodes are told.
pub(super) enum Told {
    Stored(Storing),
    Changed(Changing),
}

/// What was not sent yet.
#[derive(Default)]
pub(super) struct Unsent {
    pub rung: Rung,
    told: Vec<Told>,
    /// Of what is in `told`.
    bytes: usize,
    pub marks: SavedMarks,
}

impl Told {
    fn room(&self) -> RoomId {
        match self {
            Self::Stored(storing) => storing.room(),
            Self::Changed(changing) => changing.room(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Stored(storing) => storing.bytes(),
            Self::Changed(changing) => changing.bytes(),
        }
    }

    fn encoded(&self, longest: usize) -> EncodedEntry {
        let entry = match self {
            Self::Stored(storing) => Some(storing.entry()),
            Self::Changed(changing) => changing.entry(),
        };
        let encoded = entry.map(|entry| EncodedEntry::of(&entry));
        // Too long: the other nodes read it.
        let fitting = encoded.filter(|encoded| frame::fits(encoded, longest));
        fitting.unwrap_or_else(|| EncodedEntry::of(&FrameEntry::Room(self.room())))
    }
}

impl Unsent {
    /// Of what does not fit, the other nodes are told the room.
    pub fn add(&mut self, told: Told) {
        let bytes = told.bytes();
        if self.bytes + bytes > WAITING {
            self.rung.rooms.insert(told.room());
        } else {
            self.bytes += bytes;
            self.told.push(told);
        }
    }

    /// The entries of frames, each of at most `longest` bytes with its frame.
    pub fn encoded(&self, longest: usize) -> Vec<EncodedEntry> {
        let told = self.told.iter().map(|told| told.encoded(longest));
        let others = self.rung.entries().chain(self.marks.entries());
        told.chain(others.map(|entry| EncodedEntry::of(&entry))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use entity::{ChangeNumber, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::chat::model::Message;

    #[test]
    fn of_messages_that_are_too_many_or_too_long_only_the_room_is_told() {
        let (mut unsent, room) = (Unsent::default(), RoomId::new());
        let storing = |length: usize| {
            let mut message = Message::in_group(room, 1, UserId::new());
            message.row.content = "x".repeat(length);
            let message = Arc::new(message);
            Told::Stored(Storing { message, written: None, version: 1, changed: ChangeNumber::ZERO })
        };
        [storing(8_000), storing(10)].into_iter().for_each(|told| unsent.add(told));
        let count = |wanted: fn(&FrameEntry) -> bool| {
            let text = frame::frames(Uuid::nil(), &mut 0, unsent.encoded(7_500), 7_500);
            let entries = text.iter().flat_map(|text| frame::read(text).expect("a frame").entries);
            entries.filter(wanted).count()
        };
        let is_room = |entry: &FrameEntry| matches!(entry, FrameEntry::Room(_));
        assert_eq!((count(is_room), count(|_| true)), (1, 2), "the long one does not fit into a frame");
        (0..10).for_each(|_| unsent.add(storing(WAITING / 4)));
        assert!(unsent.bytes <= WAITING);
        assert_eq!(unsent.rung.rooms, BTreeSet::from([room]));
    }
}
