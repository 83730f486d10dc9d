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

/// See the module. It holds every message after [`Recent::after`].
pub struct Recent {
    after: Seq,
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
}

impl Recent {
    pub fn after(seq: Seq) -> Self {
        Self { after: seq, messages: VecDeque::new(), bytes: 0 }
    }

    /// Adds the message that follows the newest one.
    pub fn push(&mut self, message: Arc<Message>) {
        self.bytes += message.row.content.len();
        self.messages.push_back(message);
        while self.messages.len() > MESSAGES || self.bytes > BYTES {
            self.drop_oldest();
        }
    }

    /// Whether everything after `seq` is still here.
    pub fn holds(&self, seq: Seq) -> bool {
        seq >= self.after
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

    pub fn forget_up_to(&mut self, seq: Seq) {
        while self.messages.front().is_some_and(|message| message.row.seq <= seq) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.after = oldest.row.seq;
            self.bytes -= oldest.row.content.len();
        }
    }
}
