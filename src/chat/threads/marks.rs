//! Follows threads, and notes how far they are read. A thread's mark is independent of the room's receipts.

use std::sync::Arc;

use entity::{MessageId, RoomId, Seq, UserId, thread, thread_mark};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{
    chat::{Chat, Core, Place, extras::root_of, room::Room},
    error::{Entity, Error, Result},
    identity::Caller,
};

/// Which threads were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadThreads {
    /// The one that this message begins or is in.
    One(MessageId),
    /// All that the caller follows.
    All,
}

impl Chat {
    /// Follows the thread that a message begins or is in, or stops following it. Returns whether the caller follows it
    /// now. What was written before is read.
    ///
    /// # Errors
    /// `not_found` for a message that the caller may not read.
    pub async fn follow_thread(&self, caller: &Caller, message: MessageId, on: bool) -> Result<bool> {
        let core = &self.core;
        let (room, root) = core.thread_of(caller, message).await?;
        let newest = thread::Entity::find_by_id((room.id, root)).one(core.db.reader()).await?;
        let read = newest.map_or(root, |thread| thread.last_seq);
        let mark = mark(caller.user, room.id, root, read, on);
        thread_mark::insert_following([mark]).exec_without_returning(&*core.db.writer().await?).await?;
        core.views.has_threads(&room, caller.user);
        Ok(on)
    }

    /// Notes that the caller has read threads of a place up to `seq`. Returns the mark of the one thread, or `seq` as far
    /// as the room goes.
    ///
    /// # Errors
    /// `not_found`, `not_a_member`.
    pub async fn mark_threads_read(
        &self,
        caller: &Caller,
        place: Place,
        threads: ReadThreads,
        seq: Seq,
    ) -> Result<Seq> {
        let core = &self.core;
        let room = core.find_place(caller, None, &place).await?.ok_or(Error::NotFound(Entity::Room))?;
        core.know_up_to([(&room, seq)]).await?;
        let seq = seq.min(room.published());
        let ReadThreads::One(message) = threads else {
            core.check_membership(caller, room.id).await?;
            core.raise_marks(caller.user, room.id, None, seq).await?;
            core.views.has_threads(&room, caller.user);
            return Ok(seq);
        };
        let (found, root) = core.thread_of(caller, message).await?;
        if found.id != room.id {
            return Err(Error::NotFound(Entity::Message));
        }
        if !core.raise_marks(caller.user, room.id, Some(root), seq).await? {
            let mark = mark(caller.user, room.id, root, seq, false);
            thread_mark::insert_missing([mark]).exec_without_returning(&*core.db.writer().await?).await?;
        }
        core.views.has_threads(&room, caller.user);
        let key = (caller.user, room.id, root);
        let row = thread_mark::Entity::find_by_id(key).one(core.db.reader()).await?;
        Ok(row.map_or(seq, |row| row.read_seq))
    }
}

fn mark(user: UserId, room: RoomId, root: Seq, read: Seq, following: bool) -> thread_mark::Model {
    thread_mark::Model { user_id: user, room_id: room, root_seq: root, read_seq: read, following }
}

impl Core {
    /// The room and the root of the thread that a message begins or is in.
    async fn thread_of(self: &Arc<Self>, caller: &Caller, message: MessageId) -> Result<(Arc<Room>, Seq)> {
        let (row, room) = self.message_of(caller, message).await?;
        self.check_membership(caller, room.id).await?;
        Ok((room, root_of(&row).seq))
    }

    /// Raises the mark of one thread, or of all that the user follows in the room. Returns whether one was raised.
    async fn raise_marks(&self, user: UserId, room: RoomId, root: Option<Seq>, seq: Seq) -> Result<bool> {
        let column = thread_mark::COLUMN;
        let mut raise = thread_mark::Entity::update_many()
            .col_expr(thread_mark::Column::ReadSeq, Expr::value(seq.0))
            .filter(column.user_id.eq(user))
            .filter(column.room_id.eq(room))
            .filter(column.read_seq.lt(seq));
        if let Some(root) = root {
            raise = raise.filter(column.root_seq.eq(root));
        }
        Ok(raise.exec(&*self.db.writer().await?).await?.rows_affected > 0)
    }
}
