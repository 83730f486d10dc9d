//! Tells a user's other connections what has changed in a room without a request: how far the user has read, how many
//! messages are unread after a deletion, how many threads are, and that a mark was taken away.
//!
//! Reads come from the saved receipts, once for each room, user and save. What comes while a round counts waits for the
//! next round. A user without another connection that follows rooms costs no query, and neither does a user who has
//! read everything.

use std::{collections::btree_map::Entry, sync::Arc};

use entity::{RoomId, Seq, UserId};

use super::Views;
use crate::{
    chat::{
        Core,
        connections::{ConnectionId, publish::Audience},
        event::Event,
        model::{MessageChange, RoomChange},
        retry,
        room::Room,
        unread::{Unread, UnreadRange},
    },
    error::{Error, Result, Unavailable},
};

/// The most rooms of users that are counted at once.
const AT_ONCE: usize = 250;

/// What one user is to be told of one room. It holds the room, so the room stays in memory until then.
#[derive(Clone)]
pub(super) struct RoomNews {
    room: Arc<Room>,
    /// How far the user has read, and on which connection.
    read: Option<(Seq, Option<ConnectionId>)>,
    /// Messages were deleted or edited that count as unread.
    has_others: bool,
    /// The user has read or followed threads, or their replies were deleted.
    threads: bool,
    /// Reading has taken a mark away, on this connection.
    cleared: Option<Option<ConnectionId>>,
}

impl RoomNews {
    fn of(room: &Arc<Room>) -> Self {
        Self { room: room.clone(), read: None, has_others: false, threads: false, cleared: None }
    }

    fn add(&mut self, other: Self) {
        self.read = match (self.read, other.read) {
            (Some(one), Some(two)) => Some(if one.0 > two.0 { one } else { two }),
            (one, two) => one.or(two),
        };
        self.has_others |= other.has_others;
        self.threads |= other.threads;
        self.cleared = other.cleared.or(self.cleared);
    }

    fn counts(&self) -> bool {
        self.read.is_some() || self.has_others
    }

    /// The connection that need not be told, because it has caused this.
    fn except(&self) -> Option<ConnectionId> {
        if self.has_others || self.threads {
            return None;
        }
        self.read.map_or_else(|| self.cleared.flatten(), |(_, by)| by)
    }
}

impl Views {
    /// A user has read on, and that is saved.
    pub fn has_read(
        &self,
        room: &Arc<Room>,
        user: UserId,
        read: (Seq, Option<ConnectionId>),
        has_cleared: bool,
    ) {
        let cleared = has_cleared.then_some(read.1);
        self.add(user, RoomNews { read: Some(read), cleared, ..RoomNews::of(room) });
    }

    /// A user has read a room that was marked as unread, and the `read` mark did not move.
    pub fn has_cleared(&self, room: &Arc<Room>, user: UserId, by: Option<ConnectionId>) {
        self.add(user, RoomNews { cleared: Some(by), ..RoomNews::of(room) });
    }

    /// A user has read or followed threads of a room.
    pub fn has_threads(&self, room: &Arc<Room>, user: UserId) {
        self.add(user, RoomNews { threads: true, ..RoomNews::of(room) });
    }

    /// Messages were changed, and that is published. Deletions, and edits that mention others, change what is unread.
    pub fn has_changed(&self, room: &Arc<Room>, changes: &[Arc<MessageChange>]) {
        let is_deleted = |change: &MessageChange| change.message.row.deleted_at.is_some();
        let counts = |change: &&Arc<MessageChange>| is_deleted(change) || change.extras_changed;
        let messages: Vec<_> = changes.iter().filter(counts).map(|change| &change.message).collect();
        if messages.is_empty() {
            return;
        }
        for user in room.unread_by(&messages) {
            self.add(user, RoomNews { has_others: true, ..RoomNews::of(room) });
        }
        let is_in_thread = |change: &Arc<MessageChange>| {
            is_deleted(change) && change.message.extras.as_ref().is_some_and(|extras| extras.thread.is_some())
        };
        if changes.iter().any(is_in_thread) {
            for user in room.connected_members() {
                self.add(user, RoomNews { threads: true, ..RoomNews::of(room) });
            }
        }
    }

    fn add(&self, user: UserId, news: RoomNews) {
        match self.news.lock().entry((news.room.id, user)) {
            Entry::Occupied(mut waiting) => waiting.get_mut().add(news),
            Entry::Vacant(first) => drop(first.insert(news)),
        }
        self.work.notify_one();
    }
}

/// Tells what has gathered, one tick after the first of it.
pub(in crate::chat) async fn run(core: Arc<Core>) {
    let tick = core.settings.writer.receipts_tick;
    let failed = "could not tell users what has changed in their rooms; it is tried again";
    retry::rounds(&core.shutdown, &core.views.work, tick, || tell(&core), failed).await;
}

/// Tells what has gathered. What has become old while it was counted is told in the next round.
pub(in crate::chat) async fn tell(core: &Arc<Core>) -> Result<()> {
    let _telling = core.views.telling.lock().await;
    core.follow_foreign_changes().await?;
    let news = std::mem::take(&mut *core.views.news.lock());
    let mut news: Vec<((RoomId, UserId), RoomNews)> = news.into_iter().collect();
    while !news.is_empty() {
        let part = news.split_off(news.len().saturating_sub(AT_ONCE));
        if let Err(err) = tell_part(core, &part).await {
            for ((_, user), news) in part.into_iter().chain(news) {
                core.views.add(user, news);
            }
            return Err(err);
        }
    }
    Ok(())
}

async fn tell_part(core: &Arc<Core>, part: &[((RoomId, UserId), RoomNews)]) -> Result<()> {
    let mut counted = Vec::with_capacity(part.len());
    for ((room, user), news) in part {
        let has_follower = core.hub.has_follower(*user, news.except());
        let marks = news.room.marks(*user).filter(|_| has_follower && news.counts());
        let range = marks.map(|marks| {
            let read = news.read.map_or(marks.read, |(read, _)| read);
            UnreadRange { room: *room, user: *user, read, last: news.room.published() }
        });
        counted.push(range);
    }
    let ranges: Vec<UnreadRange> = counted.iter().flatten().copied().collect();
    let unread = core.unread_in(&ranges).await?;
    let with_threads =
        part.iter().filter(|((_, user), news)| news.threads && core.hub.has_follower(*user, None));
    let with_threads: Vec<_> = with_threads.map(|(key, _)| *key).collect();
    let threads = core.unread_threads(&with_threads).await?;
    for ((key, news), range) in part.iter().zip(counted) {
        let count = range.map(|range| (range.last, unread.get(key).copied().unwrap_or_default()));
        let threads = with_threads.contains(key).then(|| threads.get(key).copied().unwrap_or(0));
        if !tell_one(core, key.1, news, (count, threads)).await? {
            core.views.add(key.1, news.clone());
        }
    }
    Ok(())
}

/// Tells one user of one room: what is unread, with the message up to which it was counted, and how many threads are.
/// Returns false if there is a newer message by now.
async fn tell_one(
    core: &Arc<Core>,
    user: UserId,
    news: &RoomNews,
    (count, threads): (Option<(Seq, Unread)>, Option<i64>),
) -> Result<bool> {
    let room = &news.room;
    let mut set = RoomChange {
        unread: count.map(|(_, unread)| unread.messages),
        unread_mentions: count.map(|(_, unread)| unread.mentions),
        unread_threads: threads,
        ..RoomChange::default()
    };
    if count.is_some() {
        set.read = news.read.map(|(read, _)| read);
    }
    let turn = match news.cleared {
        Some(_) => Some(core.views.turn(user).await),
        None => None,
    };
    if turn.is_some() {
        let cleared = core.rewrite_view(room.id, user, |view, _| {
            view.marked.take_if(|mark| !room.counts_mark(user, Some(*mark)));
        });
        // A database that no longer answers must not block other users.
        let cleared = tokio::time::timeout(core.db.patience(), cleared).await;
        cleared.unwrap_or(Err(Error::Unavailable(Unavailable::Database)))?;
        // The user may have marked it again.
        set.is_marked_unread = (!room.is_marked_unread(user)).then_some(false);
    }
    if set == RoomChange::default() {
        return Ok(true);
    }
    let changed = Event::RoomChanged { room: room.id, set };
    let to = Audience::OthersOf(user, news.except());
    Ok(match count {
        Some((last, _)) => core.hub.publish_at(last, room, changed, to),
        None => {
            core.hub.publish(changed, to);
            true
        }
    })
}

#[cfg(test)]
mod tests {
    use entity::room::Kind;

    use super::*;
    use crate::chat::room::{ById, Heads};

    #[test]
    fn news_of_one_room_become_one_and_spare_who_has_caused_them() {
        let room =
            Arc::new(Room::new(RoomId::new(), Kind::Group, None, Heads::default(), 1, ById::default()));
        let (phone, laptop) = (Some(ConnectionId::next()), Some(ConnectionId::next()));
        let read = |seq, by| RoomNews { read: Some((Seq(seq), by)), ..RoomNews::of(&room) };
        let mut news = RoomNews { cleared: Some(phone), ..RoomNews::of(&room) };
        assert_eq!((news.except(), news.counts()), (phone, false));
        news.add(read(5, laptop));
        assert_eq!((news.except(), news.counts()), (laptop, true));
        // One that waited for another round is older.
        news.add(read(3, phone));
        assert_eq!((news.read, news.except()), (Some((Seq(5), laptop)), laptop));
        assert_eq!(news.cleared, Some(phone));
        // A deletion is told everybody.
        news.add(RoomNews { has_others: true, ..RoomNews::of(&room) });
        assert_eq!(news.except(), None);
    }
}
