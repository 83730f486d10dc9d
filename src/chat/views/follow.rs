//! What was changed at another node, and is told to the connections here: a user's own settings, and how many messages
//! are unread after some were deleted.

use std::sync::Arc;

use entity::{ChangeNumber, RoomId, UserId, member, message};
use sea_orm::{Condition, EntityTrait, QueryFilter, QuerySelect};

use super::{Views, read_view};
use crate::{
    chat::{
        Core,
        connections::publish::Audience,
        event::Event,
        model::{MessageChange, RoomChange},
        room::Room,
        sql::history,
    },
    error::Result,
};

/// The most changed messages that are read at once.
const PAGE: u64 = 200;

impl Views {
    /// Messages of a room were changed after `known`, and this node has not made these changes.
    pub fn has_missed(&self, room: &Arc<Room>, known: ChangeNumber) {
        let mut foreign = self.foreign.lock();
        let (_, after) = foreign.entry(room.id).or_insert_with(|| (room.clone(), known));
        *after = known.min(*after);
        self.work.notify_one();
    }
}

impl Core {
    /// Finds out for whom messages that another node has changed are unread. [`super::tell`] tells these users.
    pub(super) async fn follow_foreign_changes(&self) -> Result<()> {
        loop {
            let next = self.views.foreign.lock().pop_first();
            let Some((_, (room, after))) = next else { return Ok(()) };
            match self.follow_changes_after(&room, after).await {
                Ok(None) => {}
                Ok(Some(read)) => self.views.has_missed(&room, read),
                Err(err) => {
                    self.views.has_missed(&room, after);
                    return Err(err);
                }
            }
        }
    }

    /// Returns the last change that was read, if there may be more.
    async fn follow_changes_after(
        &self,
        room: &Arc<Room>,
        after: ChangeNumber,
    ) -> Result<Option<ChangeNumber>> {
        if room.connected_members().is_empty() {
            return Ok(None);
        }
        let column = message::COLUMN;
        // A reaction changes nothing of what is unread.
        let counts =
            Condition::any().add(column.deleted_at.is_not_null()).add(column.edited_at.is_not_null());
        let changed = message::changed_after(room.id, after).filter(counts).limit(PAGE);
        let rows = history::read(self.db.reader(), room.id, changed).await?;
        let is_full = rows.len() as u64 == PAGE;
        let last = rows.last().map(|row| row.change).filter(|_| is_full);
        let messages = self.to_messages(room, rows).await?;
        let changes: Vec<_> =
            messages.into_iter().map(|message| Arc::new(MessageChange::caught_up(message))).collect();
        self.views.has_changed(room, &changes);
        Ok(last)
    }

    /// Tells a user's connections here all of the user's settings of a room, as they are stored. What was changed is not
    /// known, and what was not is told again.
    pub(in crate::chat) async fn follow_view(self: &Arc<Self>, room: RoomId, user: UserId) -> Result<()> {
        let _turn = self.views.turn(user).await;
        let Some(row) = member::Entity::find_by_id((room, user)).one(self.db.reader()).await? else {
            return Ok(());
        };
        let view = row.view.as_deref().map(read_view).unwrap_or_default();
        let is_marked = match self.rooms.resident(room) {
            Some(live) if live.counts_mark(user, view.marked) => true,
            Some(live) => {
                live.unmark(user, self.clock.now().timestamp_millis());
                false
            }
            None => view.marked.is_some(),
        };
        let set = RoomChange {
            archived: Some(view.archived),
            notify: Some(view.notify),
            muted_until: Some(view.muted_until),
            draft: Some(view.draft),
            is_marked_unread: Some(is_marked),
            ..RoomChange::default()
        };
        self.hub.publish(Event::RoomChanged { room, set }, Audience::User(user));
        Ok(())
    }
}
