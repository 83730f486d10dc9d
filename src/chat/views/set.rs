//! Changes a user's own settings of a room.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{RoomId, Seq, UserId, member, notice, room};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use super::read_view;
use crate::{
    chat::{
        Chat, Core, Place,
        connections::{connection::Connection, publish::Audience},
        event::Event,
        model::{Conversation, RoomChange},
    },
    error::{Entity, Error, Forbidden, Result, Unavailable},
    identity::Caller,
    room_view::{Notify, RoomDraft, StoredView},
};

/// What to replace in a user's own settings of a room. `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ViewChange {
    pub notify: Option<Notify>,
    pub muted_until: Option<Option<DateTime<Utc>>>,
    pub archived: Option<bool>,
    pub is_marked_unread: Option<bool>,
    pub draft: Option<Option<RoomDraft>>,
}

impl ViewChange {
    /// Replaces what is given, besides the mark.
    fn apply(&self, view: &mut StoredView) {
        if let Some(notify) = self.notify {
            view.notify = notify;
        }
        if let Some(until) = self.muted_until {
            view.muted_until = until.map(|until| until.timestamp_millis());
        }
        if let Some(archived) = self.archived {
            view.archived = archived;
        }
        if let Some(draft) = &self.draft {
            view.draft.clone_from(draft);
        }
    }
}

impl Chat {
    /// Changes the caller's own settings of a room, and tells the caller's other connections. `answer` is called with
    /// the room as it is now for the caller; what another device changes next is told after that.
    ///
    /// # Errors
    /// `not_found` for the lobby, and for a user that the caller has no direct room with; `not_a_member`.
    pub async fn set_view<T>(
        &self,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: Place,
        change: ViewChange,
        answer: impl FnOnce(Result<Conversation>) -> T,
    ) -> T {
        let core = &self.core;
        let turn = core.views.turn(caller.user).await;
        let set = core.set_view(caller, connection, &place, &change);
        // A database that no longer answers must not block other users.
        let changed = tokio::time::timeout(core.db.patience(), set).await;
        let answered = answer(changed.unwrap_or(Err(Error::Unavailable(Unavailable::Database))));
        drop(turn);
        answered
    }
}

impl Core {
    async fn set_view(
        self: &Arc<Self>,
        caller: &Caller,
        connection: Option<&Arc<Connection>>,
        place: &Place,
        change: &ViewChange,
    ) -> Result<Conversation> {
        let room = self.find_place(caller, connection, place).await?;
        let room = room.filter(|room| room.kind != room::Kind::Lobby).ok_or(Error::NotFound(Entity::Room))?;
        let (user, now) = (caller.user, self.clock.now().timestamp_millis());
        let (mut was_marked, mut is_marked) = (false, false);
        let rewritten = self.rewrite_view(room.id, user, |view, read| {
            was_marked = room.counts_mark(user, view.marked);
            is_marked = change.is_marked_unread.unwrap_or(was_marked);
            view.marked = match (is_marked, was_marked) {
                (true, true) => view.marked,
                (true, false) => Some(room.new_mark(user, read, now)),
                (false, _) => None,
            };
            change.apply(view);
        });
        let (before, after) = rewritten.await?.ok_or(Error::Forbidden(Forbidden::NotAMember))?;
        if is_marked {
            room.mark_unread(user);
        } else if was_marked {
            room.unmark(user, now);
        }
        let set = RoomChange {
            is_marked_unread: (is_marked != was_marked).then_some(is_marked),
            ..differences(&before, &after)
        };
        if set != RoomChange::default() {
            let changed = Event::RoomChanged { room: room.id, set };
            let asked = connection.map(|connection| connection.id);
            self.hub.publish(changed, Audience::OthersOf(user, asked));
        }
        self.seen_by(user, room.id, after.json()).await
    }

    /// Changes a view as it is stored. `change` gets it together with the stored `read` mark. Returns the view before
    /// and after that; `None` for a user who is not a member. Call it in the user's turn.
    pub(super) async fn rewrite_view(
        &self,
        room: RoomId,
        user: UserId,
        change: impl FnOnce(&mut StoredView, Seq),
    ) -> Result<Option<(StoredView, StoredView)>> {
        let tx = self.db.begin().await?;
        let row: Option<(Option<String>, Seq)> = member::Entity::find_by_id((room, user))
            .select_only()
            .columns([member::Column::View, member::Column::ReadSeq])
            .lock_exclusive()
            .into_tuple()
            .one(&*tx)
            .await?;
        let Some((stored, read)) = row else { return Ok(None) };
        let before = stored.as_deref().map(read_view).unwrap_or_default();
        let mut after = before.clone();
        change(&mut after, read);
        if after != before {
            member::Entity::update_many()
                .col_expr(member::Column::View, Expr::value(after.json()))
                .filter(member::COLUMN.room_id.eq(room))
                .filter(member::COLUMN.user_id.eq(user))
                .exec(&*tx)
                .await?;
            let changed = notice::of_member(notice::Kind::View, room, user, Some(self.cluster.id()));
            notice::tell(&*tx, [changed]).await?;
        }
        tx.commit().await?;
        if after != before {
            self.cluster.noted();
        }
        Ok(Some((before, after)))
    }
}

/// What differs, besides the mark.
fn differences(before: &StoredView, after: &StoredView) -> RoomChange {
    RoomChange {
        archived: (after.archived != before.archived).then_some(after.archived),
        notify: (after.notify != before.notify).then_some(after.notify),
        muted_until: (after.muted_until != before.muted_until).then_some(after.muted_until),
        draft: (after.draft != before.draft).then(|| after.draft.clone()),
        ..RoomChange::default()
    }
}
