//! The commit for all cases: one transaction that reads before it writes.

use std::collections::{BTreeSet, HashMap, HashSet};

use entity::{ChangeNumber, MessageId, RoomId, Seq, UserId, member, message, room};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, Value, prelude::DateTimeUtc,
};

use super::{Outcome, Outcomes, QueuedDraft, Stale, answer_lost, rows_beside, sql};
use crate::{
    chat::{
        Core,
        room::{Room, permissions::moderates, registry::read_members},
    },
    db::values_list::{self, Pad},
    error::{Entity, Error, Forbidden, Result},
    values::ClientMessageId,
};

#[derive(FromQueryResult)]
pub(super) struct RoomHead {
    id: RoomId,
    last_seq: Seq,
    pub last_change: ChangeNumber,
    pub roster_version: i64,
    pub deleted_at: Option<DateTimeUtc>,
}

/// One transaction for all drafts.
pub(super) async fn commit(core: &Core, drafts: &[QueuedDraft]) -> Result<Outcomes> {
    let tx = core.db.begin().await?;
    let rooms = lock_rooms(&tx, drafts.iter().map(|draft| draft.room.id).collect()).await?;
    let repeats = find_repeats(&tx, drafts).await?;
    let replied_to = find_replied_to(&tx, drafts).await?;
    let now = core.clock.now();

    let mut next: HashMap<RoomId, Seq> = HashMap::new();
    let mut fresh: HashMap<(RoomId, UserId, &ClientMessageId), usize> = HashMap::new();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(drafts.len());
    let mut stale = BTreeSet::new();
    for draft in drafts {
        let room = draft.room.id;
        let Some(head) = rooms.get(&room).filter(|head| head.deleted_at.is_none()) else {
            stale.insert(room);
            outcomes.push(Outcome::Refused(Error::NotFound(Entity::Room)));
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
        if head.roster_version != draft.roster_version
            && let Err(err) = ask_again(&tx, draft).await?
        {
            outcomes.push(Outcome::Refused(err));
            continue;
        }
        if draft.reply_to.is_some_and(|reply_to| !replied_to.contains(&(room, reply_to))) {
            outcomes.push(Outcome::Refused(Error::NotFound(Entity::Message)));
            continue;
        }
        let seq = next.get(&room).copied().unwrap_or(head.last_seq).next();
        next.insert(room, seq);
        outcomes.push(Outcome::Stored(draft.row(MessageId::new(), seq, now)));
    }
    insert(&tx, drafts, &outcomes, now).await?;
    rows_beside::store(&tx, drafts, &outcomes).await?;
    advance_rooms(&tx, &next, now).await?;
    let stale = read_stale(core, &tx, stale).await?;
    tx.commit().await.map_err(answer_lost)?;
    Ok(Outcomes { of_drafts: outcomes, stale })
}

/// Reads the membership of rooms that another process has changed, while their rows are locked.
pub(super) async fn read_stale(
    core: &Core,
    tx: &DatabaseTransaction,
    rooms: BTreeSet<RoomId>,
) -> Result<Stale> {
    if rooms.is_empty() {
        return Ok(Stale::new());
    }
    let rooms: Vec<RoomId> = rooms.into_iter().collect();
    let mut stored = read_members(&core.db, tx, &rooms).await?;
    Ok(rooms.into_iter().map(|room| (room, stored.remove(&room))).collect())
}

/// Reads the newest seq, change and version of each room, and locks its row until the commit, so that other nodes
/// wait.
pub(super) async fn lock_rooms(
    tx: &DatabaseTransaction,
    ids: BTreeSet<RoomId>,
) -> Result<HashMap<RoomId, RoomHead>> {
    let backend = tx.get_database_backend();
    let text = match backend {
        DbBackend::Postgres => sql::LOCK_ROOMS_POSTGRES,
        _ => sql::LOCK_ROOMS_SQLITE,
    };
    let ids: Vec<[Value; 1]> = ids.into_iter().map(|id| [id.0.into()]).collect();
    let asked = values_list::statement(backend, text, ids.into_iter(), Pad::Last);
    let heads = RoomHead::find_by_statement(asked).all(tx).await?;
    Ok(heads.into_iter().map(|head| (head.id, head)).collect())
}

type RepeatKey = (RoomId, UserId, String);

/// The messages that are stored under the drafts' client message ids.
async fn find_repeats(
    tx: &DatabaseTransaction,
    drafts: &[QueuedDraft],
) -> Result<HashMap<RepeatKey, message::Model>> {
    let asked: Vec<[Value; 3]> = drafts
        .iter()
        .filter_map(|draft| {
            let id = draft.client_message_id.as_ref()?;
            Some([draft.room.id.0.into(), draft.sender.0.into(), id.as_str().into()])
        })
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = values_list::statement(tx.get_database_backend(), sql::REPEATS, asked.into_iter(), Pad::Last);
    let rows = message::Model::find_by_statement(asked).all(tx).await?;
    let keyed = rows.into_iter().filter_map(|row| {
        let id = row.client_message_id.clone()?;
        Some(((row.room_id, row.sender_id, id), row))
    });
    Ok(keyed.collect())
}

/// The messages that drafts reply to, if they exist.
async fn find_replied_to(
    tx: &DatabaseTransaction,
    drafts: &[QueuedDraft],
) -> Result<HashSet<(RoomId, MessageId)>> {
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

/// Whether a draft may still be stored, if the membership has changed since it was queued.
async fn ask_again(tx: &DatabaseTransaction, draft: &QueuedDraft) -> Result<Result<()>> {
    if draft.room.kind == room::Kind::Lobby {
        return Ok(Ok(()));
    }
    let for_moderators = draft.extras.as_ref().is_some_and(|extras| extras.for_moderators);
    Ok(match moderates_now(tx, &draft.room, draft.sender).await? {
        None => Err(Error::Forbidden(Forbidden::NotAMember)),
        Some(false) if for_moderators => Err(Error::Forbidden(Forbidden::Role)),
        Some(_) => Ok(()),
    })
}

/// Whether a user moderates a room with members, by the membership in the database; `None` for a user who is not a
/// member.
pub(super) async fn moderates_now(
    tx: &DatabaseTransaction,
    room: &Room,
    user: UserId,
) -> Result<Option<bool>> {
    let member = member::Entity::find_by_id((room.id, user)).one(tx).await?;
    Ok(member.map(|member| moderates(room.kind, Some(member.role))))
}

async fn insert(
    tx: &DatabaseTransaction,
    drafts: &[QueuedDraft],
    outcomes: &[Outcome],
    now: DateTimeUtc,
) -> Result<()> {
    let stored = drafts.iter().zip(outcomes).filter_map(|(draft, outcome)| match outcome {
        Outcome::Stored(row) => Some((draft, row)),
        _ => None,
    });
    let rows: Vec<[Value; 13]> = stored.map(|(draft, row)| sql::all_columns(draft, row, now)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute_raw(values_list::statement(
        tx.get_database_backend(),
        &sql::insert_rows(),
        rows.into_iter(),
        Pad::Null,
    ))
    .await?;
    Ok(())
}

async fn advance_rooms(
    tx: &DatabaseTransaction,
    next: &HashMap<RoomId, Seq>,
    now: DateTimeUtc,
) -> Result<()> {
    if next.is_empty() {
        return Ok(());
    }
    let text = sql::ADVANCE_ROOMS;
    let rows = next.iter().map(|(room, seq)| [room.0.into(), seq.0.into(), now.into()]);
    tx.execute_raw(values_list::statement(tx.get_database_backend(), text, rows, Pad::Last)).await?;
    Ok(())
}
