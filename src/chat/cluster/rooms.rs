//! The rooms in memory follow the database: one statement asks for the heads of many rooms, and only rooms that another
//! node has moved on are read.
//!
//! A message is never delivered under an older membership than the one that it was stored under. Messages and changes of
//! the membership lock the same row, so the heads of a room come with a version that is as new as all messages up to
//! them: the room is reread first if memory has an older one. Whoever reads a page of missed messages asks for the version
//! *afterwards* ([`Core::follow_membership`]). So a lost or late look never lets a removed member receive a message.

use std::{sync::Arc, time::Duration};

use entity::{RoomId, Seq, room};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QuerySelect, Statement};
use uuid::Uuid;

use super::sql;
use crate::{
    chat::{
        Core,
        room::{Heads, Room},
    },
    error::Result,
    metrics,
};

/// The most rooms of one statement.
const ROOMS: usize = 5_000;
/// The pause after each statement, so that a node with many rooms asks for at most 20,000 of them a second.
const PAUSE: Duration = Duration::from_millis(250);
/// The most messages that are read at once.
const PAGE: u64 = 100;
/// A room that is further behind is caught up with by each connection, at the pace of its client.
const FAR: i64 = 1_000;

/// A room, as in the database.
struct StoredHeads {
    room: RoomId,
    heads: Heads,
    version: i64,
}

/// Brings rooms in memory up to date.
pub async fn follow(core: &Arc<Core>, rooms: &[Arc<Room>]) -> Result<()> {
    for (at, part) in rooms.chunks(ROOMS).enumerate() {
        if at > 0 && core.shutdown.begins_within(PAUSE).await {
            return Ok(());
        }
        for stored in heads_of(core, part).await? {
            let Some(live) = core.rooms.resident(stored.room) else { continue };
            if stored.version > live.version() {
                core.reread(live.id).await?;
            }
            if live.is_ahead(stored.heads) {
                // Usually a commit of this node is being published at this moment.
                core.writer.caught_up(live.id).await;
            }
            follow_messages(core, &live, stored.heads).await?;
        }
    }
    Ok(())
}

async fn heads_of(core: &Core, rooms: &[Arc<Room>]) -> Result<Vec<StoredHeads>> {
    let ids: Vec<Uuid> = rooms.iter().map(|room| room.id.0).collect();
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::HEADS, [ids.into()]);
    let rows = core.db.reader().query_all_raw(asked).await?;
    let mut stored = Vec::with_capacity(rows.len());
    for row in rows {
        let heads = Heads { seq: row.try_get_by_index(1)?, change: row.try_get_by_index(2)? };
        stored.push(StoredHeads { room: row.try_get_by_index(0)?, heads, version: row.try_get_by_index(3)? });
    }
    Ok(stored)
}

/// Delivers what another node has stored up to these heads. Memory has the membership under which it was stored.
async fn follow_messages(core: &Arc<Core>, room: &Arc<Room>, heads: Heads) -> Result<()> {
    while heads.seq > room.published() && heads.seq.0 - room.published().0 <= FAR {
        let changed = room.changed();
        let mut messages = core.page_after(room, room.published(), PAGE).await?;
        // Later ones may be this node's own, and are published by its commit, or were stored under a newer membership.
        messages.retain(|message| message.row.seq <= heads.seq);
        if messages.is_empty() {
            break;
        }
        let read = messages.len() as u64;
        // Otherwise a change was published meanwhile, and they are read again.
        if let Some(published) =
            room.publish_foreign(messages.into_iter().map(|message| (message, None)).collect(), changed)
        {
            metrics::FOREIGN_MESSAGES.add(read);
            published.behind.iter().for_each(|behind| core.bring_up(behind, room));
        }
    }
    core.note_stored_up_to(room, heads);
    Ok(())
}

/// Delivers what other nodes have stored before messages of this node that were committed just now under the membership
/// in memory, so that these follow without a gap: what was stored before them was stored under no newer one. It must not
/// ask for the membership: whoever changes it waits, with the room locked, until these messages are stored. A room that is
/// further behind is left to its connections.
pub async fn fill_gap(core: &Arc<Core>, room: &Arc<Room>, first: Seq) -> Result<()> {
    let before = Seq(first.0 - 1);
    if room.published() < before {
        let heads = Heads { seq: before, ..Heads::default() };
        follow_messages(core, room, heads).await?;
    }
    Ok(())
}

impl Core {
    /// Takes over the membership of a room if another node has changed it. Call it after messages were read, and
    /// before they are delivered.
    pub(in crate::chat) async fn follow_membership(self: &Arc<Self>, room: &Arc<Room>) -> Result<()> {
        if !self.cluster.is_shared() {
            return Ok(());
        }
        let version: Option<i64> = room::Entity::find_by_id(room.id)
            .select_only()
            .column(room::Column::RosterVersion)
            .into_tuple()
            .one(self.db.reader())
            .await?;
        if version.is_some_and(|version| version > room.version()) {
            self.reread(room.id).await?;
        }
        Ok(())
    }
}
