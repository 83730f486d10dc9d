//! The newest messages of a room, kept until their senders were notified of the delivery. Older messages are
//! read from the database.

use std::{collections::VecDeque, sync::Arc};

use entity::{Seq, UserId};
use foldhash::HashSet;

use crate::chat::model::Message;

/// The most messages that are kept.
const MESSAGES: usize = 256;
/// The most bytes of their contents: few of the largest messages, and all messages of usual size.
const BYTES: usize = 128 * 1024;

/// See the module. It holds every message after [`Recent::after`], without holes.
pub struct Recent {
    after: Seq,
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
}

impl Recent {
    /// Holds nothing up to this seq, which the room's newest message has.
    pub fn after(seq: Seq) -> Self {
        Self { after: seq, messages: VecDeque::new(), bytes: 0 }
    }

    /// Adds a message that was stored just now. If an earlier one is missing, because the answer of its commit
    /// was lost, begins again with this one.
    pub fn push(&mut self, message: Arc<Message>) {
        if message.row.seq > self.newest().next() {
            *self = Self::after(Seq(message.row.seq.0 - 1));
        }
        self.bytes += message.bytes();
        self.messages.push_back(message);
        self.trim();
    }

    /// Whether everything after `seq` is still here.
    pub fn holds(&self, seq: Seq) -> bool {
        seq >= self.after
    }

    /// Whether messages up to `seq` are here, so that they could be forgotten.
    pub fn begins_before(&self, seq: Seq) -> bool {
        self.after < seq
    }

    /// Everything after `seq`, if all of it is still here.
    pub fn since(&self, seq: Seq) -> Option<Vec<Arc<Message>>> {
        let after = || self.messages.iter().filter(|message| message.row.seq > seq).cloned().collect();
        self.holds(seq).then(after)
    }

    /// The senders of these messages.
    pub fn senders(&self) -> HashSet<UserId> {
        self.messages.iter().map(|message| message.row.sender_id).collect()
    }

    /// Replaces the version of a message that is kept, unless that is newer.
    pub fn replace(&mut self, message: &Arc<Message>) {
        let seq = message.row.seq;
        let is_not_newer =
            |kept: &&mut Arc<Message>| kept.row.seq == seq && kept.row.change <= message.row.change;
        if let Some(kept) = self.messages.iter_mut().find(is_not_newer) {
            self.bytes = self.bytes - kept.bytes() + message.bytes();
            *kept = message.clone();
        }
        self.trim();
    }

    pub fn forget_up_to(&mut self, seq: Seq) {
        while self.messages.front().is_some_and(|message| message.row.seq <= seq) {
            self.drop_oldest();
        }
    }

    fn trim(&mut self) {
        while self.messages.len() > MESSAGES || self.bytes > BYTES {
            self.drop_oldest();
        }
    }

    fn newest(&self) -> Seq {
        self.messages.back().map_or(self.after, |message| message.row.seq)
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.after = oldest.row.seq;
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::RoomId;

    use super::*;

    fn message(seq: i64, content: &str) -> Arc<Message> {
        let mut message = Message::in_group(RoomId::new(), seq, UserId::new());
        message.row.content = content.to_owned();
        Arc::new(message)
    }

    fn since(recent: &Recent, seq: i64) -> Option<Vec<i64>> {
        let messages = recent.since(Seq(seq))?;
        Some(messages.iter().map(|message| message.row.seq.0).collect())
    }

    #[test]
    fn it_holds_what_follows_a_seq_or_says_that_it_does_not() {
        let mut recent = Recent::after(Seq(4));
        recent.push(message(5, "a"));
        recent.push(message(6, "b"));
        assert_eq!(since(&recent, 3), None);
        assert_eq!(since(&recent, 4), Some(vec![5, 6]));
        assert_eq!(since(&recent, 6), Some(vec![]));
        recent.forget_up_to(Seq(5));
        assert_eq!((since(&recent, 4), since(&recent, 5)), (None, Some(vec![6])));
    }

    #[test]
    fn it_begins_again_after_a_hole() {
        let mut recent = Recent::after(Seq(0));
        recent.push(message(1, "a"));
        recent.push(message(3, "c"));
        assert_eq!((since(&recent, 1), since(&recent, 2)), (None, Some(vec![3])));
    }

    #[test]
    fn a_newer_version_of_a_message_replaces_it_in_its_place() {
        let mut recent = Recent::after(Seq(0));
        (1..=3).for_each(|seq| recent.push(message(seq, "old")));
        recent.replace(&message(2, "newer"));
        recent.replace(&message(9, "not here"));
        let contents: Vec<_> = recent.messages.iter().map(|message| message.row.content.as_str()).collect();
        assert_eq!((contents, recent.bytes), (vec!["old", "newer", "old"], 11));
    }

    #[test]
    fn it_is_bounded_in_messages_and_in_bytes() {
        let mut recent = Recent::after(Seq(0));
        (1..=MESSAGES as i64 + 10).for_each(|seq| recent.push(message(seq, "x")));
        assert_eq!((recent.messages.len(), recent.after), (MESSAGES, Seq(10)));
        let long = "x".repeat(BYTES / 4);
        (267..=280).for_each(|seq| recent.push(message(seq, &long)));
        assert!(recent.bytes <= BYTES && recent.messages.len() == 4, "{}", recent.messages.len());
    }
}
