//! A user's own settings that were changed at another node: told to the connections here.

use std::sync::Arc;

use entity::{RoomId, UserId, member};
use sea_orm::EntityTrait;

use super::read_view;
use crate::{
    chat::{Core, connections::publish::Audience, event::Event, model::RoomChange},
    error::Result,
};

impl Core {
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
