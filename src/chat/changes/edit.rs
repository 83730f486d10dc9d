//! Edits a message, and reads the contents that it had before.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{MessageId, UserId, message, message_version};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::rights::{Deed, Relation, may};
use crate::{
    chat::{
        Chat, Core,
        connections::connection::Connection,
        extras::Mentions,
        model::MessageVersion,
        room::{Reply, Room},
        writer::Wanted,
    },
    config::{EditHistory, MessagesConfig},
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
    message_extras::MessageExtras,
    message_marks::MessageMarks,
    values::{Body, Data},
};

/// What the sender of a message wants to replace. What is not given stays.
#[derive(Clone, Debug)]
pub struct EditMessage {
    /// JSON text.
    pub content: Option<String>,
    /// Usernames.
    pub mentions: Option<Vec<String>>,
    pub data: Option<Data>,
}

/// What an edit replaces.
#[derive(Clone, Debug)]
pub struct Edit {
    body: Option<Body>,
    /// Those that are given, or those in the new text.
    mentions: Option<Mentions>,
    data: Option<Data>,
}

impl Edit {
    /// About what it takes while it waits.
    pub fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, Data::bytes);
        self.body.as_ref().map_or(0, |body| body.json().len()) + data
    }
}

impl Chat {
    /// Replaces the content, the mentions or the data of the caller's own message. Returns when the edit is queued.
    /// `reply` is called once: when the edit is committed and published, or refused. The same again changes nothing.
    pub async fn edit_message(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        message: MessageId,
        wanted: EditMessage,
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
            let EditMessage { content, mentions, data } = wanted;
            let body = content.map(|content| Body::parse(kind, &content, limit)).transpose()?;
            let text = body.as_ref().filter(|_| kind == message::Kind::Text);
            let mentions = match text.is_some() || mentions.is_some() {
                true => Some(core.mentioned(&room, text, mentions.as_deref())?),
                false => None,
            };
            Ok::<_, Error>((room, Edit { body, mentions, data }))
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
            EditHistory::Moderators => row.sender_id == caller.user || room.is_moderated_by(caller),
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
    extras: &mut MessageExtras,
    relation: Relation,
    edit: &Edit,
    now: DateTime<Utc>,
    settings: &MessagesConfig,
) -> Result<Edited> {
    if row.deleted_at.is_some() {
        return Err(Error::Forbidden(Forbidden::Deleted));
    }
    may(relation, Deed::Edit)?;
    let content = edit.body.as_ref().map(Body::json).filter(|json| *json != row.content);
    let data = edit.data.as_ref().filter(|data| !data.is(extras.data.as_deref()));
    // Who was named stays mentioned, whatever the new text says.
    let mentions = edit.mentions.as_ref().filter(|mentions| {
        let stays = !mentions.are_given && (content.is_none() || !extras.mentions.is_empty());
        !stays && mentions.users.iter().map(|(user, _)| *user).ne(extras.mentioned.iter().copied())
    });
    if content.is_none() && data.is_none() && mentions.is_none() {
        return Ok(Edited::Same);
    }
    let age = (now - row.created_at).to_std().unwrap_or_default();
    if !settings.edit_window.is_zero() && age > settings.edit_window {
        return Err(Error::Forbidden(Forbidden::WindowOver));
    }
    marks.edits = marks.edits.saturating_add(content.is_some().into());
    let before = content.map(|content| message_version::Model {
        room_id: row.room_id,
        seq: row.seq,
        version: i32::try_from(marks.edits).unwrap_or(i32::MAX),
        content: std::mem::replace(&mut row.content, content.to_owned()),
        at: row.edited_at.unwrap_or(row.created_at),
    });
    let mut mentioned = Vec::new();
    if let Some(mentions) = mentions {
        let is_new = |user: &UserId| !extras.mentioned.contains(user);
        mentioned.extend(mentions.users.iter().filter(|(user, _)| is_new(user)).cloned());
        mentions.store(extras);
    }
    if let Some(data) = data {
        extras.data = Some(data.json().to_owned());
    }
    row.edited_at = Some(now);
    Ok(Edited::Changed { before, mentioned })
}

/// The result of an edit.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::chat) enum Edited {
    /// Everything was the same before.
    Same,
    Changed {
        /// The content that the message had, if it has another one now.
        before: Option<message_version::Model>,
        /// Who is mentioned now, and was not before, with their usernames.
        mentioned: Vec<(UserId, String)>,
    },
}
