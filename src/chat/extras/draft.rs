//! What the sender of a message asks for beyond its content, and what becomes of it once it is looked up.

use chrono::{DateTime, Utc};
use entity::{MessageId, Seq, UserId, message, room};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{mentions, root_of};
use crate::{
    chat::{Core, room::Room},
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
    message_extras::{ForwardedFrom, MessageExtras, ThreadRoot},
    values::{Body, Data, Lifetime},
};

/// In a room with more members, only moderators mention everyone.
const EVERYONE_MENTIONS_UP_TO: usize = 100;

/// What the sender of a message asks for, beyond its content.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// A message of the thread: its root, or one of its replies.
    pub thread: Option<MessageId>,
    /// Whether a message of a thread is meant for the room, too.
    pub also_in_room: bool,
    /// Usernames. Without them, the text is searched for mentions.
    pub mentions: Option<Vec<String>>,
    pub mentions_all: bool,
    pub data: Option<Data>,
    pub lifetime: Option<Lifetime>,
    pub forwarded_from: Option<ForwardedFrom>,
}

/// The extras of a draft, looked up. [`MessageExtras::expires_at`] is not set before the message has its time.
#[derive(Clone, Debug, Default)]
pub(in crate::chat) struct DraftExtras {
    stored: MessageExtras,
    lifetime: Option<Lifetime>,
    /// Whether only a moderator may send it.
    pub for_moderators: bool,
}

impl DraftExtras {
    /// Whether rows of other tables belong to the message.
    pub fn has_rows(&self) -> bool {
        let MessageExtras { thread, mentioned, mentions_all, .. } = &self.stored;
        thread.is_some() || *mentions_all || !mentioned.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.stored.bytes()
    }

    /// When a message that is stored at this time becomes a tombstone.
    pub fn expires_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.lifetime.map(|lifetime| now + lifetime.duration())
    }

    /// The extras of a message that is stored at this time.
    pub fn at(&self, now: DateTime<Utc>) -> MessageExtras {
        let expires_at = self.expires_at(now).map(|at| at.timestamp_millis());
        MessageExtras { expires_at, ..self.stored.clone() }
    }

    /// The root of the thread that the message is in.
    pub fn thread(&self) -> Option<Seq> {
        self.stored.thread.map(|root| root.seq)
    }

    pub fn stored(&self) -> &MessageExtras {
        &self.stored
    }
}

/// The users whom a message mentions.
#[derive(Clone, Debug, Default)]
pub(in crate::chat) struct Mentions {
    /// With their usernames.
    pub users: Vec<(UserId, String)>,
    /// Whether the client has named them. Otherwise they were found in the text.
    pub are_given: bool,
}

impl Mentions {
    /// Makes these the mentions of a message.
    pub fn store(&self, extras: &mut MessageExtras) {
        extras.mentioned = self.users.iter().map(|(user, _)| *user).collect();
        let given = self.users.iter().filter(|_| self.are_given);
        extras.mentions = given.map(|(_, name)| name.clone()).collect();
    }
}

/// The messages that a draft points at.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::chat) struct PointedAt {
    /// The root of the thread that it is in.
    thread: Option<ThreadRoot>,
    /// The seq of the message that it answers.
    reply_seq: Option<Seq>,
}

impl PointedAt {
    /// The seq of the root of the thread.
    pub fn thread_seq(&self) -> Option<Seq> {
        self.thread.map(|root| root.seq)
    }
}

impl Core {
    /// Looks up what a draft is sent with. `None` for nearly all messages, which are sent with nothing.
    ///
    /// # Errors
    /// `forbidden` (`role`), `bad_request`.
    pub(in crate::chat) fn extras_of(
        &self,
        caller: &Caller,
        room: &Room,
        (asked, body): (Option<&Extras>, &Body),
        pointed_at: PointedAt,
    ) -> Result<Option<Box<DraftExtras>>> {
        let (mentions, for_moderators) = self.mentions_of(caller, room, asked, body)?;
        let lifetime = asked.and_then(|asked| asked.lifetime).or(room.settings().disappear_after);
        let PointedAt { thread, reply_seq } = pointed_at;
        let points = thread.is_some() || reply_seq.is_some();
        if asked.is_none() && !points && lifetime.is_none() && mentions.users.is_empty() {
            return Ok(None);
        }
        let mut stored = MessageExtras {
            reply_seq,
            thread,
            also_in_room: thread.is_some() && asked.is_some_and(|asked| asked.also_in_room),
            mentions_all: asked.is_some_and(|asked| asked.mentions_all),
            data: asked.and_then(|asked| Some(asked.data.as_ref()?.json().to_owned())),
            forwarded_from: asked.and_then(|asked| asked.forwarded_from.clone()),
            ..MessageExtras::default()
        };
        mentions.store(&mut stored);
        let is_plain = lifetime.is_none() && stored.is_empty();
        Ok((!is_plain).then(|| Box::new(DraftExtras { stored, lifetime, for_moderators })))
    }

    /// The messages that a draft points at: the root of the thread that `thread` begins or is in, and `reply_to`.
    ///
    /// # Errors
    /// `not_found` for a thread that is not in the room.
    pub(in crate::chat) async fn pointed_at(
        &self,
        room: &Room,
        thread: Option<MessageId>,
        reply_to: Option<MessageId>,
    ) -> Result<PointedAt> {
        let asked: Vec<MessageId> = thread.into_iter().chain(reply_to).collect();
        let rows = message::Entity::find()
            .filter(message::COLUMN.id.is_in(asked))
            .filter(message::COLUMN.room_id.eq(room.id))
            .all(self.db.reader())
            .await?;
        let found = |id: MessageId| rows.iter().find(|row| row.id == id);
        let thread = match thread {
            Some(thread) => Some(root_of(found(thread).ok_or(Error::NotFound(Entity::Message))?)),
            None => None,
        };
        // The commit refuses an answer to a message that is not in the room.
        Ok(PointedAt { thread, reply_seq: reply_to.and_then(found).map(|row| row.seq) })
    }

    fn mentions_of(
        &self,
        caller: &Caller,
        room: &Room,
        asked: Option<&Extras>,
        body: &Body,
    ) -> Result<(Mentions, bool)> {
        let given = asked.and_then(|asked| asked.mentions.as_deref());
        let is_text = body.kind == message::Kind::Text;
        let mentions = self.mentioned(room, is_text.then_some(body), given)?;
        let mentions_all = asked.is_some_and(|asked| asked.mentions_all);
        let for_moderators = mentions_all && room.member_count() > EVERYONE_MENTIONS_UP_TO;
        let is_lobby = room.kind == room::Kind::Lobby;
        if (for_moderators || mentions_all && is_lobby) && !room.is_moderated_by(caller) {
            return Err(Error::Forbidden(Forbidden::Role));
        }
        Ok((mentions, for_moderators))
    }

    /// Whom a message mentions: the names that are given, or else those in its text.
    pub(in crate::chat) fn mentioned(
        &self,
        room: &Room,
        text: Option<&Body>,
        given: Option<&[String]>,
    ) -> Result<Mentions> {
        let users = match (given, text) {
            (Some(names), _) => mentions::named(room, names)?,
            (None, Some(body)) if self.settings.messages.parse_mentions => mentions::in_text(room, body),
            (None, _) => Vec::new(),
        };
        Ok(Mentions { users, are_given: given.is_some() })
    }
}
