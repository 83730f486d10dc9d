//! One message of a transaction: what is done to it, and how its row and the rows beside it are written.

use std::sync::Arc;

use entity::{RoomId, Seq, UserId, message, message_version, pin, reaction};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
};

use crate::{
    chat::{
        changes::read_marks,
        extras::read_extras,
        model::{Alteration, Reacted},
        room::Room,
        threads,
        writer::rows_beside,
    },
    error::Result,
    message_extras::MessageExtras,
    message_marks::MessageMarks,
};

/// The most earlier versions of a message that are kept.
const VERSIONS: i32 = 50;

/// See the module.
pub(super) struct Altered {
    pub room: Arc<Room>,
    pub row: message::Model,
    pub marks: MessageMarks,
    pub extras: MessageExtras,
    /// As they were before the transaction.
    pub stored: Stored,
    pub what: Vec<Alteration>,
    pub by: Arc<str>,
    pub versions: Vec<message_version::Model>,
    /// Who has asked for reactions, in the order of the requests.
    pub reacting: Vec<(UserId, Arc<str>)>,
    pub reacted: Vec<Reacted>,
    /// Who is mentioned now, and was not before, with their usernames.
    pub mentioned: Vec<(UserId, String)>,
}

/// What a message had before the transaction.
pub(super) struct Stored {
    pub marks: MessageMarks,
    pub extras: MessageExtras,
}

impl Altered {
    /// A stored message, and nothing done to it.
    pub fn of(room: &Arc<Room>, row: message::Model) -> Self {
        let marks = row.marks.as_deref().map(read_marks).unwrap_or_default();
        let extras = row.extras.as_deref().map(read_extras).unwrap_or_default();
        Self {
            room: room.clone(),
            stored: Stored { marks: marks.clone(), extras: extras.clone() },
            marks,
            extras,
            what: Vec::new(),
            by: Arc::from(""),
            versions: Vec::new(),
            reacting: Vec::new(),
            reacted: Vec::new(),
            mentioned: Vec::new(),
            row,
        }
    }

    pub fn note(&mut self, done: Alteration, by: &Arc<str>) {
        if !self.what.contains(&done) {
            self.what.push(done);
        }
        self.by = by.clone();
    }

    /// Whether it has other extras than before the transaction.
    pub fn has_other_extras(&self) -> bool {
        self.stored.extras.json() != self.extras.json()
    }

    /// Whether nothing of it is to be written but its marks: somebody has reacted. Of one that has disappeared meanwhile, more
    /// is.
    pub fn has_other_marks_alone(&self) -> bool {
        self.what == [Alteration::Reactions] && self.row.deleted_at.is_none()
    }

    pub fn place(&self) -> (RoomId, Seq) {
        (self.row.room_id, self.row.seq)
    }

    /// Writes a changed message, and the contents that it had before. The oldest of these go when they are too many. A
    /// deleted message has neither earlier contents nor reactions.
    pub async fn write(&mut self, tx: &DatabaseTransaction, keeps_versions: bool) -> Result<()> {
        let row = &self.row;
        let changed = message::ActiveModel {
            room_id: Unchanged(row.room_id),
            seq: Unchanged(row.seq),
            content: Set(row.content.clone()),
            reply_to: Set(row.reply_to),
            edited_at: Set(row.edited_at),
            deleted_at: Set(row.deleted_at),
            change: Set(row.change),
            marks: Set(row.marks.clone()),
            extras: Set(row.extras.clone()),
            ..Default::default()
        };
        message::Entity::update(changed).exec(tx).await?;
        self.write_pin(tx).await?;
        rows_beside::replace_mentions(tx, row, &self.stored.extras, &self.extras).await?;
        let versions = message_version::COLUMN;
        let of_message = message_version::Entity::delete_many()
            .filter(versions.room_id.eq(row.room_id))
            .filter(versions.seq.eq(row.seq));
        if self.what.contains(&Alteration::Deleted) {
            if let Some(root) = self.extras.thread {
                threads::forget_reply(tx, row.room_id, root.seq).await?;
            }
            if self.stored.marks.edits > 0 {
                of_message.exec(tx).await?;
            }
            if !self.stored.marks.reactions.is_empty() {
                reaction::Entity::delete_many()
                    .filter(reaction::COLUMN.room_id.eq(row.room_id))
                    .filter(reaction::COLUMN.seq.eq(row.seq))
                    .exec(tx)
                    .await?;
            }
            return Ok(());
        }
        if !keeps_versions {
            return Ok(());
        }
        let Some(newest) = self.versions.last().map(|version| version.version) else { return Ok(()) };
        let rows = std::mem::take(&mut self.versions).into_iter().map(|version| version.into_active_model());
        message_version::Entity::insert_many(rows).exec_without_returning(tx).await?;
        if newest > VERSIONS {
            of_message.filter(versions.version.lte(newest - VERSIONS)).exec(tx).await?;
        }
        Ok(())
    }

    /// Notes that a message is pinned, or that it is not any more.
    async fn write_pin(&self, tx: &DatabaseTransaction) -> Result<()> {
        let (room_id, seq) = self.place();
        match (self.stored.marks.pin.is_some(), self.marks.pin.is_some()) {
            (false, true) => {
                let row = pin::Model { room_id, seq }.into_active_model();
                pin::Entity::insert(row).exec_without_returning(tx).await?;
            }
            (true, false) => {
                pin::Entity::delete_by_id((room_id, seq)).exec(tx).await?;
            }
            _ => {}
        }
        Ok(())
    }
}
