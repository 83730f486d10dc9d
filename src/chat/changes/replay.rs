//! Reads changed messages, each once and as it stands now, for devices that were away.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use entity::{ChangeNumber, RoomId, Seq, message};
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect, Select};

use crate::{
    chat::{
        Chat, Core,
        messages::Place,
        model::{Alteration, ChangesPage, Message, MessageChange},
        page_size::read_with_more,
        room::{Heads, Room},
        sql::history,
    },
    error::{Entity, Error, Result},
    identity::Caller,
};

/// Which changed messages of a room are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::chat) struct ChangedRange {
    /// Those whose newest change is after this one.
    pub after: ChangeNumber,
    /// And not after this one.
    pub upto: ChangeNumber,
    /// The oldest message that the reader holds.
    pub from: Seq,
    /// The newest message that the reader was sent.
    pub sent: Seq,
    /// Messages after this one were sent a moment ago: they show all changes up to `shown`.
    pub held: Seq,
    pub shown: ChangeNumber,
}

impl ChangedRange {
    fn select(&self, room: RoomId) -> Select<message::Entity> {
        let column = message::COLUMN;
        message::changed_after(room, self.after)
            .filter(column.change.lte(self.upto))
            .filter(column.seq.gte(self.from))
            .filter(column.seq.lte(self.sent))
            .filter(Condition::any().add(column.seq.lte(self.held)).add(column.change.gt(self.shown)))
    }
}

/// Which changes of a room to return.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChangesQuery {
    /// Those after this one.
    pub after: ChangeNumber,
    /// Only of messages from this seq on.
    pub from: Seq,
    /// At most 200; a greater number means 200. The default is 50.
    pub limit: Option<u64>,
}

const CHANGES_MOST: u64 = 200;
const CHANGES_DEFAULT: u64 = 50;
/// The most committed changes that are waited for at once; the next round finds the rest.
const PASSED_OVER: u64 = 100;

impl Chat {
    /// The messages of a room, or of the lobby, that were changed after a change, each as it stands now. The page ends at its limit or
    /// at 512 KB, and has at least one message if there are any.
    ///
    /// # Errors
    /// `not_a_member` or `not_found` for a caller who is not a member of the room.
    pub async fn changes(&self, caller: &Caller, room: RoomId, query: ChangesQuery) -> Result<ChangesPage> {
        let core = &self.core;
        let place = if room == core.rooms.lobby().id { Place::Lobby } else { Place::Room(room) };
        let room = core.find_place(caller, None, &place).await?;
        let room = room.ok_or(Error::NotFound(Entity::Room))?;
        // Memory may not know yet that another process has removed the caller.
        core.check_membership(caller, room.id).await?;
        let limit = query.limit.unwrap_or(CHANGES_DEFAULT).clamp(1, CHANGES_MOST);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let _turn = core.page_turn().await?;
        let heads = room.heads();
        let mut range = ChangedRange {
            after: query.after,
            // Not what is committed: a later change is published in a moment.
            upto: heads.change,
            from: query.from,
            sent: Seq(i64::MAX),
            held: Seq(i64::MAX),
            shown: heads.change,
        };
        let (changes, has_more) = read_with_more(limit, bytes, |last, rows| {
            range.after = last.map_or(range.after, |last: &MessageChange| last.number);
            core.changed_messages(&room, range, rows as u64)
        })
        .await?;
        let last = changes.last().filter(|_| has_more).map(|change| change.number);
        // The page lacks them, also what was done to them before.
        let lacks = !has_more && core.publish_passed_over(&room, range).await?;
        Ok(ChangesPage { changes, change: last.unwrap_or(heads.change), has_more: has_more || lacks })
    }
}

impl Core {
    /// Changed messages, ascending by their newest change.
    pub(in crate::chat) async fn changed_messages(
        &self,
        room: &Room,
        range: ChangedRange,
        limit: u64,
    ) -> Result<Vec<MessageChange>> {
        let rows = history::read(self.db.reader(), room.id, range.select(room.id).limit(limit)).await?;
        let messages = self.to_messages(room, rows).await?;
        Ok(messages.into_iter().map(MessageChange::caught_up).collect())
    }

    /// Waits until changes are published that were committed when a range was read, and because of which messages are not
    /// in it. Returns whether there were any. They have to be read before a reader is told of live changes: those name
    /// only the fields that they touch, and an earlier change of the same message may have touched others.
    pub(in crate::chat) async fn publish_passed_over(
        self: &Arc<Self>,
        room: &Arc<Room>,
        range: ChangedRange,
    ) -> Result<bool> {
        /// A commit is published at once. One whose answer was lost, or of another process whose frame was, is not published
        /// here.
        const LONGEST: Duration = Duration::from_secs(2);
        let later = ChangedRange { after: range.upto, upto: ChangeNumber(i64::MAX), ..range };
        let passed = later.select(room.id).select_only().column(message::Column::Change);
        let passed: Vec<ChangeNumber> = passed.limit(PASSED_OVER).into_tuple().all(self.db.reader()).await?;
        let Some(newest) = passed.last().copied() else { return Ok(false) };
        let published = async {
            while room.changed() < newest {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(LONGEST, published).await.is_err() {
            self.note_stored_up_to(room, Heads { change: newest, ..Heads::default() });
        }
        Ok(true)
    }

    /// How many messages of a range there are; at most `most`.
    pub(in crate::chat) async fn count_changed(
        &self,
        room: RoomId,
        range: ChangedRange,
        most: u64,
    ) -> Result<u64> {
        let found = range.select(room).select_only().column(message::Column::Seq).limit(most);
        Ok(found.count(self.db.reader()).await?)
    }
}

impl MessageChange {
    /// A message with all its changes.
    pub(in crate::chat) fn caught_up(message: Arc<Message>) -> Self {
        let at = message.marks.as_ref().and_then(|marks| DateTime::from_timestamp_millis(marks.at));
        Self {
            number: message.row.change,
            at: at.unwrap_or(message.row.created_at),
            by: None,
            what: vec![Alteration::CaughtUp],
            reacted: Vec::new(),
            mentioned: Vec::new(),
            extras_changed: true,
            message,
        }
    }
}

fn bytes(change: &MessageChange) -> usize {
    change.message.bytes()
}
