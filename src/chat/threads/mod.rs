//! Threads: a message, its root, and the messages that name it. They are ordinary messages of the room; `writer` counts
//! them when it stores them.
//!
//! - this file: the summary of a thread, for answers
//! - `list`: the threads of a room
//! - `marks`: follows a thread, and notes how far it is read
//! - `forget`: takes deleted replies out of a summary

mod forget;
mod list;
mod marks;

use std::collections::HashMap;

use entity::{RoomId, Seq, thread};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

pub(super) use self::forget::forget_reply;
pub use self::{list::ListThreads, marks::ReadThreads};
use super::{
    Core,
    model::{Message, Replies},
};
use crate::{error::Result, identity::Caller, values::list_of_json};

/// The most users that a summary names.
pub(super) const USERS: usize = 5;

impl Replies {
    fn of(row: &thread::Model) -> Self {
        Self { count: row.replies, last_seq: row.last_seq, users: list_of_json(&row.users) }
    }
}

impl Core {
    /// Completes messages for the answer to one caller: which reactions are the caller's, and which replies there are in
    /// the threads that they begin.
    pub(super) async fn complete_for(&self, caller: &Caller, messages: &mut [Message]) -> Result<()> {
        self.mark_own_reactions(caller, messages).await?;
        let has_thread =
            |message: &&mut Message| message.marks.as_ref().is_some_and(|marks| marks.has_thread);
        let mut roots: HashMap<(RoomId, Seq), &mut Message> = messages
            .iter_mut()
            .filter(has_thread)
            .map(|message| ((message.row.room_id, message.row.seq), message))
            .collect();
        if roots.is_empty() {
            return Ok(());
        }
        let mut of_rooms: HashMap<RoomId, Vec<Seq>> = HashMap::new();
        for (room, seq) in roots.keys() {
            of_rooms.entry(*room).or_default().push(*seq);
        }
        let mut asked = Condition::any();
        for (room, seqs) in of_rooms {
            let of_room = Condition::all()
                .add(thread::COLUMN.room_id.eq(room))
                .add(thread::COLUMN.root_seq.is_in(seqs));
            asked = asked.add(of_room);
        }
        for row in thread::Entity::find().filter(asked).all(self.db.reader()).await? {
            if let Some(root) = roots.get_mut(&(row.room_id, row.root_seq)) {
                root.replies = Some(Box::new(Replies::of(&row)));
            }
        }
        Ok(())
    }
}
