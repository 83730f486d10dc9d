//! The commit that any draft may be in: one transaction that looks before it writes.

use std::collections::{BTreeSet, HashMap, HashSet};

use entity::{MessageId, RoomId, Seq, UserId, message, room};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, Value,
};

use super::{Draft, INSERT, Outcome, Outcomes, Stale, columns};
use crate::{
    chat::{Core, rosters::read_members, text::ClientMessageId},
    error::{Busy, Denial, Error, Noun, Result},
    listing::{self, Rest},
};

#[derive(FromQueryResult)]
struct RoomHead {
    id: RoomId,
    last_seq: Seq,
    roster_version: i64,
    deleted_at: Option<sea_orm::prelude::DateTimeUtc>,
}

/// One transaction for all drafts.
pub(super) async fn commit(core: &Core, drafts: &[Draft]) -> Result<Outcomes> {
    let tx = core.db.begin().await?;
    let rooms = lock_rooms(&tx, drafts).await?;
    let repeats = find_repeats(&tx, drafts).await?;
    let replied_to = find_replied_to(&tx, drafts).await?;
    let now = core.clock.now();

    let mut next: HashMap<RoomId, Seq> = HashMap::new();
    let mut fresh: HashMap<(RoomId, UserId, &ClientMessageId), usize> = HashMap::new();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(drafts.len());
    let mut stale = BTreeSet::new();
    for draft in drafts {
        let room = draft.roster.id;
        let Some(head) = rooms.get(&room).filter(|head| head.deleted_at.is_none()) else {
            stale.insert(room);
            outcomes.push(Outcome::Refused(Error::NotFound(Noun::Room)));
            continue;
        };
        if head.roster_version > draft.roster_version {
            stale.insert(room);
        }
        let id = draft.client_message_id.as_ref();
        if let Some(id) = id {
            let key = (room, draft.sender, id);
            let stored = repeats.get(&(room, draft.sender, id.as_str().to_owned()));
            let earlier = fresh.get(&key).and_then(|at| outcomes.get(*at));
            let repeat = match (stored, earlier) {
                (Some(row), _) | (None, Some(Outcome::Stored(row))) => Some(row.clone()),
                _ => None,
            };
            if let Some(row) = repeat {
                outcomes.push(Outcome::Repeat(row));
                continue;
            }
            fresh.insert(key, outcomes.len());
        }
        if head.roster_version != draft.roster_version && !is_member(&tx, draft).await? {
            outcomes.push(Outcome::Refused(Error::Forbidden(Denial::NotAMember)));
            continue;
        }
        if draft.reply_to.is_some_and(|reply_to| !replied_to.contains(&(room, reply_to))) {
            outcomes.push(Outcome::Refused(Error::NotFound(Noun::Message)));
            continue;
        }
        let seq = next.get(&room).copied().unwrap_or(head.last_seq).next();
        next.insert(room, seq);
        outcomes.push(Outcome::Stored(draft.row(MessageId::new(), seq, now)));
    }
    insert(&tx, &outcomes).await?;
    advance_rooms(&tx, &next, now).await?;
    let stale = read_stale(core, &tx, stale).await?;
    tx.commit().await.map_err(|err| {
        // Whether it happened is not known, whatever kind of error this is: not to be tried again here.
        tracing::warn!(error = %err, "the answer of a commit was lost");
        Error::Unavailable(Busy::Database)
    })?;
    Ok(Outcomes { of_drafts: outcomes, stale })
}

/// Reads who is in rooms that another process has changed, while their rows are locked.
async fn read_stale(core: &Core, tx: &DatabaseTransaction, rooms: BTreeSet<RoomId>) -> Result<Stale> {
    if rooms.is_empty() {
        return Ok(Stale::new());
    }
    let rooms: Vec<RoomId> = rooms.into_iter().collect();
    let mut stored = read_members(&core.db, tx, &rooms).await?;
    Ok(rooms.into_iter().map(|room| (room, stored.remove(&room))).collect())
}

/// Reads where each room stands, and keeps other nodes out of it until the commit.
async fn lock_rooms(tx: &DatabaseTransaction, drafts: &[Draft]) -> Result<HashMap<RoomId, RoomHead>> {
    let ids: BTreeSet<RoomId> = drafts.iter().map(|draft| draft.roster.id).collect();
    let backend = tx.get_database_backend();
    // In one order for all, so that two nodes never wait for each other. SQLite has locked everything.
    let text = match backend {
        DbBackend::Postgres => {
            "SELECT id, last_seq, roster_version, deleted_at FROM rooms WHERE id IN (rows) ORDER BY id FOR UPDATE"
        }
        _ => "SELECT id, last_seq, roster_version, deleted_at FROM rooms WHERE id IN (rows)",
    };
    let ids: Vec<[Value; 1]> = ids.into_iter().map(|id| [id.0.into()]).collect();
    let asked = listing::statement(backend, text, ids.into_iter(), Rest::Last);
    let heads = RoomHead::find_by_statement(asked).all(tx).await?;
    Ok(heads.into_iter().map(|head| (head.id, head)).collect())
}

type RepeatKey = (RoomId, UserId, String);

/// The messages that are stored under the drafts' client message ids.
async fn find_repeats(
    tx: &DatabaseTransaction,
    drafts: &[Draft],
) -> Result<HashMap<RepeatKey, message::Model>> {
    let asked: Vec<[Value; 3]> = drafts
        .iter()
        .filter_map(|draft| {
            let id = draft.client_message_id.as_ref()?;
            Some([draft.roster.id.0.into(), draft.sender.0.into(), id.as_str().into()])
        })
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    // A join with the list of values, so that each is one look into the unique index.
    let text = "SELECT messages.* FROM (rows) AS asked INNER JOIN messages ON messages.room_id = asked.column1 \
                AND messages.sender_id = asked.column2 AND messages.client_message_id = asked.column3";
    let asked = listing::statement(tx.get_database_backend(), text, asked.into_iter(), Rest::Last);
    let rows = message::Model::find_by_statement(asked).all(tx).await?;
    let keyed = rows.into_iter().filter_map(|row| {
        let id = row.client_message_id.clone()?;
        Some(((row.room_id, row.sender_id, id), row))
    });
    Ok(keyed.collect())
}

/// The messages that drafts reply to, as far as they exist.
async fn find_replied_to(tx: &DatabaseTransaction, drafts: &[Draft]) -> Result<HashSet<(RoomId, MessageId)>> {
    let ids: Vec<MessageId> = drafts.iter().filter_map(|draft| draft.reply_to).collect();
    if ids.is_empty() {
        return Ok(Default::default());
    }
    let rows: Vec<(RoomId, MessageId)> = message::Entity::find()
        .select_only()
        .columns([message::Column::RoomId, message::Column::Id])
        .filter(message::COLUMN.id.is_in(ids))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Asked again where the roster has changed since the draft was queued.
async fn is_member(tx: &DatabaseTransaction, draft: &Draft) -> Result<bool> {
    if draft.roster.kind == room::Kind::Lobby {
        return Ok(true);
    }
    let row = entity::member::Entity::find_by_id((draft.roster.id, draft.sender)).one(tx).await?;
    Ok(row.is_some())
}

async fn insert(tx: &DatabaseTransaction, outcomes: &[Outcome]) -> Result<()> {
    let stored = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Stored(row) => Some(row),
        _ => None,
    });
    let rows: Vec<[Value; 9]> = stored.map(columns).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let text = format!("{INSERT} SELECT * FROM (rows) AS stored WHERE column1 IS NOT NULL");
    tx.execute_raw(listing::statement(tx.get_database_backend(), &text, rows.into_iter(), Rest::Null))
        .await?;
    Ok(())
}

async fn advance_rooms(
    tx: &DatabaseTransaction,
    next: &HashMap<RoomId, Seq>,
    now: sea_orm::prelude::DateTimeUtc,
) -> Result<()> {
    if next.is_empty() {
        return Ok(());
    }
    // A join once more: a `CASE` would compare every room with every other.
    let text = "UPDATE rooms SET last_seq = moved.column2, active_at = moved.column3 FROM (rows) AS moved \
                WHERE rooms.id = moved.column1";
    let rows = next.iter().map(|(room, seq)| [room.0.into(), seq.0.into(), now.into()]);
    tx.execute_raw(listing::statement(tx.get_database_backend(), text, rows, Rest::Last)).await?;
    Ok(())
}
