//! The threads of a room, those with the newest reply first.

use std::{collections::HashMap, sync::Arc};

use entity::{RoomId, Seq, UserId, message, thread, thread_mark};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::{
    chat::{
        Chat, Core, Place,
        model::{Page, Thread},
        page_size,
        room::Room,
        sql,
    },
    db::values_list::{self, Pad},
    error::Result,
    identity::Caller,
};

/// Which threads to return.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListThreads {
    /// Only threads that the caller follows, with replies of others that the caller has not read.
    pub unread: bool,
    /// Only threads whose newest reply is before this seq.
    pub before: Option<Seq>,
    /// At most 100; a greater number means 100. The default is 20.
    pub limit: Option<u64>,
}

const MOST: u64 = 100;
const DEFAULT: u64 = 20;

impl Chat {
    /// The threads of a room, those with the newest reply first, and whether there are more.
    ///
    /// # Errors
    /// `not_a_member` or `not_found` for a caller who is not a member of the room.
    pub async fn threads(
        &self,
        caller: &Caller,
        place: Place,
        list: ListThreads,
    ) -> Result<(Vec<Thread>, bool)> {
        let core = &self.core;
        let Some(room) = core.find_place(caller, None, &place).await? else {
            return Ok((Vec::new(), false));
        };
        // Memory may not know yet that another process has removed the caller.
        core.check_membership(caller, room.id).await?;
        let _turn = core.page_turn().await?;
        let limit = list.limit.unwrap_or(DEFAULT).clamp(1, MOST);
        let mut query = thread::Entity::find()
            .filter(thread::COLUMN.room_id.eq(room.id))
            .order_by_desc(thread::COLUMN.last_seq)
            .limit(limit + 1);
        if let Some(before) = list.before {
            query = query.filter(thread::COLUMN.last_seq.lt(before));
        }
        if list.unread {
            query = query.filter(is_unread(caller.user));
        }
        let rows = query.all(core.db.reader()).await?;
        let Page { items: rows, next } = Page::of(rows, limit, |row| Some(row.last_seq.to_string()));
        let (threads, is_whole) = core.threads_of(caller, &room, rows).await?;
        Ok((threads, next.is_some() || !is_whole))
    }
}

/// Whether a user follows a thread and has not read a reply of somebody else.
fn is_unread(user: UserId) -> Expr {
    let (mark, column) = (thread_mark::Entity, thread_mark::COLUMN);
    let of_thread = |column: thread_mark::Column, same: thread::Column| {
        Expr::col((mark, column)).eq(Expr::col((thread::Entity, same)))
    };
    let is_reply = Query::select()
        .expr(Expr::val(1))
        .from(message::Entity)
        .and_where(Expr::cust(
            "messages.room_id = threads.room_id AND messages.thread_seq = threads.root_seq \
             AND messages.thread_seq IS NOT NULL AND messages.seq > thread_marks.read_seq \
             AND messages.deleted_at IS NULL",
        ))
        .and_where(message::COLUMN.sender_id.ne(user))
        .to_owned();
    let is_followed = Query::select()
        .expr(Expr::val(1))
        .from(mark)
        .and_where(of_thread(thread_mark::Column::RoomId, thread::Column::RoomId))
        .and_where(of_thread(thread_mark::Column::RootSeq, thread::Column::RootSeq))
        .and_where(column.user_id.eq(user))
        .and_where(column.following.eq(true))
        .and_where(Expr::exists(is_reply))
        .to_owned();
    Expr::exists(is_followed)
}

impl Core {
    /// The threads of these rows, as many as fit into an answer, and whether those are all.
    async fn threads_of(
        &self,
        caller: &Caller,
        room: &Room,
        rows: Vec<thread::Model>,
    ) -> Result<(Vec<Thread>, bool)> {
        let db = self.db.reader();
        let seqs: Vec<Seq> = rows.iter().map(|row| row.root_seq).collect();
        let found = message::Entity::find()
            .filter(message::COLUMN.room_id.eq(room.id))
            .filter(message::COLUMN.seq.is_in(seqs.iter().copied()))
            .all(db)
            .await?;
        let mut by_seq: HashMap<Seq, message::Model> = found.into_iter().map(|row| (row.seq, row)).collect();
        let mut roots: Vec<message::Model> = seqs.iter().filter_map(|seq| by_seq.remove(seq)).collect();
        let all = roots.len();
        roots.truncate(page_size::fitting(roots.iter().map(message::Model::bytes)));
        let is_whole = roots.len() == all;
        let models = self.to_messages(room, roots).await?;
        let mut roots: Vec<_> = models.into_iter().map(Arc::unwrap_or_clone).collect();
        self.complete_for(caller, &mut roots).await?;
        let marks = thread_mark::Entity::find()
            .filter(thread_mark::COLUMN.user_id.eq(caller.user))
            .filter(thread_mark::COLUMN.room_id.eq(room.id))
            .filter(thread_mark::COLUMN.root_seq.is_in(seqs))
            .all(db)
            .await?;
        let marks: HashMap<Seq, thread_mark::Model> =
            marks.into_iter().map(|mark| (mark.root_seq, mark)).collect();
        let read = |root: Seq| marks.get(&root).map_or(Seq::ZERO, |mark| mark.read_seq);
        let asked = roots.iter().map(|root| (root.row.seq, read(root.row.seq))).collect();
        let unread = self.unread_replies(room.id, caller.user, asked).await?;
        let threads = roots.into_iter().map(|root| {
            let seq = root.row.seq;
            Thread {
                read: read(seq),
                unread: unread.get(&seq).copied().unwrap_or(0),
                following: marks.get(&seq).is_some_and(|mark| mark.following),
                root,
            }
        });
        Ok((threads.collect(), is_whole))
    }

    /// The number of replies of others in threads of a room, each after the seq up to which it is read.
    async fn unread_replies(
        &self,
        room: RoomId,
        user: UserId,
        read: Vec<(Seq, Seq)>,
    ) -> Result<HashMap<Seq, i64>> {
        if read.is_empty() {
            return Ok(HashMap::new());
        }
        let db = self.db.reader();
        let rows: Vec<[Value; 4]> = read
            .into_iter()
            .map(|(root, read)| [room.0.into(), root.0.into(), read.0.into(), user.0.into()])
            .collect();
        let text = sql::threads::UNREAD_REPLIES;
        let counted = values_list::statement(db.get_database_backend(), text, rows.into_iter(), Pad::Null);
        let rows = db.query_all_raw(counted).await?;
        let count = |row: sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        rows.into_iter().map(count).collect()
    }
}
