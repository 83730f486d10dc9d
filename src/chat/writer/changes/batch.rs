//! The messages of one transaction, and what it does to them: each request finds a message as the earlier ones have
//! left it, and at the end each message that has changed is numbered and written once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, RoomId, Seq, UserId, message, message_version, pin, reaction, room};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    sea_query::Expr,
};

use super::{
    Committed, QueuedChange, Stale, Wanted,
    reactions::{ReactionChanges, Reactions},
};
use crate::{
    chat::{
        Core,
        changes::{self, Edited, Relation, count, delete, edit, may_delete, may_react},
        model::{Alteration, Message, MessageChange, Reacted},
        room::Room,
    },
    config::{EditHistory, MessagesConfig},
    error::{Entity, Error, Result},
    message_marks::MessageMarks,
};

/// The most earlier versions of a message that are kept.
const VERSIONS: i32 = 50;

/// See the module.
pub(super) struct Batch {
    messages: HashMap<MessageId, Altered>,
    /// Those that were changed, in the order in which they were first asked for.
    changed: Vec<MessageId>,
    reactions: Reactions,
    /// The number of pinned messages of rooms where one is to be pinned.
    pins: HashMap<RoomId, u64>,
}

struct Altered {
    room: Arc<Room>,
    row: message::Model,
    marks: MessageMarks,
    /// As they were before the transaction.
    stored: MessageMarks,
    what: Vec<Alteration>,
    by: Arc<str>,
    versions: Vec<message_version::Model>,
    /// Who has asked for reactions, in the order of the requests.
    reacting: Vec<(UserId, Arc<str>)>,
    reacted: Vec<Reacted>,
}

/// What was done to a message.
struct Done {
    what: Vec<Alteration>,
    by: Arc<str>,
    reacted: Vec<Reacted>,
}

impl Altered {
    fn note(&mut self, done: Alteration, by: &Arc<str>) {
        if !self.what.contains(&done) {
            self.what.push(done);
        }
        self.by = by.clone();
    }

    fn place(&self) -> (RoomId, Seq) {
        (self.row.room_id, self.row.seq)
    }
}

impl Batch {
    /// Reads the messages that are to be changed.
    pub async fn read(tx: &DatabaseTransaction, changes: &[QueuedChange]) -> Result<Self> {
        let ids: BTreeSet<MessageId> = changes.iter().flat_map(|change| &change.messages).copied().collect();
        let rows = message::Entity::find().filter(message::COLUMN.id.is_in(ids)).all(tx).await?;
        let rooms: BTreeMap<RoomId, &Arc<Room>> =
            changes.iter().map(|change| (change.room.id, &change.room)).collect();
        let mut messages = HashMap::with_capacity(rows.len());
        for row in rows {
            let Some(room) = rooms.get(&row.room_id) else { continue };
            let marks = row.marks.as_deref().map(changes::read_marks).unwrap_or_default();
            let altered = Altered {
                room: Arc::clone(room),
                stored: marks.clone(),
                marks,
                what: Vec::new(),
                by: Arc::from(""),
                versions: Vec::new(),
                reacting: Vec::new(),
                reacted: Vec::new(),
                row,
            };
            messages.insert(altered.row.id, altered);
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
                    if let Edited::Changed(before) =
                        edit(&mut message.row, &mut message.marks, relation, wanted, now, settings)?
                    {
                        message.versions.push(before);
                        message.note(Alteration::Edited, &change.username);
                    }
                }
                Wanted::Delete if message.row.deleted_at.is_some() => {}
                Wanted::Delete => {
                    delete(&mut message.row, &mut message.marks, &change.username, now, settings);
                    self.reactions.forget(*id);
                    message.reacting.clear();
                    message.versions.clear();
                    // Nothing else can be seen of what was done to it before.
                    message.what.clear();
                    message.note(Alteration::Deleted, &change.username);
                }
                Wanted::React(wanted) => {
                    may_react(message.row.deleted_at.is_some(), relation, wanted)?;
                    let key = wanted.key.as_str();
                    if self.reactions.has(*id, change.user, key) != wanted.on {
                        if count(&mut message.marks, &change.username, wanted)? {
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
        for id in &self.changed {
            let Some(message) = self.messages.get_mut(id) else { continue };
            let number = last.entry(message.row.room_id).or_default();
            *number = number.next();
            rooms.insert(message.row.room_id);
            self.reactions.complete(tx, *id, message.place(), &mut message.marks.reactions).await?;
            message.marks.at = now.timestamp_millis();
            message.row.change = *number;
            message.row.marks = Some(message.marks.json());
            write(tx, message, keeps).await?;
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
                message.marks.reactions.clone_from(&message.stored.reactions);
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
        for (id, Altered { room, row, what, by, reacted, .. }) in messages {
            rows.entry(room.id).or_insert_with(|| (room, Vec::new())).1.push(row);
            done.insert(id, Done { what, by, reacted });
        }
        let mut models: HashMap<MessageId, Arc<Message>> = HashMap::new();
        for (room, rows) in rows.into_values() {
            let found = core.to_messages(&room, rows).await?;
            models.extend(found.into_iter().map(|message| (message.row.id, message)));
        }
        let mut of_rooms: BTreeMap<RoomId, Vec<Arc<MessageChange>>> = BTreeMap::new();
        for id in changed {
            let (Some(message), Some(done)) = (models.get(&id), done.remove(&id)) else { continue };
            let Done { what, by, reacted } = done;
            let (number, message) = (message.row.change, message.clone());
            let change = MessageChange { number, at: now, by: Some(by), what, reacted, message };
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

/// Notes that a message is pinned, or that it is not any more.
async fn write_pin(tx: &DatabaseTransaction, message: &Altered) -> Result<()> {
    let (room_id, seq) = message.place();
    match (message.stored.pin.is_some(), message.marks.pin.is_some()) {
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

/// Writes a changed message, and the contents that it had before. The oldest of these go when they are too many. A
/// deleted message has neither earlier contents nor reactions.
async fn write(tx: &DatabaseTransaction, message: &mut Altered, keeps_versions: bool) -> Result<()> {
    let row = &message.row;
    let changed = message::ActiveModel {
        room_id: Unchanged(row.room_id),
        seq: Unchanged(row.seq),
        content: Set(row.content.clone()),
        reply_to: Set(row.reply_to),
        edited_at: Set(row.edited_at),
        deleted_at: Set(row.deleted_at),
        change: Set(row.change),
        marks: Set(row.marks.clone()),
        ..Default::default()
    };
    message::Entity::update(changed).exec(tx).await?;
    write_pin(tx, message).await?;
    let versions = message_version::COLUMN;
    let of_message = message_version::Entity::delete_many()
        .filter(versions.room_id.eq(row.room_id))
        .filter(versions.seq.eq(row.seq));
    if message.what.contains(&Alteration::Deleted) {
        if message.stored.edits > 0 {
            of_message.exec(tx).await?;
        }
        if !message.stored.reactions.is_empty() {
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
    let Some(newest) = message.versions.last().map(|version| version.version) else { return Ok(()) };
    let rows = std::mem::take(&mut message.versions).into_iter().map(|version| version.into_active_model());
    message_version::Entity::insert_many(rows).exec_without_returning(tx).await?;
    if newest > VERSIONS {
        of_message.filter(versions.version.lte(newest - VERSIONS)).exec(tx).await?;
    }
    Ok(())
}
