//! What is unread: messages of others after a user's read receipt, those of them that mention the user, and threads that
//! the user follows. All are counted for many rooms and users at once.

use std::collections::HashMap;

use entity::{RoomId, Seq, UserId, mention};
use sea_orm::{ConnectionTrait, Value};

use super::{Core, sql};
use crate::{
    db::values_list::{self, Pad},
    error::Result,
};

/// Up to this many messages after the read receipt are scanned for the user's own. If there are more, the user's
/// own messages are looked up by their index.
const UNREAD_SCANNED: i64 = 1_000;

/// The most rows of one query. Each has up to five parameters.
const ASKED: usize = 250;

/// The messages of a room after a user's read receipt, up to `last`.
#[derive(Clone, Copy)]
pub(super) struct UnreadRange {
    pub room: RoomId,
    pub user: UserId,
    pub read: Seq,
    pub last: Seq,
}

/// How many messages are unread, and how many of them mention the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    pub messages: i64,
    pub mentions: i64,
}

/// A room, and the user for whom something in it is unread.
type UnreadKey = (RoomId, UserId);

impl Core {
    /// What is unread in each range, by its room and user, for the ranges that have any messages.
    ///
    /// Seqs have no gaps, so the messages after the receipt are counted without reading them. Only the user's own among
    /// them have to be found, and those of others that do not count.
    pub(super) async fn unread_in(&self, ranges: &[UnreadRange]) -> Result<HashMap<UnreadKey, Unread>> {
        let mut unread = HashMap::with_capacity(ranges.len());
        let (mut near, mut far): (Vec<[Value; 4]>, Vec<[Value; 4]>) = (Vec::new(), Vec::new());
        let mut mentioned: Vec<[Value; 5]> = Vec::new();
        for UnreadRange { room, user, read: Seq(read), last: Seq(last) } in ranges.iter().copied() {
            if read < last {
                unread.insert((room, user), Unread { messages: last - read, mentions: 0 });
                let asked = [room.0.into(), user.0.into(), read.into(), last.into()];
                if last - read <= UNREAD_SCANNED {
                    near.push(asked)
                } else {
                    far.push(asked)
                }
                for name in [user, mention::EVERYONE] {
                    mentioned.push([room.0.into(), user.0.into(), read.into(), last.into(), name.0.into()]);
                }
            }
        }
        let all = near.iter().chain(&far).cloned().collect();
        let uncounted = [
            (sql::OWN_NEAR.to_owned(), near),
            (sql::own_far(), far),
            (sql::UNCOUNTED_OF_OTHERS.to_owned(), all),
        ];
        for (text, asked) in uncounted {
            for (key, number) in self.counted(&text, &asked).await? {
                unread.entry(key).and_modify(|unread| unread.messages -= number);
            }
        }
        for (key, number) in self.counted(sql::threads::UNREAD_MENTIONS, &mentioned).await? {
            unread.entry(key).and_modify(|unread| unread.mentions = number);
        }
        Ok(unread)
    }

    /// The number of threads with unread replies of others that each user follows in a room.
    pub(super) async fn unread_threads(&self, asked: &[UnreadKey]) -> Result<HashMap<UnreadKey, i64>> {
        let asked: Vec<[Value; 2]> =
            asked.iter().map(|(room, user)| [room.0.into(), user.0.into()]).collect();
        self.counted(sql::threads::UNREAD_THREADS, &asked).await
    }

    /// What a statement counts for each room and user of a list; nothing for those where it finds nothing.
    async fn counted<const COLUMNS: usize>(
        &self,
        text: &str,
        asked: &[[Value; COLUMNS]],
    ) -> Result<HashMap<UnreadKey, i64>> {
        let db = self.db.reader();
        let mut numbers = HashMap::new();
        for part in asked.chunks(ASKED) {
            let rows = part.iter().cloned();
            let counted = values_list::statement(db.get_database_backend(), text, rows, Pad::Null);
            for row in db.query_all_raw(counted).await? {
                let key = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let number: i64 = row.try_get_by_index(2)?;
                *numbers.entry(key).or_insert(0) += number;
            }
        }
        Ok(numbers)
    }
}
