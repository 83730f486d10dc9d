//! The messages of one transaction, and what it does to them: each request finds a message as the earlier ones have
//! left it, and at the end each message that has changed is numbered and written once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, RoomId, Seq, UserId, message, pin, room};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, Value,
    sea_query::Expr,
};

use super::{
    Committed, QueuedChange, Stale, Wanted,
    altered::Altered,
    reactions::{ReactionChanges, Reactions},
};
use crate::{
    chat::{
        Core,
        changes::{self, Edited, Relation, count, edit, may_delete, may_react},
        extras::expire,
        model::{Alteration, Message, MessageChange, Reacted},
        room::Room,
        tombstone::make_tombstone,
        writer::sql,
    },
    config::{EditHistory, MessagesConfig},
    db::values_list::{self, Pad},
    error::{Entity, Error, Result},
};

/// See the module.
pub(super) struct Batch {
    messages: HashMap<MessageId, Altered>,
    /// Those that were changed, in the order in which they were first asked for.
    changed: Vec<MessageId>,
    reactions: Reactions,
    /// The number of pinned messages of rooms where one is to be pinned.
    pins: HashMap<RoomId, u64>,
}

/// What was done to a message.
struct Done {
    what: Vec<Alteration>,
    by: Arc<str>,
    reacted: Vec<Reacted>,
    mentioned: Vec<String>,
    extras_changed: bool,
}

impl Batch {
    /// Reads the messages that are to be changed.
    pub async fn read(
        tx: &DatabaseTransaction,
        changes: &[QueuedChange],
        settings: &MessagesConfig,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let ids: BTreeSet<MessageId> = changes.iter().flat_map(|change| &change.messages).copied().collect();
        let rows = message::Entity::find().filter(message::COLUMN.id.is_in(ids)).all(tx).await?;
        let rooms: BTreeMap<RoomId, &Arc<Room>> =
            changes.iter().map(|change| (change.room.id, &change.room)).collect();
        let mut messages = HashMap::with_capacity(rows.len());
        for row in rows {
            let Some(room) = rooms.get(&row.room_id) else { continue };
            let mut altered = Altered::of(room, row);
            let Altered { row, marks, extras, .. } = &mut altered;
            // Its row may not be a tombstone yet.
            expire(row, marks, extras, now, settings);
            messages.insert(row.id, altered);
        }
        let mut asked: BTreeMap<(RoomId, Seq), (MessageId, BTreeSet<UserId>)> = BTreeMap::new();
        for change in changes {
            for message in change.messages.iter().filter_map(|id| messages.get(id)) {
                if !message.marks.reactions.is_empty() {
                    let (_, users) =
                        asked.entry(message.place()).or_insert((message.row.id, BTreeSet::new()));
                    users.insert(change.user);
                }
            }
        }
        let reactions = Reactions::read(tx, asked).await?;
        let mut pins = HashMap::new();
        for change in changes.iter().filter(|change| matches!(change.wanted, Wanted::Pin { on: true })) {
            let room = change.room.id;
            if let Entry::Vacant(unknown) = pins.entry(room) {
                unknown.insert(pin::Entity::find().filter(pin::COLUMN.room_id.eq(room)).count(tx).await?);
            }
        }
        Ok(Self { messages, changed: Vec::new(), reactions, pins })
    }

    /// Does one request to its messages, all of them or none.
    pub fn apply(
        &mut self,
        settings: &MessagesConfig,
        change: &QueuedChange,
        moderates: bool,
        now: DateTime<Utc>,
    ) -> Result<()> {
        for id in &change.messages {
            let message = self.messages.get(id).filter(|message| message.room.id == change.room.id);
            let message = message.ok_or(Error::NotFound(Entity::Message))?;
            if matches!(change.wanted, Wanted::Delete) {
                may_delete(&message.row, relation(&message.row, change.user, moderates), now, settings)?;
            }
        }
        for id in &change.messages {
            let Some(message) = self.messages.get_mut(id) else { continue };
            let was_changed = !message.what.is_empty();
            let relation = relation(&message.row, change.user, moderates);
            match &change.wanted {
                Wanted::Edit(wanted) => {
                    let Altered { row, marks, extras, .. } = message;
                    if let Edited::Changed { before, mentioned } =
                        edit(row, marks, extras, relation, wanted, now, settings)?
                    {
                        message.versions.extend(before);
                        message.mentioned.extend(mentioned);
                        message.note(Alteration::Edited, &change.username);
                    }
                }
                Wanted::Delete if message.row.deleted_at.is_some() => {}
                Wanted::Delete => {
                    let Altered { row, marks, extras, .. } = message;
                    make_tombstone((row, marks, extras), now, Some(&change.username), settings);
                    self.reactions.forget(*id);
                    message.reacting.clear();
                    message.versions.clear();
                    message.mentioned.clear();
                    // Nothing else can be seen of what was done to it before.
                    message.what.clear();
                    message.note(Alteration::Deleted, &change.username);
                }
                Wanted::React(wanted) => {
                    may_react(message.row.deleted_at.is_some(), relation, wanted)?;
                    let key = wanted.key.as_str();
                    if self.reactions.has(*id, change.user, key) != wanted.on {
                        // One that is withdrawn and made again in one transaction keeps its place.
                        let returns = wanted.on && self.reactions.had(*id, change.user, key);
                        if count(&mut message.marks, &change.username, wanted)? || returns {
                            self.reactions.is_incomplete(*id, key);
                        }
                        self.reactions.set(*id, change.user, key, wanted.on);
                        if !message.reacting.iter().any(|(user, _)| *user == change.user) {
                            message.reacting.push((change.user, change.username.clone()));
                        }
                        message.note(Alteration::Reactions, &change.username);
                    }
                }
                Wanted::Pin { on } => {
                    let pins = self.pins.entry(change.room.id).or_default();
                    let standing = (change.room.kind, moderates);
                    let is_deleted = message.row.deleted_at.is_some();
                    let wanted = (&*change.username, *on);
                    if changes::pin(&mut message.marks, is_deleted, standing, wanted, now, *pins)? {
                        *pins = if *on { *pins + 1 } else { pins.saturating_sub(1) };
                        message.note(Alteration::Pinned, &change.username);
                    }
                }
            }
            if !was_changed && !message.what.is_empty() {
                self.changed.push(*id);
            }
        }
        Ok(())
    }

    /// Numbers the changes and writes them. `last` has the newest change of each room.
    pub async fn store(
        &mut self,
        settings: &MessagesConfig,
        tx: &DatabaseTransaction,
        mut last: BTreeMap<RoomId, ChangeNumber>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.store_reactions(tx, now).await?;
        let keeps = settings.edit_history != EditHistory::Off;
        let mut rooms = BTreeSet::new();
        let mut marked: Vec<[Value; 4]> = Vec::new();
        for id in &self.changed {
            let Some(message) = self.messages.get_mut(id) else { continue };
            let number = last.entry(message.row.room_id).or_default();
            *number = number.next();
            rooms.insert(message.row.room_id);
            self.reactions.complete(tx, *id, message.place(), &mut message.marks.reactions).await?;
            message.marks.at = now.timestamp_millis();
            message.row.change = *number;
            message.row.marks = Some(message.marks.json());
            message.row.extras = message.extras.json();
            if message.has_other_marks_alone() {
                let message::Model { room_id, seq, change, marks, .. } = &message.row;
                marked.push([room_id.0.into(), seq.0.into(), change.0.into(), marks.clone().into()]);
            } else {
                message.write(tx, keeps).await?;
            }
        }
        if !marked.is_empty() {
            let backend = tx.get_database_backend();
            let text = sql::MARK_MESSAGES;
            tx.execute_raw(values_list::statement(backend, text, marked.into_iter(), Pad::Last)).await?;
        }
        for (room, number) in last.into_iter().filter(|(room, _)| rooms.contains(room)) {
            room::Entity::update_many()
                .col_expr(room::Column::LastChange, Expr::value(number.0))
                .filter(room::COLUMN.id.eq(room))
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    /// Writes the reactions, and takes what was undone in the same transaction for nothing.
    async fn store_reactions(&mut self, tx: &DatabaseTransaction, now: DateTime<Utc>) -> Result<()> {
        let mut of_messages = Vec::new();
        let (messages, reactions) = (&mut self.messages, &self.reactions);
        self.changed.retain(|id| {
            let Some(message) = messages.get_mut(id) else { return false };
            if !message.what.contains(&Alteration::Reactions) {
                return true;
            }
            let users = message.reacting.iter().map(|(user, username)| (*user, username));
            let mut changes = reactions.changes_of(*id, users);
            if changes.reacted.is_empty() {
                message.marks.reactions.clone_from(&message.stored.marks.reactions);
                message.what.retain(|what| *what != Alteration::Reactions);
            } else {
                message.reacted = std::mem::take(&mut changes.reacted);
                of_messages.push((message.place(), changes));
            }
            !message.what.is_empty()
        });
        ReactionChanges::write(&of_messages, tx, now).await
    }

    /// What is published and answered.
    pub async fn committed(
        self,
        core: &Core,
        changes: &[QueuedChange],
        outcomes: Vec<Result<()>>,
        stale: Stale,
        now: DateTime<Utc>,
    ) -> Result<Committed> {
        let Self { messages, changed, reactions, .. } = self;
        let mut rows: BTreeMap<RoomId, (Arc<Room>, Vec<message::Model>)> = BTreeMap::new();
        let mut done: HashMap<MessageId, Done> = HashMap::new();
        for (id, message) in messages {
            let extras_changed = message.has_other_extras();
            let Altered { room, row, what, by, reacted, mentioned, .. } = message;
            rows.entry(room.id).or_insert_with(|| (room, Vec::new())).1.push(row);
            let mentioned = mentioned.into_iter().map(|(_, username)| username).collect();
            done.insert(id, Done { what, by, reacted, mentioned, extras_changed });
        }
        let mut models: HashMap<MessageId, Arc<Message>> = HashMap::new();
        for (room, rows) in rows.into_values() {
            let found = core.to_messages(&room, rows).await?;
            models.extend(found.into_iter().map(|message| (message.row.id, message)));
        }
        let mut of_rooms: BTreeMap<RoomId, Vec<Arc<MessageChange>>> = BTreeMap::new();
        for id in changed {
            let (Some(message), Some(done)) = (models.get(&id), done.remove(&id)) else { continue };
            let Done { what, by, reacted, mentioned, extras_changed } = done;
            let (number, message) = (message.row.change, message.clone());
            let by = Some(by);
            let change =
                MessageChange { number, at: now, by, what, reacted, mentioned, extras_changed, message };
            of_rooms.entry(change.message.row.room_id).or_default().push(Arc::new(change));
        }
        let answers = changes.iter().zip(outcomes).map(|(change, outcome)| {
            outcome?;
            // The one with the newest change, for which the answer waits.
            let found = change.messages.iter().filter_map(|id| models.get(id));
            let message = found.max_by_key(|message| message.row.change);
            let message = message.ok_or(Error::NotFound(Entity::Message))?;
            let own = reactions.keys(message.row.id, change.user);
            Ok(match own.is_empty() {
                true => message.clone(),
                false => Arc::new(Message { my_reactions: own.to_vec(), ..Message::clone(message) }),
            })
        });
        Ok(Committed { answers: answers.collect(), of_rooms, stale })
    }
}

/// What a user is to a message.
fn relation(row: &message::Model, user: UserId, moderates: bool) -> Relation {
    let is_sender = row.sender_id == user && row.kind != message::Kind::System;
    Relation::of(is_sender, moderates)
}
