//! The members' own settings of a room, as far as a live room knows them: who has marked it as unread, whose count of
//! unread messages a deletion changes, and the order of what is told of counts.

use std::{collections::HashSet, sync::Arc};

use entity::{Seq, UserId};

use super::{Room, RoomState, receipts::Moved};
use crate::{chat::model::Message, room_view::UnreadMark};

/// A member's `read` mark after they have read, and what that changed.
#[derive(Clone, Copy, Debug)]
pub struct HasRead {
    pub upto: Seq,
    pub has_moved: bool,
    /// The user had marked the room as unread, and that is over.
    pub has_cleared: bool,
}

impl RoomState {
    /// Notes what reading changes besides receipts.
    pub(super) fn has_read(&mut self, user: UserId, moved: Moved, now: i64) -> HasRead {
        let has_cleared = self.unread_marks.clear(user, now);
        if has_cleared && moved.has_moved {
            self.unread_marks.tell_later(user);
        }
        HasRead { upto: moved.upto, has_moved: moved.has_moved, has_cleared }
    }
}

impl Room {
    /// Up to where a sender of a message reads with it, if that changes anything. `seen` is what their connection had
    /// acknowledged, if that is known.
    pub(in crate::chat) fn reads_by_sending(&self, user: UserId, seen: Option<Seq>) -> Option<Seq> {
        let RoomState { receipts, unread_marks, .. } = &*self.state.lock();
        let read = receipts.marks(user)?.read;
        seen.filter(|seen| *seen > read).or_else(|| unread_marks.is_set(user).then_some(Seq::ZERO))
    }

    /// Notes that a member has marked the room as unread.
    pub(in crate::chat) fn mark_unread(&self, user: UserId) {
        let RoomState { receipts, unread_marks, .. } = &mut *self.state.lock();
        if receipts.marks(user).is_some() {
            unread_marks.set(user);
        }
    }

    /// Takes a member's mark away, on request.
    pub(in crate::chat) fn unmark(&self, user: UserId, now: i64) {
        self.state.lock().unread_marks.clear(user, now);
    }

    pub(in crate::chat) fn is_marked_unread(&self, user: UserId) -> bool {
        self.state.lock().unread_marks.is_set(user)
    }

    /// A new mark of a member who has read up to `read` at least.
    pub(in crate::chat) fn new_mark(&self, user: UserId, read: Seq, now: i64) -> UnreadMark {
        let RoomState { receipts, unread_marks, .. } = &*self.state.lock();
        let known = receipts.marks(user).map_or(Seq::ZERO, |marks| marks.read);
        UnreadMark { at: unread_marks.time(user, now), read: known.max(read).0 }
    }

    /// Whether a mark that was read from the database counts. If it does, it is known from now on: another process may
    /// have made it.
    pub(in crate::chat) fn counts_mark(&self, user: UserId, stored: Option<UnreadMark>) -> bool {
        let RoomState { receipts, unread_marks, .. } = &mut *self.state.lock();
        let (Some(stored), Some(marks)) = (stored, receipts.marks(user)) else { return false };
        let counts = unread_marks.counts(user, stored, marks.read.0);
        if counts {
            unread_marks.set(user);
        }
        counts
    }

    /// The members who are connected.
    pub(in crate::chat) fn connected_members(&self) -> HashSet<UserId> {
        let RoomState { receipts, subscriptions, .. } = &*self.state.lock();
        let users = subscriptions.connections().map(|connection| connection.user());
        users.filter(|user| receipts.marks(*user).is_some()).collect()
    }

    /// The connected members for whom one of these messages counted as unread, or would count if it was not deleted.
    pub(in crate::chat) fn unread_by(&self, messages: &[&Arc<Message>]) -> HashSet<UserId> {
        let RoomState { receipts, subscriptions, .. } = &*self.state.lock();
        if receipts.is_empty() {
            return HashSet::new();
        }
        let counted = subscriptions.connections().map(|connection| connection.user()).filter(|user| {
            receipts.marks(*user).is_some_and(|marks| {
                messages.iter().any(|message| message.row.seq > marks.read && message.row.sender_id != *user)
            })
        });
        counted.collect()
    }

    /// Calls `write` if `seq` is the newest message. Nothing is published meanwhile, so what `write` writes to a live
    /// connection comes after this message and before the next one. `write` must not call this room.
    pub(in crate::chat) fn while_newest(&self, seq: Seq, write: impl FnOnce()) -> bool {
        let state = self.state.lock();
        let is_newest = state.subscriptions.heads().seq == seq;
        if is_newest {
            write();
        }
        is_newest
    }
}
