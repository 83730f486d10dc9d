//! The rows of other tables that belong to stored messages: whom they mention, and the threads that they are in. They are
//! written in the transaction that stores the messages, while the rooms' rows are locked.

use std::collections::{BTreeMap, HashSet};

use entity::{RoomId, Seq, UserId, mention, message, thread, thread_mark};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
};

use super::{Outcome, QueuedDraft};
use crate::{
    chat::{changes::read_marks, threads},
    db::ROWS,
    error::Result,
    message_extras::MessageExtras,
    values::{json_list, list_of_json},
};

/// Writes the rows of all drafts that were stored.
pub(super) async fn store(
    tx: &DatabaseTransaction,
    drafts: &[QueuedDraft],
    outcomes: &[Outcome],
) -> Result<()> {
    let mut mentions = Vec::new();
    let mut replies: BTreeMap<(RoomId, Seq), Vec<ThreadReply<'_>>> = BTreeMap::new();
    for (draft, outcome) in drafts.iter().zip(outcomes) {
        let (Some(extras), Outcome::Stored(row)) = (&draft.extras, outcome) else { continue };
        mentions.extend(mention_rows(extras.stored(), row));
        if let Some(root) = extras.thread() {
            let reply = ThreadReply {
                seq: row.seq,
                sender: row.sender_id,
                username: &draft.person.username,
                mentioned: &extras.stored().mentioned,
            };
            replies.entry((row.room_id, root)).or_default().push(reply);
        }
    }
    insert_mentions(tx, mentions).await?;
    for ((room, root), replies) in replies {
        add_replies(tx, room, root, &replies).await?;
    }
    Ok(())
}

/// A message of a thread.
struct ThreadReply<'a> {
    seq: Seq,
    sender: UserId,
    username: &'a str,
    mentioned: &'a [UserId],
}

/// The rows that count for the users whom a message mentions. Messages that do not count as unread have none.
pub(super) fn mention_rows(extras: &MessageExtras, row: &message::Model) -> Vec<mention::ActiveModel> {
    if extras.is_aside() {
        return Vec::new();
    }
    let everyone = [mention::EVERYONE];
    let users: &[UserId] = if extras.mentions_all { &everyone } else { &extras.mentioned };
    let model = |user: &UserId| {
        let (room_id, seq, sender_id) = (row.room_id, row.seq, row.sender_id);
        mention::Model { user_id: *user, room_id, seq, sender_id }.into_active_model()
    };
    users.iter().map(model).collect()
}

pub(super) async fn insert_mentions(tx: &DatabaseTransaction, rows: Vec<mention::ActiveModel>) -> Result<()> {
    for part in rows.chunks(ROWS) {
        mention::Entity::insert_many(part.to_vec()).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Takes the mentions of a message that was changed for those that it has now. Who is mentioned in a thread now follows
/// it.
pub(super) async fn replace_mentions(
    tx: &DatabaseTransaction,
    row: &message::Model,
    before: &MessageExtras,
    now: &MessageExtras,
) -> Result<()> {
    if before.mentioned == now.mentioned && before.mentions_all == now.mentions_all {
        return Ok(());
    }
    let column = mention::COLUMN;
    let old = mention_rows(before, row).into_iter().filter_map(|row| row.user_id.try_as_ref().copied());
    let old: Vec<UserId> = old.collect();
    if !old.is_empty() {
        mention::Entity::delete_many()
            .filter(column.user_id.is_in(old))
            .filter(column.room_id.eq(row.room_id))
            .filter(column.seq.eq(row.seq))
            .exec(tx)
            .await?;
    }
    insert_mentions(tx, mention_rows(now, row)).await?;
    let Some(root) = now.thread else { return Ok(()) };
    let is_new = |user: &&UserId| !before.mentioned.contains(user);
    let follows = now.mentioned.iter().filter(is_new).map(|user| (*user, Seq(row.seq.0 - 1)));
    follow(tx, row.room_id, root.seq, follows.collect()).await
}

/// Counts new replies of a thread. Who begins a thread, answers in it, or is mentioned in it follows it.
async fn add_replies(
    tx: &DatabaseTransaction,
    room: RoomId,
    root: Seq,
    replies: &[ThreadReply<'_>],
) -> Result<()> {
    let Some(last) = replies.last() else { return Ok(()) };
    let known = thread::Entity::find_by_id((room, root)).one(tx).await?;
    let is_new = known.is_none();
    let mut users = known.as_ref().map(|known| list_of_json(&known.users)).unwrap_or_default();
    for reply in replies {
        if users.len() < threads::USERS && !users.iter().any(|user| user == reply.username) {
            users.push(reply.username.to_owned());
        }
    }
    let row = thread::Model {
        room_id: room,
        root_seq: root,
        replies: known.map_or(0, |known| known.replies) + replies.len() as i64,
        last_seq: last.seq,
        users: json_list(&users),
    };
    let mut marks = Vec::new();
    if is_new {
        thread::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
        if let Some(sender) = begin_thread(tx, room, root).await? {
            marks.push((sender, root));
        }
    } else {
        thread::Entity::update(row.into_active_model().reset_all()).exec(tx).await?;
    }
    for reply in replies {
        marks.extend(reply.mentioned.iter().map(|user| (*user, Seq(reply.seq.0 - 1))));
    }
    follow(tx, room, root, marks).await?;
    // Who answers follows again, and has read what came before only if nothing was known of that. A statement changes each
    // row once; a batch has few enough replies for one.
    let mut senders = HashSet::new();
    let first = replies.iter().filter(|reply| senders.insert(reply.sender));
    let marks = first.map(|reply| following(room, root, (reply.sender, reply.seq)));
    thread_mark::insert_following(marks).exec_without_returning(tx).await?;
    Ok(())
}

/// Lets users follow a thread who are nothing to it yet, each from a seq on. Who has stopped following it is not made to
/// follow it.
async fn follow(tx: &DatabaseTransaction, room: RoomId, root: Seq, users: Vec<(UserId, Seq)>) -> Result<()> {
    for part in users.chunks(ROWS) {
        let marks = part.iter().map(|user| following(room, root, *user));
        thread_mark::insert_missing(marks).exec_without_returning(tx).await?;
    }
    Ok(())
}

fn following(room: RoomId, root: Seq, (user, read): (UserId, Seq)) -> thread_mark::Model {
    thread_mark::Model { user_id: user, room_id: room, root_seq: root, read_seq: read, following: true }
}

/// Notes at a message that it is the root of a thread. Returns its sender.
async fn begin_thread(tx: &DatabaseTransaction, room: RoomId, root: Seq) -> Result<Option<UserId>> {
    let found = message::Entity::find()
        .filter(message::COLUMN.room_id.eq(room))
        .filter(message::COLUMN.seq.eq(root))
        .one(tx)
        .await?;
    let Some(row) = found else { return Ok(None) };
    let mut marks = row.marks.as_deref().map(read_marks).unwrap_or_default();
    marks.has_thread = true;
    let sender = row.sender_id;
    let noted = message::ActiveModel {
        room_id: Unchanged(room),
        seq: Unchanged(root),
        marks: Set(Some(marks.json())),
        ..Default::default()
    };
    message::Entity::update(noted).exec(tx).await?;
    Ok(Some(sender))
}
