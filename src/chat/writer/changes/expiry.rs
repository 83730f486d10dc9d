//! Makes tombstones of the stored messages whose time is over. It gives no change number and announces nothing.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, message, stored_message};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use super::altered::Altered;
use crate::{
    chat::{Chat, Core, extras::expire, model::Alteration, room::Room, writer::transaction},
    error::Result,
};

/// The most messages of one transaction.
const AT_ONCE: u64 = 200;

impl Chat {
    /// Makes tombstones of all stored messages whose time is over. Returns how many there were.
    pub async fn expire_messages(&self) -> Result<usize> {
        let core = &self.core;
        let now = core.clock.now();
        let mut expired = 0;
        loop {
            let due = core.due(now).await?;
            let is_last = (due.len() as u64) < AT_ONCE;
            expired += due.len();
            if !due.is_empty() {
                core.expire_stored(due, now).await?;
            }
            if is_last {
                return Ok(expired);
            }
        }
    }
}

impl Core {
    /// Messages whose time is over, and that are no tombstones yet.
    async fn due(&self, now: DateTime<Utc>) -> Result<Vec<(RoomId, MessageId)>> {
        let expires_at = stored_message::COLUMN.expires_at;
        let due = stored_message::Entity::find()
            .select_only()
            .columns([stored_message::Column::RoomId, stored_message::Column::Id])
            // The literal condition of the partial index.
            .filter(expires_at.is_not_null())
            .filter(expires_at.lte(now))
            .limit(AT_ONCE);
        Ok(due.into_tuple().all(self.db.reader()).await?)
    }

    async fn expire_stored(
        self: &Arc<Self>,
        due: Vec<(RoomId, MessageId)>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let rooms: BTreeSet<RoomId> = due.iter().map(|(room, _)| *room).collect();
        let live = self.rooms_in_memory(rooms.iter().copied().collect()).await?;
        let live: HashMap<RoomId, Arc<Room>> = live.into_iter().map(|room| (room.id, room)).collect();
        let tx = self.db.begin().await?;
        transaction::lock_rooms(&tx, rooms).await?;
        let ids: Vec<MessageId> = due.into_iter().map(|(_, message)| message).collect();
        let rows =
            message::Entity::find().filter(message::COLUMN.id.is_in(ids.iter().copied())).all(&*tx).await?;
        let mut tombstones: HashMap<RoomId, Vec<message::Model>> = HashMap::new();
        for row in rows {
            // The rooms of deleted groups are not in memory, and nobody reads them.
            let Some(room) = live.get(&row.room_id) else { continue };
            let mut altered = Altered::of(room, row);
            let Altered { row, marks, extras, .. } = &mut altered;
            if expire(row, marks, extras, now, &self.settings.messages) {
                row.marks = Some(marks.json());
                row.extras = extras.json();
                altered.what.push(Alteration::Deleted);
                altered.write(&tx, false).await?;
                tombstones.entry(room.id).or_default().push(altered.row);
            }
        }
        stored_message::Entity::update_many()
            .col_expr(stored_message::Column::ExpiresAt, Expr::cust("NULL"))
            .filter(stored_message::COLUMN.id.is_in(ids))
            .exec(&*tx)
            .await?;
        tx.commit().await?;
        for (room, rows) in tombstones {
            let Some(room) = live.get(&room) else { continue };
            let messages = self.to_messages(room, rows).await?;
            self.rooms.replace(room, &messages);
        }
        Ok(())
    }
}
