//! Edits a message, and reads the contents that it had before.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{MessageId, message, message_version};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::rights::{Deed, Relation, may};
use crate::{
    chat::{
        Chat, Core,
        connections::connection::Connection,
        model::MessageVersion,
        room::{Reply, Room, permissions::moderates},
        writer::Wanted,
    },
    config::{EditHistory, MessagesConfig},
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
    message_marks::MessageMarks,
    values::Body,
};

/// What an edit replaces.
#[derive(Clone, Debug)]
pub struct Edit {
    pub body: Body,
}

impl Chat {
    /// Replaces the content of the caller's own message, given as JSON text. Returns when the edit is queued. `reply`
    /// is called once: when the edit is committed and published, or refused. The same content again changes nothing.
    pub async fn edit_message(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        message: MessageId,
        content: &str,
        reply: Reply,
    ) {
        let core = &self.core;
        let found = async {
            let (row, room) = core.message_of(caller, message).await?;
            let limit = core.settings.limits.content_bytes;
            // The kind of a message never changes.
            let kind = match row.kind {
                message::Kind::Encrypted => message::Kind::Encrypted,
                message::Kind::Text | message::Kind::System => message::Kind::Text,
            };
            Ok::<_, Error>((room, Edit { body: Body::parse(kind, content, limit)? }))
        };
        match found.await {
            Ok((room, edit)) => {
                core.queue_change(caller, origin, room, vec![message], Wanted::Edit(edit), reply);
            }
            Err(err) => reply(Err(err)),
        }
    }

    /// The contents that a message had before its edits, oldest first, without the present one.
    ///
    /// # Errors
    /// `forbidden` (`role`) if `messages.edit_history` does not allow it to the caller.
    pub async fn edits(&self, caller: &Caller, message: MessageId) -> Result<Vec<MessageVersion>> {
        let core = &self.core;
        let (row, room) = core.message_of(caller, message).await?;
        // Memory may not know yet that another process has removed the caller.
        core.check_membership(caller, row.room_id).await?;
        let allowed = match core.settings.messages.edit_history {
            EditHistory::Off => false,
            EditHistory::Members => true,
            EditHistory::Moderators => {
                row.sender_id == caller.user || moderates(room.kind, room.role(caller.user))
            }
        };
        if !allowed {
            return Err(Error::Forbidden(Forbidden::Role));
        }
        let rows = message_version::of(row.room_id, row.seq).all(core.db.reader()).await?;
        Ok(rows.into_iter().map(|row| MessageVersion { content: row.content, at: row.at }).collect())
    }
}

impl Core {
    /// A message of a room that the caller is a member of, as far as memory knows. What follows has to check the
    /// membership in the database: an edit does in its transaction.
    pub(in crate::chat) async fn message_of(
        self: &Arc<Self>,
        caller: &Caller,
        message: MessageId,
    ) -> Result<(message::Model, Arc<Room>)> {
        let row =
            message::Entity::find().filter(message::COLUMN.id.eq(message)).one(self.db.reader()).await?;
        let row = row.ok_or(Error::NotFound(Entity::Message))?;
        match self.room_of(caller, row.room_id).await {
            Ok(room) => Ok((row, room)),
            Err(Error::NotFound(_)) => Err(Error::NotFound(Entity::Message)),
            Err(err) => Err(err),
        }
    }
}

/// What an edit makes of a message: the version to keep, if there is one.
pub(in crate::chat) fn edit(
    row: &mut message::Model,
    marks: &mut MessageMarks,
    relation: Relation,
    edit: &Edit,
    now: DateTime<Utc>,
    settings: &MessagesConfig,
) -> Result<Edited> {
    if row.deleted_at.is_some() {
        return Err(Error::Forbidden(Forbidden::Deleted));
    }
    may(relation, Deed::Edit)?;
    if edit.body.json() == row.content {
        return Ok(Edited::Same);
    }
    let age = (now - row.created_at).to_std().unwrap_or_default();
    if !settings.edit_window.is_zero() && age > settings.edit_window {
        return Err(Error::Forbidden(Forbidden::WindowOver));
    }
    marks.edits = marks.edits.saturating_add(1);
    let before = message_version::Model {
        room_id: row.room_id,
        seq: row.seq,
        version: i32::try_from(marks.edits).unwrap_or(i32::MAX),
        content: std::mem::replace(&mut row.content, edit.body.json().to_owned()),
        at: row.edited_at.unwrap_or(row.created_at),
    };
    row.edited_at = Some(now);
    Ok(Edited::Changed(before))
}

/// The result of an edit.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::chat) enum Edited {
    /// The content was the same before.
    Same,
    Changed(message_version::Model),
}
