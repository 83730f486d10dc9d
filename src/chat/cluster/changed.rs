//! Changes of messages that another node has made, as the bus carries them: what each has done, and the message as it
//! stands after it. A change is taken only if it is the next one of its room, its message was delivered before, and the
//! membership in memory is as new as the one under which it was made. Otherwise the room is looked at in the database,
//! and the message is told as it stands then.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entity::{RoomId, message};

use super::stored::stored_row;
use crate::{
    bus::frame::{ChangedMessage, FrameEntry, ReactedBy, WhatWasDone},
    chat::{
        Core,
        model::{Alteration, MessageChange, Reacted},
        room::Room,
    },
    identity::Person,
    metrics,
};

/// A change that was made here just now, for the other nodes.
pub(super) struct Changing {
    pub change: Arc<MessageChange>,
    /// The version of the room's membership after its commit.
    pub version: i64,
}

impl Changing {
    pub fn room(&self) -> RoomId {
        self.change.message.row.room_id
    }

    /// About what it takes while it waits.
    pub fn bytes(&self) -> usize {
        /// Its ids and names.
        const BESIDES: usize = 500;
        let MessageChange { message, reacted, mentioned, .. } = &*self.change;
        let reacted: usize = reacted.iter().map(|reacted| reacted.username.len() + reacted.key.len()).sum();
        let mentioned: usize = mentioned.iter().map(String::len).sum();
        BESIDES + message.bytes() + reacted + mentioned
    }

    /// `None` for what stands for several changes.
    pub fn entry(&self) -> Option<FrameEntry> {
        let MessageChange { message, number, at, by, what, reacted, mentioned, extras_changed } =
            &*self.change;
        let what = what.iter().map(|what| match what {
            Alteration::Edited => Some(WhatWasDone::Edited),
            Alteration::Deleted => Some(WhatWasDone::Deleted),
            Alteration::Reactions => Some(WhatWasDone::Reactions),
            Alteration::Pinned => Some(WhatWasDone::Pinned),
            Alteration::CaughtUp => None,
        });
        let reacted = reacted.iter().map(|reacted| ReactedBy {
            username: reacted.username.to_string(),
            key: reacted.key.clone(),
            on: reacted.on,
        });
        Some(FrameEntry::Changed(Box::new(ChangedMessage {
            row: stored_row(message),
            edited_at: message.row.edited_at,
            deleted_at: message.row.deleted_at,
            marks: message.marks.as_ref().map(|marks| marks.json()),
            username: message.sender.username.to_string(),
            first_name: message.sender.first_name.to_string(),
            version: self.version,
            number: *number,
            at: *at,
            by: by.as_deref().map(str::to_owned),
            what: what.collect::<Option<_>>()?,
            reacted: reacted.collect(),
            mentioned: mentioned.clone(),
            extras_changed: *extras_changed,
        })))
    }
}

/// Tells of changes, in the order in which they were told. Returns the rooms that have to be looked at instead.
pub(super) fn publish(core: &Arc<Core>, told: Vec<ChangedMessage>) -> BTreeSet<RoomId> {
    let mut of_rooms: BTreeMap<RoomId, Vec<ChangedMessage>> = BTreeMap::new();
    for change in told {
        of_rooms.entry(change.row.room_id).or_default().push(change);
    }
    let missing = of_rooms.into_iter().filter_map(|(id, told)| {
        let room = core.told_of(id)?;
        (!publish_in(core, &room, told)).then_some(id)
    });
    missing.collect()
}

fn publish_in(core: &Arc<Core>, room: &Arc<Room>, told: Vec<ChangedMessage>) -> bool {
    let version = told.iter().map(|change| change.version).max().unwrap_or_default();
    if version > room.version() {
        return false;
    }
    let (floors, now, known) = (room.floors(), core.clock.now(), room.changed());
    let model = |told: ChangedMessage| {
        let person = room.person(told.row.sender_id);
        let person = person.unwrap_or_else(|| Person::new(told.username, Some(told.first_name)));
        let row = message::Model {
            edited_at: told.edited_at,
            deleted_at: told.deleted_at,
            change: told.number,
            marks: told.marks,
            ..told.row.into()
        };
        let what = told.what.into_iter().map(|what| match what {
            WhatWasDone::Edited => Alteration::Edited,
            WhatWasDone::Deleted => Alteration::Deleted,
            WhatWasDone::Reactions => Alteration::Reactions,
            WhatWasDone::Pinned => Alteration::Pinned,
        });
        let reacted = told.reacted.into_iter().map(|reacted| Reacted {
            username: reacted.username.into(),
            key: reacted.key,
            on: reacted.on,
        });
        Arc::new(MessageChange {
            message: core.to_message(room, row, person, floors, now),
            number: told.number,
            at: told.at,
            by: told.by.map(Arc::from),
            what: what.collect(),
            reacted: reacted.collect(),
            mentioned: told.mentioned,
            extras_changed: told.extras_changed,
        })
    };
    let changes: Vec<_> = told.into_iter().filter(|told| told.number > known).map(model).collect();
    if changes.is_empty() {
        return true;
    }
    if !room.may_publish_changes(&changes) {
        return false;
    }
    // Before they are published: who catches up meanwhile gets no older version. What is newer in memory stays.
    let messages: Vec<_> = changes.iter().map(|change| change.message.clone()).collect();
    core.rooms.replace(room, &messages);
    let count = changes.len() as u64;
    let Some(published) = room.publish_foreign_changes(changes.clone()) else { return false };
    core.views.has_changed(room, &changes);
    metrics::CHANGES_BY_FRAME.add(count);
    published.behind.iter().for_each(|behind| core.bring_up(behind, room));
    true
}
