//! The commit that any draft may be in: one transaction that looks before it writes.

use std::collections::{BTreeSet, HashMap, HashSet};

use entity::{MessageId, RoomId, Seq, UserId, message, room};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, FromQueryResult,
    Iterable, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Alias, CaseStatement, Expr, Query},
};

use super::{Draft, Outcome, Outcomes};
use crate::{
    chat::{Core, text::ClientMessageId},
    error::{Busy, Denial, Error, Noun, Result},
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
    tx.commit().await.map_err(|err| {
        // Whether it happened is not known, whatever kind of error this is: not to be tried again here.
        tracing::warn!(error = %err, "the answer of a commit was lost");
        Error::Unavailable(Busy::Database)
    })?;
    Ok(Outcomes { of_drafts: outcomes, stale })
}

/// Reads where each room stands, and keeps other nodes out of it until the commit.
async fn lock_rooms(tx: &DatabaseTransaction, drafts: &[Draft]) -> Result<HashMap<RoomId, RoomHead>> {
    let ids: BTreeSet<RoomId> = drafts.iter().map(|draft| draft.roster.id).collect();
    let heads: Vec<RoomHead> = room::Entity::find()
        .select_only()
        .columns([
            room::Column::Id,
            room::Column::LastSeq,
            room::Column::RosterVersion,
            room::Column::DeletedAt,
        ])
        .filter(room::COLUMN.id.is_in(ids))
        // One order for all, so that two nodes never wait for each other.
        .order_by_asc(room::COLUMN.id)
        .lock_exclusive()
        .into_model()
        .all(tx)
        .await?;
    Ok(heads.into_iter().map(|head| (head.id, head)).collect())
}

type RepeatKey = (RoomId, UserId, String);

/// The messages that are stored under the drafts' client message ids.
async fn find_repeats(
    tx: &DatabaseTransaction,
    drafts: &[Draft],
) -> Result<HashMap<RepeatKey, message::Model>> {
    let asked: Vec<_> = drafts
        .iter()
        .filter_map(|draft| {
            let id = draft.client_message_id.as_ref()?;
            Some((draft.roster.id.0, draft.sender.0, id.as_str().to_owned()))
        })
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    // A join with the list of values, so that each is one look into the unique index. Both
    // databases call the columns of such a list column1, column2, …
    let list = Alias::new("asked");
    let is = |column: message::Column, value: &'static str| {
        Expr::col((message::Entity, column)).eq(Expr::col((list.clone(), Alias::new(value))))
    };
    let mut query = Query::select();
    query
        .columns(message::Column::iter().map(|column| (message::Entity, column)))
        .from_values(asked, list.clone())
        .inner_join(
            message::Entity,
            Condition::all()
                .add(is(message::Column::RoomId, "column1"))
                .add(is(message::Column::SenderId, "column2"))
                .add(is(message::Column::ClientMessageId, "column3")),
        );
    let rows = message::Model::find_by_statement(tx.get_database_backend().build(&query)).all(tx).await?;
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
    let rows: Vec<message::ActiveModel> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Stored(row) => Some(message::ActiveModel {
                room_id: Set(row.room_id),
                seq: Set(row.seq),
                id: Set(row.id),
                sender_id: Set(row.sender_id),
                kind: Set(row.kind),
                content: Set(row.content.clone()),
                client_message_id: Set(row.client_message_id.clone()),
                reply_to: Set(row.reply_to),
                created_at: Set(row.created_at),
                edited_at: Set(None),
                deleted_at: Set(None),
            }),
            _ => None,
        })
        .collect();
    if !rows.is_empty() {
        message::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
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
    let seqs = next.iter().fold(CaseStatement::new(), |case, (room, seq)| {
        case.case(Expr::col(room::Column::Id).eq(room.0), seq.0)
    });
    room::Entity::update_many()
        .col_expr(room::Column::LastSeq, seqs.finally(Expr::col(room::Column::LastSeq)).into())
        .col_expr(room::Column::ActiveAt, Expr::value(now))
        .filter(room::COLUMN.id.is_in(next.keys().copied()))
        .exec(tx)
        .await?;
    Ok(())
}
