//! Changes of messages in a live room: how they reach the subscriptions, and what memory knows of them.

use std::sync::Arc;

use entity::ChangeNumber;

use super::{
    Heads, Room, RoomState,
    fanout::disconnect,
    recent::Recent,
    subscriptions::{Awaited, CatchUp, DelayedReply, PageSent, Settled, Standing},
};
use crate::chat::{
    connections::{ConnectionId, connection::Connection},
    event::{Envelope, Event},
    model::{Message, MessageChange},
    room::Reply,
};

/// The answer to a request to change a message: given when the connection that it came from was told of the message's
/// newest change.
pub struct ChangeAnswer {
    pub message: Arc<Message>,
    pub origin: Option<ConnectionId>,
    pub reply: Reply,
}

/// The result of publishing changes.
pub struct PublishedChanges {
    /// Connections that have to catch up from the database.
    pub behind: Vec<Arc<Connection>>,
    /// The answers that are to be given now.
    pub answers: Vec<DelayedReply>,
}

impl Room {
    /// Replaces the versions of changed messages that memory has. Call it before [`Room::publish_changes`]: whoever
    /// begins to catch up after that must not get an older version from memory.
    pub(in crate::chat) fn replace_recent(&self, messages: &[Arc<Message>]) {
        let mut state = self.state.lock();
        messages.iter().for_each(|message| state.recent.replace(message));
    }

    /// See [`super::Rooms::forget_messages`].
    pub(super) fn forget_recent(&self) {
        let RoomState { subscriptions, recent, .. } = &mut *self.state.lock();
        *recent = Recent::after(subscriptions.heads().seq);
    }

    /// Writes the changes that a commit has made to all live subscriptions, ascending.
    pub(in crate::chat) fn publish_changes(
        &self,
        changes: Vec<Arc<MessageChange>>,
        answers: Vec<ChangeAnswer>,
    ) -> PublishedChanges {
        let batch: Vec<(ChangeNumber, Envelope)> = changes
            .into_iter()
            .map(|change| (change.number, Envelope::new(Event::MessageChanged(change))))
            .collect();
        let (offered, answers) = {
            let subscriptions = &mut self.state.lock().subscriptions;
            let offered = subscriptions.publish_changes(&batch);
            let answers = answers.into_iter().filter_map(|ChangeAnswer { message, origin, reply }| {
                let after = Awaited::Change(message.row.change);
                subscriptions.delay(origin, DelayedReply { message, reply, after })
            });
            (offered, answers.collect())
        };
        offered.flush();
        disconnect(offered.ended);
        PublishedChanges { behind: offered.behind, answers }
    }

    /// Whether these changes of other nodes, ascending, are the next ones, and their messages were published.
    pub(in crate::chat) fn may_publish_changes(&self, changes: &[Arc<MessageChange>]) -> bool {
        follow(self.heads(), changes)
    }

    /// Writes changes that another node has made, ascending, to the live subscriptions. Those that were published already
    /// are skipped. `None`, and nothing is published, if one before them is missing, or a message of them.
    pub(in crate::chat) fn publish_foreign_changes(
        &self,
        mut changes: Vec<Arc<MessageChange>>,
    ) -> Option<PublishedChanges> {
        let offered = {
            let subscriptions = &mut self.state.lock().subscriptions;
            let heads = subscriptions.heads();
            changes.retain(|change| change.number > heads.change);
            if !follow(heads, &changes) {
                return None;
            }
            let envelope =
                |change: Arc<MessageChange>| (change.number, Envelope::new(Event::MessageChanged(change)));
            let batch: Vec<_> = changes.into_iter().map(envelope).collect();
            subscriptions.publish_changes(&batch)
        };
        offered.flush();
        disconnect(offered.ended);
        Some(PublishedChanges { behind: offered.behind, answers: Vec::new() })
    }

    /// See [`super::subscriptions::Subscriptions::send_changes`].
    pub(super) fn send_changes(
        &self,
        catch_up: &CatchUp,
        page: &[Arc<Envelope>],
        upto: ChangeNumber,
    ) -> Standing {
        let sent = self.state.lock().subscriptions.send_changes(catch_up, page, upto);
        self.follow_up(catch_up, sent)
    }

    /// See [`super::subscriptions::Subscriptions::send_reset`].
    pub(super) fn send_reset(&self, catch_up: &CatchUp, reset: &Envelope, upto: ChangeNumber) -> Standing {
        let sent = self.state.lock().subscriptions.send_reset(catch_up, reset, upto);
        self.follow_up(catch_up, sent)
    }

    /// Answers and disconnects after a page.
    pub(super) fn follow_up(&self, catch_up: &CatchUp, sent: PageSent) -> Standing {
        let PageSent { standing, replies, ended } = sent;
        if !replies.is_empty() {
            replies.into_iter().for_each(DelayedReply::give);
            self.state.lock().subscriptions.answered(catch_up);
        }
        disconnect(ended);
        standing
    }

    /// What a connection has of the room; `None` while its subscription is not live.
    pub(in crate::chat) fn settled(&self, connection: ConnectionId) -> Option<Settled> {
        self.state.lock().subscriptions.settled(connection)
    }

    pub(in crate::chat) fn heads(&self) -> Heads {
        self.state.lock().subscriptions.heads()
    }

    /// Whether something up to there was stored and not published.
    pub(in crate::chat) fn is_ahead(&self, stored: Heads) -> bool {
        let heads = self.heads();
        stored.seq > heads.seq || stored.change > heads.change
    }

    /// Handles what was stored but perhaps never published, because the answer of a commit was lost. Returns the
    /// connections that have to catch up.
    pub(in crate::chat) fn stored_up_to(&self, heads: Heads) -> Vec<Arc<Connection>> {
        let RoomState { subscriptions, recent, .. } = &mut *self.state.lock();
        let Some(late) = subscriptions.stored_up_to(heads) else { return Vec::new() };
        *recent = Recent::after(subscriptions.heads().seq);
        late
    }
}

/// Whether changes follow what was published without a gap.
fn follow(published: Heads, changes: &[Arc<MessageChange>]) -> bool {
    let follows = |(number, change): (i64, &Arc<MessageChange>)| {
        change.number.0 == number && change.message.row.seq <= published.seq
    };
    (published.change.0 + 1..).zip(changes).all(follows)
}

#[cfg(test)]
mod tests {
    use entity::{RoomId, Seq, UserId, room};

    use super::{super::ById, *};

    /// Changes with these numbers, of messages with these seqs.
    fn told<const COUNT: usize>(changes: [(i64, i64); COUNT]) -> Vec<Arc<MessageChange>> {
        let change = |(number, seq)| {
            let mut message = Message::in_group(RoomId::new(), seq, UserId::new());
            message.row.change = ChangeNumber(number);
            Arc::new(MessageChange::caught_up(Arc::new(message)))
        };
        changes.into_iter().map(change).collect()
    }

    #[test]
    fn changes_that_come_too_early_or_before_their_message_are_not_published() {
        let heads = Heads { seq: Seq(3), change: ChangeNumber(5) };
        let room = Room::new(RoomId::new(), room::Kind::Group, None, heads, 1, ById::default());
        let publish = |changes| room.publish_foreign_changes(changes).is_some();
        assert!(!publish(told([(7, 1)])), "6 is missing");
        assert!(!publish(told([(6, 1), (8, 1)])), "7 is missing");
        assert!(!publish(told([(6, 4)])), "its message is missing");
        assert!(!room.may_publish_changes(&told([(6, 4)])) && room.may_publish_changes(&told([(6, 3)])));
        assert_eq!(room.changed(), ChangeNumber(5));
        assert!(publish(told([(4, 1), (5, 2), (6, 3), (7, 1)])), "some were published");
        assert_eq!(room.changed(), ChangeNumber(7));
        assert!(publish(told([(6, 9), (7, 9)])), "all were published");
    }
}
