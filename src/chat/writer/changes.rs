//! Numbers and commits changes of messages, and publishes them. Everything that one commit does to one message is one
//! change. A number is given under the room's row lock, in the transaction that stores the change.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, RoomId, UserId, message, message_version, room};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::Expr,
};

use super::{Stale, follow, refuse_all, transaction};
use crate::{
    chat::{
        Core,
        changes::{Edit, Edited, edit, read_marks},
        connections::ConnectionId,
        model::{Alteration, Message, MessageChange},
        room::{ChangeAnswer, DelayedReply, Reply, Room},
    },
    config::EditHistory,
    error::{Entity, Error, Forbidden, Result, Unavailable},
    message_marks::MessageMarks,
};

/// Changes that one transaction makes: it reads their messages, which are bounded in bytes.
const AT_ONCE: usize = 100;
/// The most earlier versions of a message that are kept.
const VERSIONS: i32 = 50;

/// A change of a message that waits to be made. It holds the room, so the room stays in memory until then.
pub(in crate::chat) struct QueuedChange {
    pub room: Arc<Room>,
    /// The version of the room's membership when the user was found to be a member.
    pub roster_version: i64,
    pub user: UserId,
    pub username: Arc<str>,
    pub message: MessageId,
    pub wanted: Wanted,
    /// The connection that it came from. It is told of the change before the answer.
    pub origin: Option<ConnectionId>,
    pub reply: Reply,
}

/// What is to be done to a message.
pub(in crate::chat) enum Wanted {
    Edit(Edit),
}

impl QueuedChange {
    /// About what it takes while it waits.
    pub fn bytes(&self) -> usize {
        /// Its ids and answer.
        const BESIDES: usize = 500;
        let Wanted::Edit(edit) = &self.wanted;
        BESIDES + edit.body.json().len()
    }
}

/// The result of one transaction.
struct Committed {
    /// For each request in its order: the message as it stands now, or the refusal.
    answers: Vec<Result<Arc<Message>>>,
    /// The changes of each room, ascending.
    of_rooms: BTreeMap<RoomId, Vec<Arc<MessageChange>>>,
    stale: Stale,
}

/// Makes changes in their order, and publishes them.
pub(super) async fn carry_out(core: &Arc<Core>, changes: Vec<QueuedChange>) {
    let mut waiting = changes.into_iter();
    loop {
        let part: Vec<QueuedChange> = waiting.by_ref().take(AT_ONCE).collect();
        if part.is_empty() {
            return;
        }
        make(core, part).await;
    }
}

async fn make(core: &Arc<Core>, changes: Vec<QueuedChange>) {
    // A database that no longer answers must not block these rooms for ever.
    let committed = tokio::time::timeout(core.db.patience(), commit(core, &changes)).await;
    match committed.unwrap_or(Err(Error::Unavailable(Unavailable::Database))) {
        Ok(committed) => publish(core, changes, committed),
        Err(err) if changes.len() == 1 || matches!(err, Error::Unavailable(_)) => {
            refuse_all(core, err, changes.into_iter().map(|change| (change.room, change.reply)));
        }
        // One bad change must not make the others of its transaction fail.
        Err(_) => {
            for change in changes {
                Box::pin(make(core, vec![change])).await;
            }
        }
    }
}

fn publish(core: &Arc<Core>, changes: Vec<QueuedChange>, committed: Committed) {
    let Committed { answers, mut of_rooms, stale } = committed;
    follow(core, changes.iter().map(|change| &change.room), stale);
    let mut rooms: BTreeMap<RoomId, (Arc<Room>, Vec<ChangeAnswer>)> = BTreeMap::new();
    for (change, answer) in changes.into_iter().zip(answers) {
        let QueuedChange { room, origin, reply, .. } = change;
        match answer {
            Ok(message) => {
                let (_, answers) = rooms.entry(room.id).or_insert_with(|| (room, Vec::new()));
                answers.push(ChangeAnswer { message, origin, reply });
            }
            Err(err) => reply(Err(err)),
        }
    }
    for (id, (room, answers)) in rooms {
        let changes = of_rooms.remove(&id).unwrap_or_default();
        metrics::counter!("parlor_changes_stored_total").increment(changes.len() as u64);
        if changes.first().is_some_and(|first| first.number != room.changed().next()) {
            core.rooms.forget_messages(&room);
        }
        let messages: Vec<_> = changes.iter().map(|change| change.message.clone()).collect();
        core.rooms.replace(&room, &messages);
        let published = room.publish_changes(changes, answers);
        for connection in published.behind {
            core.bring_up(&connection, &room);
        }
        published.answers.into_iter().for_each(DelayedReply::give);
    }
}

/// The messages of one transaction, and what it has done to them so far.
#[derive(Default)]
struct Batch {
    messages: HashMap<MessageId, Altered>,
    /// Those that were changed, in the order in which they were first asked for.
    changed: Vec<MessageId>,
}

struct Altered {
    room: Arc<Room>,
    row: message::Model,
    marks: MessageMarks,
    what: Vec<Alteration>,
    by: Arc<str>,
    versions: Vec<message_version::Model>,
}

/// Makes all changes, or none.
async fn commit(core: &Core, changes: &[QueuedChange]) -> Result<Committed> {
    let tx = core.db.begin().await?;
    let rooms: BTreeSet<RoomId> = changes.iter().map(|change| change.room.id).collect();
    let heads = transaction::lock_rooms(&tx, rooms).await?;
    let mut batch = read(&tx, changes).await?;
    let now = core.clock.now();
    let mut outcomes: Vec<Result<()>> = Vec::with_capacity(changes.len());
    let mut stale = BTreeSet::new();
    for change in changes {
        let Some(head) = heads.get(&change.room.id).filter(|head| head.deleted_at.is_none()) else {
            stale.insert(change.room.id);
            outcomes.push(Err(Error::NotFound(Entity::Message)));
            continue;
        };
        if head.roster_version > change.roster_version {
            stale.insert(change.room.id);
        }
        let is_known = head.roster_version == change.roster_version;
        let may = is_known || transaction::is_member(&tx, &change.room, change.user).await?;
        outcomes.push(match may {
            true => batch.apply(core, change, now),
            false => Err(Error::Forbidden(Forbidden::NotAMember)),
        });
    }
    let last_changes = heads.into_iter().map(|(room, head)| (room, head.last_change)).collect();
    batch.store(core, &tx, last_changes, now).await?;
    let stale = transaction::read_stale(core, &tx, stale).await?;
    let committed = batch.committed(core, changes, outcomes, stale, now).await?;
    tx.commit().await.map_err(|err| {
        // Nobody knows whether the commit happened, whatever the error is: it must not be tried again here.
        tracing::warn!(error = %err, "the answer of a commit was lost");
        Error::Unavailable(Unavailable::Database)
    })?;
    Ok(committed)
}

/// Reads the messages that are to be changed.
async fn read(tx: &DatabaseTransaction, changes: &[QueuedChange]) -> Result<Batch> {
    let ids: BTreeSet<MessageId> = changes.iter().map(|change| change.message).collect();
    let rows = message::Entity::find().filter(message::COLUMN.id.is_in(ids)).all(tx).await?;
    let rooms: BTreeMap<RoomId, &Arc<Room>> =
        changes.iter().map(|change| (change.room.id, &change.room)).collect();
    let mut batch = Batch::default();
    for row in rows {
        let Some(room) = rooms.get(&row.room_id) else { continue };
        let marks = row.marks.as_deref().map(read_marks).unwrap_or_default();
        let altered = Altered {
            room: Arc::clone(room),
            marks,
            what: Vec::new(),
            by: Arc::from(""),
            versions: Vec::new(),
            row,
        };
        batch.messages.insert(altered.row.id, altered);
    }
    Ok(batch)
}

impl Batch {
    /// Does one request to the message as the earlier ones have left it.
    fn apply(&mut self, core: &Core, change: &QueuedChange, now: DateTime<Utc>) -> Result<()> {
        let message = self.messages.get_mut(&change.message);
        let message = message.filter(|message| message.room.id == change.room.id);
        let Altered { row, marks, what, by, versions, .. } =
            message.ok_or(Error::NotFound(Entity::Message))?;
        let alteration = match &change.wanted {
            Wanted::Edit(wanted) => {
                match edit(row, marks, change.user, wanted, now, &core.settings.messages)? {
                    Edited::Same => return Ok(()),
                    Edited::Changed(before) => {
                        versions.push(before);
                        Alteration::Edited
                    }
                }
            }
        };
        if what.is_empty() {
            self.changed.push(change.message);
        }
        if !what.contains(&alteration) {
            what.push(alteration);
        }
        *by = change.username.clone();
        Ok(())
    }

    /// Numbers the changes and writes them. `last` has the newest change of each room.
    async fn store(
        &mut self,
        core: &Core,
        tx: &DatabaseTransaction,
        mut last: BTreeMap<RoomId, ChangeNumber>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let keeps = core.settings.messages.edit_history != EditHistory::Off;
        let mut rooms = BTreeSet::new();
        for id in &self.changed {
            let Some(Altered { row, marks, versions, .. }) = self.messages.get_mut(id) else { continue };
            let number = last.entry(row.room_id).or_default();
            *number = number.next();
            rooms.insert(row.room_id);
            marks.at = now.timestamp_millis();
            row.change = *number;
            row.marks = Some(marks.json());
            write(tx, row, if keeps { std::mem::take(versions) } else { Vec::new() }).await?;
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

    /// What is published and answered.
    async fn committed(
        self,
        core: &Core,
        changes: &[QueuedChange],
        outcomes: Vec<Result<()>>,
        stale: Stale,
        now: DateTime<Utc>,
    ) -> Result<Committed> {
        let Self { messages, changed } = self;
        let mut rows: BTreeMap<RoomId, (Arc<Room>, Vec<message::Model>)> = BTreeMap::new();
        let mut done: HashMap<MessageId, (Vec<Alteration>, Arc<str>)> = HashMap::new();
        for (id, Altered { room, row, what, by, .. }) in messages {
            rows.entry(room.id).or_insert_with(|| (room, Vec::new())).1.push(row);
            done.insert(id, (what, by));
        }
        let mut models: HashMap<MessageId, Arc<Message>> = HashMap::new();
        for (room, rows) in rows.into_values() {
            let found = core.to_messages(&room, rows).await?;
            models.extend(found.into_iter().map(|message| (message.row.id, message)));
        }
        let mut of_rooms: BTreeMap<RoomId, Vec<Arc<MessageChange>>> = BTreeMap::new();
        for id in changed {
            let (Some(message), Some((what, by))) = (models.get(&id), done.remove(&id)) else { continue };
            let (number, message) = (message.row.change, message.clone());
            let change = MessageChange { number, at: now, by: Some(by), what, message };
            of_rooms.entry(change.message.row.room_id).or_default().push(Arc::new(change));
        }
        let answers = changes.iter().zip(outcomes).map(|(change, outcome)| {
            outcome?;
            models.get(&change.message).cloned().ok_or(Error::NotFound(Entity::Message))
        });
        Ok(Committed { answers: answers.collect(), of_rooms, stale })
    }
}

/// Writes a changed message, and the contents that it had before. The oldest of these go when they are too many.
async fn write(
    tx: &DatabaseTransaction,
    row: &message::Model,
    versions: Vec<message_version::Model>,
) -> Result<()> {
    let changed = message::ActiveModel {
        room_id: Unchanged(row.room_id),
        seq: Unchanged(row.seq),
        content: Set(row.content.clone()),
        edited_at: Set(row.edited_at),
        deleted_at: Set(row.deleted_at),
        change: Set(row.change),
        marks: Set(row.marks.clone()),
        ..Default::default()
    };
    message::Entity::update(changed).exec(tx).await?;
    let Some(newest) = versions.last().map(|version| version.version) else { return Ok(()) };
    let versions = versions.into_iter().map(|version| version.into_active_model());
    message_version::Entity::insert_many(versions).exec_without_returning(tx).await?;
    if newest > VERSIONS {
        let column = message_version::COLUMN;
        message_version::Entity::delete_many()
            .filter(column.room_id.eq(row.room_id))
            .filter(column.seq.eq(row.seq))
            .filter(column.version.lte(newest - VERSIONS))
            .exec(tx)
            .await?;
    }
    Ok(())
}
