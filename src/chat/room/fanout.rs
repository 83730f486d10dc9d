//! Fan-out: what is written to the connections of a room. New messages when they are published, pages of missed
//! messages, and the answers to a connection's own messages.

use std::sync::Arc;

use entity::{ChangeNumber, Seq, UserId, room};

use super::{
    Fresh, Heads, Members, Published, Recent, Reply, Room, RoomState,
    subscriptions::{Awaited, Beginning, CatchUp, DelayedReply, EndedSubscription, Held, Standing},
};
use crate::chat::{
    connections::{ConnectionId, connection::Connection, hub::Hub},
    event::{Envelope, Event, Origin},
    model::Message,
};

impl Room {
    /// Subscribes a connection to the messages after `sent`. The subscription is not live yet. Returns false
    /// if the user is not a member, if the connection is over, or if it is subscribed already.
    pub(in crate::chat) fn subscribe(&self, connection: &Arc<Connection>, sent: Seq) -> bool {
        let mut state = self.state.lock();
        self.belongs(&state, connection.user())
            && !connection.is_over()
            && state.subscriptions.add(connection, sent)
    }

    /// See [`super::subscriptions::Subscriptions::begin_after`].
    pub(in crate::chat) fn begin_after(
        &self,
        connection: ConnectionId,
        sent: Seq,
        is_acknowledged: bool,
        held: Held,
    ) {
        self.state.lock().subscriptions.begin_after(connection, sent, is_acknowledged, held);
    }

    /// See [`super::subscriptions::Subscriptions::must_read_again`].
    pub(in crate::chat) fn must_read_again(&self, connection: ConnectionId) {
        self.state.lock().subscriptions.must_read_again(connection);
    }

    pub(in crate::chat) fn unsubscribe(&self, connection: ConnectionId) {
        // Dropped without the lock: what a subscription holds may call this room again.
        let ended = self.state.lock().subscriptions.end(connection);
        drop(ended);
    }

    pub(in crate::chat) fn subscriber_count(&self) -> usize {
        self.state.lock().subscriptions.len()
    }

    /// The connections of the members, each with the seq that it begins after. One that is open was there before its user
    /// was in the room. One that is connecting is told later where it begins.
    pub(in crate::chat) fn members_among(&self, hub: &Hub) -> Vec<(Arc<Connection>, Seq)> {
        let RoomState { members, receipts, .. } = &*self.state.lock();
        let delivered = |user| receipts.marks(user).map_or(Seq::ZERO, |marks| marks.delivered);
        let joined = |user| members.get(user).map_or(Seq::ZERO, |member| member.joined);
        let found = hub.connections_among(members.by_user()).into_iter();
        let begin = |connection: Arc<Connection>| {
            let user = connection.user();
            let after = if connection.is_open() { joined(user) } else { delivered(user) };
            (connection, after)
        };
        found.map(begin).collect()
    }

    /// The subscribed connections, except those of one user.
    pub(in crate::chat) fn subscribers(&self, except: Option<UserId>) -> Vec<Arc<Connection>> {
        let state = self.state.lock();
        let others = state.subscriptions.connections().filter(|other| except != Some(other.user()));
        others.cloned().collect()
    }

    /// The subscribed connections, except one.
    pub(in crate::chat) fn other_subscribers(&self, except: Option<ConnectionId>) -> Vec<Arc<Connection>> {
        let state = self.state.lock();
        let others = state.subscriptions.connections().filter(|other| except != Some(other.id));
        others.cloned().collect()
    }

    /// Writes the messages that a commit has stored to all live subscriptions, in the order of seq. Then
    /// answers the senders.
    pub(in crate::chat) fn publish(&self, fresh: Vec<Fresh>) -> Published {
        let (offered, answers) = {
            let RoomState { members, subscriptions, recent, .. } = &mut *self.state.lock();
            let mut batch = Vec::with_capacity(fresh.len());
            let mut replies = Vec::with_capacity(fresh.len());
            for Fresh { message, origin, reply } in fresh {
                let seq = message.row.seq;
                keep(recent, members, &message);
                let reply = DelayedReply { message: message.clone(), reply, after: Awaited::Message(seq) };
                replies.push((origin.as_ref().map(|origin| origin.connection), reply));
                batch.push((seq, Envelope::from(Event::Message(message), origin)));
            }
            // Nobody acknowledges the lobby's messages, so waiting for acknowledgements would gain nothing.
            let offered = subscriptions.publish(&batch, self.kind != room::Kind::Lobby);
            let answers =
                replies.into_iter().filter_map(|(origin, reply)| subscriptions.delay(origin, reply));
            (offered, answers.collect::<Vec<DelayedReply>>())
        };
        // First the answers: a message and the answer to it leave together.
        answers.into_iter().for_each(DelayedReply::give);
        offered.flush();
        disconnect(offered.ended);
        Published { reached: offered.reached.len(), behind: offered.behind }
    }

    /// Writes messages that another node has stored, in the order of seq, to the live subscriptions that have
    /// everything before them. Those that were published already are skipped. Each may come as its sender wrote it. They show
    /// all changes up to `changed`. `None`, and nothing is published, if subscriptions were told of later changes, which
    /// the messages may not show, or if one before them is missing.
    pub(in crate::chat) fn publish_foreign(
        &self,
        messages: Vec<(Arc<Message>, Option<Arc<str>>)>,
        changed: ChangeNumber,
    ) -> Option<Published> {
        let offered = {
            let RoomState { members, subscriptions, recent, .. } = &mut *self.state.lock();
            let Heads { seq: published, change } = subscriptions.heads();
            let mut batch = Vec::with_capacity(messages.len());
            let new = messages.into_iter().filter(|(message, _)| message.row.seq > published);
            for (next, (message, written)) in (published.0 + 1..).zip(new) {
                if change > changed || message.row.seq.0 != next {
                    return None;
                }
                let origin = written
                    .map(|written| Origin { connection: ConnectionId::ELSEWHERE, written: Some(written) });
                batch.push((message.row.seq, Envelope::from(Event::Message(message), origin)));
            }
            for message in batch.iter().filter_map(|(_, envelope)| envelope.message()) {
                keep(recent, members, message);
            }
            subscriptions.publish(&batch, self.kind != room::Kind::Lobby)
        };
        offered.flush();
        disconnect(offered.ended);
        Some(Published { reached: offered.reached.len(), behind: offered.behind })
    }

    /// Answers a repeat of a stored message, but not before the first one was written to its sender.
    pub(in crate::chat) fn answer_repeat(
        &self,
        message: Arc<Message>,
        origin: Option<ConnectionId>,
        reply: Reply,
    ) {
        let after = Awaited::Message(message.row.seq);
        let answer = self.state.lock().subscriptions.delay(origin, DelayedReply { message, reply, after });
        if let Some(answer) = answer {
            answer.give();
        }
    }

    /// See [`super::subscriptions::Subscriptions::begin_catch_up`].
    pub(super) fn begin_catch_up(&self, connection: ConnectionId) -> Option<Beginning> {
        self.state.lock().subscriptions.begin_catch_up(connection)
    }

    /// Sends a page of missed messages, and the answers that waited for them. Makes the subscription live if
    /// these were the last.
    pub(super) fn send_page(&self, catch_up: &CatchUp, page: &[Arc<Envelope>]) -> Standing {
        let sent = self.state.lock().subscriptions.send_page(catch_up, page);
        self.follow_up(catch_up, sent)
    }
}

/// Keeps a message that is being published.
fn keep(recent: &mut Recent, members: &Members, message: &Arc<Message>) {
    if members.is_empty() {
        // The lobby keeps no receipts, so its senders are never notified of deliveries.
        *recent = Recent::after(message.row.seq);
    } else {
        recent.push(message.clone());
    }
}

/// Disconnects the connections of subscriptions that have ended because they read too slowly.
pub(super) fn disconnect(ended: impl IntoIterator<Item = EndedSubscription>) {
    for connection in ended.into_iter().map(EndedSubscription::give_replies) {
        connection.disconnect("its queue is full");
    }
}

#[cfg(test)]
mod tests {
    use entity::RoomId;

    use super::{super::ById, *};

    fn told(seqs: impl IntoIterator<Item = i64>) -> Vec<(Arc<Message>, Option<Arc<str>>)> {
        let message = |seq| Arc::new(Message::in_group(RoomId::new(), seq, UserId::new()));
        seqs.into_iter().map(|seq| (message(seq), None)).collect()
    }

    #[test]
    fn messages_that_may_not_show_a_change_or_come_too_early_are_not_published() {
        let heads = Heads { seq: Seq(3), change: ChangeNumber(5) };
        let room = Room::new(RoomId::new(), room::Kind::Group, None, heads, 1, ById::default());
        assert!(room.publish_foreign(told([5]), ChangeNumber(5)).is_none(), "4 is missing");
        assert!(room.publish_foreign(told([4, 6]), ChangeNumber(5)).is_none(), "5 is missing");
        assert!(room.publish_foreign(told([4]), ChangeNumber(4)).is_none(), "change 5 may be of it");
        assert_eq!(room.published(), Seq(3));
        assert!(room.publish_foreign(told([2, 3, 4, 5]), ChangeNumber(6)).is_some());
        assert_eq!(room.published(), Seq(5));
        assert!(room.publish_foreign(told([4, 5]), ChangeNumber(4)).is_some(), "they were published");
    }
}
