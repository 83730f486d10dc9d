//! The reactions of one transaction: which users had which, and which they have at its end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use entity::{MessageId, RoomId, Seq, UserId, reaction};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};

use crate::{
    chat::{
        model::Reacted,
        room::registry::people,
        sql::{self, reactions::ReactionOf},
    },
    error::Result,
    message_marks::ReactionMarks,
};

/// See the module.
#[derive(Default)]
pub(super) struct Reactions {
    of_users: HashMap<(MessageId, UserId), KeysOf>,
    /// Keys whose first users have to be read again.
    incomplete: BTreeSet<(MessageId, String)>,
}

/// The keys with which a user has reacted to a message, oldest first.
#[derive(Default)]
struct KeysOf {
    stored: Vec<String>,
    now: Vec<String>,
}

/// What one transaction has done to the reactions to a message, beyond what it has undone.
#[derive(Default)]
pub(super) struct ReactionChanges {
    pub reacted: Vec<Reacted>,
    added: Vec<(UserId, String)>,
    withdrawn: Vec<(UserId, String)>,
}

impl Reactions {
    /// Reads the reactions of these users to these messages.
    pub async fn read(
        tx: &DatabaseTransaction,
        asked: BTreeMap<(RoomId, Seq), (MessageId, BTreeSet<UserId>)>,
    ) -> Result<Self> {
        let mut reactions = Self::default();
        let pairs: Vec<_> = asked
            .iter()
            .flat_map(|((room, seq), (_, users))| users.iter().map(|user| (*room, *seq, *user)))
            .collect();
        if pairs.is_empty() {
            return Ok(reactions);
        }
        for ReactionOf { room, seq, user, key } in sql::reactions::of_users(tx, pairs.into_iter()).await? {
            let Some((message, _)) = asked.get(&(room, seq)) else { continue };
            let keys = reactions.of_users.entry((*message, user)).or_default();
            keys.stored.push(key.clone());
            keys.now.push(key);
        }
        Ok(reactions)
    }

    /// Whether a user had reacted to a message with a key before the transaction.
    pub fn had(&self, message: MessageId, user: UserId, key: &str) -> bool {
        self.of_users.get(&(message, user)).is_some_and(|keys| keys.stored.iter().any(|own| own == key))
    }

    pub fn has(&self, message: MessageId, user: UserId, key: &str) -> bool {
        self.keys(message, user).iter().any(|own| own == key)
    }

    /// The keys with which a user has reacted to a message.
    pub fn keys(&self, message: MessageId, user: UserId) -> &[String] {
        self.of_users.get(&(message, user)).map(|keys| &*keys.now).unwrap_or_default()
    }

    pub fn set(&mut self, message: MessageId, user: UserId, key: &str, on: bool) {
        let keys = &mut self.of_users.entry((message, user)).or_default().now;
        if on {
            keys.push(key.to_owned());
        } else {
            keys.retain(|own| own != key);
        }
    }

    /// The first users of a key have to be read again.
    pub fn is_incomplete(&mut self, message: MessageId, key: &str) {
        self.incomplete.insert((message, key.to_owned()));
    }

    /// A message was deleted, with all its reactions.
    pub fn forget(&mut self, message: MessageId) {
        self.of_users.retain(|(of, _), _| *of != message);
        self.incomplete.retain(|(of, _)| *of != message);
    }

    /// What has changed for a message, by the users who have asked for something, in their order.
    pub fn changes_of<'a>(
        &self,
        message: MessageId,
        users: impl Iterator<Item = (UserId, &'a std::sync::Arc<str>)>,
    ) -> ReactionChanges {
        let mut changes = ReactionChanges::default();
        for (user, username) in users {
            let Some(KeysOf { stored, now }) = self.of_users.get(&(message, user)) else { continue };
            let mut note = |keys: &[String], others: &[String], on: bool| {
                for key in keys.iter().filter(|key| !others.contains(key)) {
                    let username = username.clone();
                    changes.reacted.push(Reacted { username, key: key.clone(), on });
                    let rows = if on { &mut changes.added } else { &mut changes.withdrawn };
                    rows.push((user, key.clone()));
                }
            };
            note(stored, now, false);
            note(now, stored, true);
        }
        changes
    }

    /// Reads the first users of the keys of a message that lack some.
    pub async fn complete(
        &self,
        tx: &DatabaseTransaction,
        message: MessageId,
        (room, seq): (RoomId, Seq),
        marks: &mut [ReactionMarks],
    ) -> Result<()> {
        for marks in marks.iter_mut().filter(|marks| self.incomplete.contains(&(message, marks.key.clone())))
        {
            let first = reaction::of(room, seq)
                .filter(reaction::COLUMN.key.eq(marks.key.as_str()))
                .limit(ReactionMarks::USERS as u64)
                .all(tx)
                .await?;
            let names = people(tx, first.iter().map(|row| row.user_id).collect()).await?;
            let name = |row: &reaction::Model| Some(names.get(&row.user_id)?.username.to_string());
            marks.users = first.iter().filter_map(name).collect();
        }
        Ok(())
    }
}

impl ReactionChanges {
    /// Writes the rows of several messages.
    pub async fn write(
        of_messages: &[((RoomId, Seq), Self)],
        tx: &DatabaseTransaction,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let column = reaction::COLUMN;
        let mut withdrawn = Condition::any();
        let mut added = Vec::new();
        // The list of reactions is read on by these times, which a database may shorten.
        let at = DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now);
        for ((room, seq), changes) in of_messages {
            for (user, key) in &changes.withdrawn {
                let row = Condition::all()
                    .add(column.room_id.eq(*room))
                    .add(column.seq.eq(*seq))
                    .add(column.user_id.eq(*user))
                    .add(column.key.eq(key.as_str()));
                withdrawn = withdrawn.add(row);
            }
            for (user, key) in &changes.added {
                let row = reaction::Model { room_id: *room, seq: *seq, user_id: *user, key: key.clone(), at };
                added.push(row.into_active_model());
            }
        }
        if !withdrawn.is_empty() {
            reaction::Entity::delete_many().filter(withdrawn).exec(tx).await?;
        }
        if !added.is_empty() {
            reaction::Entity::insert_many(added).exec_without_returning(tx).await?;
        }
        Ok(())
    }
}
