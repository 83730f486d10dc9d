//! Messages that another node has stored, as the bus carries them: what a node would read from the database, but
//! without asking it. A message is taken only if it is the next one of its room, the membership in memory is as new as
//! the one under which it was stored, and no change was told since that it may not show. Otherwise the room is looked at in
//! the database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entity::{ChangeNumber, RoomId};

use crate::{
    bus::frame::{FrameEntry, StoredMessage, StoredRow},
    chat::{Core, model::Message, room::Room},
    identity::Person,
    metrics,
};

/// A message that was stored here just now, for the other nodes.
pub(super) struct Storing {
    pub message: Arc<Message>,
    pub written: Option<Arc<str>>,
    /// The version of the room's membership after its commit.
    pub version: i64,
    /// The newest change of the room before its commit.
    pub changed: ChangeNumber,
}

impl Storing {
    pub fn room(&self) -> RoomId {
        self.message.row.room_id
    }

    /// About what it takes while it waits.
    pub fn bytes(&self) -> usize {
        /// Its ids and names.
        const BESIDES: usize = 500;
        BESIDES + self.message.bytes() + self.written.as_ref().map_or(0, |written| written.len())
    }

    pub fn entry(&self) -> FrameEntry {
        let message = &self.message;
        FrameEntry::Stored(Box::new(StoredMessage {
            row: stored_row(message),
            username: message.sender.username.to_string(),
            first_name: message.sender.first_name.to_string(),
            version: self.version,
            changed: self.changed,
            written: self.written.as_deref().map(str::to_owned),
        }))
    }
}

/// The columns that a new message has, as they stand now.
pub(super) fn stored_row(message: &Message) -> StoredRow {
    let row = &message.row;
    StoredRow {
        room_id: row.room_id,
        seq: row.seq,
        id: row.id,
        sender_id: row.sender_id,
        kind: row.kind,
        content: row.content.clone(),
        client_message_id: row.client_message_id.clone(),
        reply_to: row.reply_to,
        created_at: row.created_at,
        extras: message.extras.as_ref().and_then(|extras| extras.json()),
    }
}

/// Delivers messages, in the order in which they were told. Returns the rooms that have to be looked at instead.
pub(super) fn publish(core: &Arc<Core>, told: Vec<StoredMessage>) -> BTreeSet<RoomId> {
    let mut of_rooms: BTreeMap<RoomId, Vec<StoredMessage>> = BTreeMap::new();
    for message in told {
        of_rooms.entry(message.row.room_id).or_default().push(message);
    }
    let missing = of_rooms.into_iter().filter_map(|(id, told)| {
        let room = core.told_of(id)?;
        (!publish_in(core, &room, told)).then_some(id)
    });
    missing.collect()
}

fn publish_in(core: &Arc<Core>, room: &Arc<Room>, told: Vec<StoredMessage>) -> bool {
    let version = told.iter().map(|message| message.version).max().unwrap_or_default();
    if version > room.version() {
        return false;
    }
    let changed = told.iter().map(|message| message.changed).min().unwrap_or_default();
    let (floors, now) = (room.floors(), core.clock.now());
    let model = |told: StoredMessage| {
        let person = room.person(told.row.sender_id);
        let person = person.unwrap_or_else(|| Person::new(told.username, Some(told.first_name)));
        // The message, and how its sender has written it.
        (core.to_message(room, told.row.into(), person, floors, now), told.written.map(Arc::from))
    };
    let messages: Vec<_> = told.into_iter().map(model).collect();
    let count = messages.len() as u64;
    let Some(published) = room.publish_foreign(messages, changed) else { return false };
    metrics::MESSAGES_BY_FRAME.add(count);
    published.behind.iter().for_each(|behind| core.bring_up(behind, room));
    true
}
