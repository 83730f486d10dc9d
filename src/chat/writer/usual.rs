//! The commit that nearly all drafts are in: it looks for nothing, and says what has to be so for its writing
//! to be right. It stores all drafts or none. Where one of them needs a closer look (the room was changed
//! meanwhile, the message is a repeat, what it replies to is not there), nothing is stored and
//! [`super::transaction`] does it.

use std::collections::{BTreeMap, HashSet};

use entity::{RoomId, Seq};

use super::{Draft, Outcomes, postgres, sqlite};
use crate::{chat::Core, db::Steady, error::Result};

/// Stores all drafts, or answers nothing where that takes a closer look.
pub(super) async fn commit(core: &Core, drafts: &[Draft]) -> Result<Option<Outcomes>> {
    let Some(asked) = Asked::of(drafts) else { return Ok(None) };
    match core.db.steady() {
        Steady::Sqlite(turns) => sqlite::commit(core, turns, drafts, &asked).await,
        Steady::Postgres(db) => postgres::commit(core, db, drafts, &asked).await,
    }
}

/// What a commit's drafts ask of their rooms.
pub(super) struct Asked {
    pub rooms: BTreeMap<RoomId, AskedOfRoom>,
    /// Of each draft: the how manieth it is of its room's, from 1.
    pub places: Vec<i64>,
}

pub(super) struct AskedOfRoom {
    pub roster_version: i64,
    pub messages: i64,
    /// The newest message that this node knows of.
    pub last: Seq,
}

impl Asked {
    /// None where it shows without asking that drafts need a closer look: one repeats another, or
    /// their senders were found in different versions of a roster.
    pub fn of(drafts: &[Draft]) -> Option<Self> {
        let mut rooms: BTreeMap<RoomId, AskedOfRoom> = BTreeMap::new();
        let mut places = Vec::with_capacity(drafts.len());
        let mut seen = HashSet::with_capacity(drafts.len());
        for draft in drafts {
            let id = draft.client_message_id.as_ref();
            if id.is_some_and(|id| !seen.insert((draft.roster.id, draft.sender, id))) {
                return None;
            }
            let room = rooms.entry(draft.roster.id).or_insert_with(|| AskedOfRoom {
                roster_version: draft.roster_version,
                messages: 0,
                last: draft.roster.published(),
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
