//! Fan-out: the subscriptions of a room, and what is written to them: messages when they are published, pages
//! of missed messages, and the answers to a connection's own messages.
//!
//! # States of a subscription
//!
//! ```text
//!     subscribe(start)
//!           |
//!           v     nothing is missed: sent >= published
//!      +--------+ -------------------------------------> +------+
//!      | behind |                                        | live |
//!      +--------+ <------------------------------------- +------+
//!           |        publish: a seq is not sent + 1,         ^
//!           |        or too many acks are pending;           |
//!           |        stored_up_to: a seq was stored,         |
//!           |        but perhaps never published             |
//!           |                                                |
//!           | fall_behind starts a task                      | catch_up has sent the last page:
//!           v                                                | sent >= published
//!      +-------------+                                       |
//!      | catching up | --------------------------------------+
//!      +-------------+
//!
//!      behind, catching up or live  ---->  gone
//! ```
//!
//! - *behind* (`live` is false): publishing skips the subscription. A new subscription is behind until its
//!   connection is open. Then `bring_up` makes it live, or starts the catch-up task. A live subscription that
//!   falls behind gets the task at once.
//! - *catching up* (`live` is false, and the room is in `Connection::behind`): one task sends the missed
//!   messages page by page. The check for the end and the change to live happen under the room's lock, so no
//!   message falls between the last page and the first live message.
//! - *live* (`live` is true): publishing writes each message to the connection at once.
//! - *gone* (no longer in `RoomState::subscriptions`): the connection has disconnected, its queue is full, or
//!   it may no longer be written to; or its user is no longer a member; or the room was deleted. A connection
//!   with a full queue, or whose missed messages cannot be read, is disconnected. Its client reconnects and
//!   catches up. The answers that the subscription still held are given at that moment, except when the
//!   connection itself has disconnected.
//!
//! # Positions
//!
//! ```text
//!       saved         acked.upto           sent         published
//!   -----|----------------|------------------|---------------|-----> seq
//!        | acknowledged,  | sent, and not    | stored, and   |
//!        | not saved yet  | acknowledged yet | not sent yet  |
//! ```
//!
//! - `Subscription::sent`, of a connection: the newest seq that was written to it. It grows by one message at
//!   a time and has no holes.
//! - `Subscription::acked`, of a connection: the client has acknowledged everything up to `acked.upto`, and
//!   perhaps some messages after a hole. It moves the member's `delivered` mark.
//! - `RoomMember::marks` and `RoomMember::saved`, of a member: the receipts in memory, which all connections
//!   of the user move, and the receipts in the database. `saved` follows with the next batch. Only `saved`
//!   decides when a sender is notified of a delivery.

use std::sync::Arc;

use entity::{Seq, UserId, room};

use super::watermark::Acked;
use super::{DelayedReply, Fresh, Published, Recent, Reply, Room, RoomState, Standing, Subscription};
use crate::chat::{
    connections::{ConnectionId, connection::Connection, hub::Hub},
    event::{Envelope, Event},
    model::Message,
};

impl Room {
    /// Subscribes a connection to the messages after `sent`. The subscription is not live yet. Returns false
    /// if the user is not a member, if the connection is over, or if it is subscribed already.
    pub(in crate::chat) fn subscribe(&self, connection: &Arc<Connection>, sent: Seq) -> bool {
        let mut state = self.state.lock();
        let belongs = self.kind == room::Kind::Lobby || state.members.contains_key(&connection.user());
        if !belongs || connection.is_over() || state.subscriptions.contains_key(&connection.id) {
            return false;
        }
        let sent = sent.min(state.published);
        state.subscriptions.insert(
            connection.id,
            Subscription {
                connection: connection.clone(),
                sent,
                live: false,
                acked: Acked::after(sent),
                delayed: Vec::new(),
                answering: None,
            },
        );
        true
    }

    /// Makes a subscription begin after `sent`. The connection is not open yet, so nothing was written to it.
    pub(in crate::chat) fn begin_after(&self, connection: ConnectionId, sent: Seq) {
        let mut state = self.state.lock();
        let sent = sent.min(state.published);
        if let Some(subscription) = state.subscriptions.get_mut(&connection) {
            subscription.sent = sent;
            subscription.acked = Acked::after(sent);
        }
    }

    pub(in crate::chat) fn unsubscribe(&self, connection: ConnectionId) {
        // Dropped without the lock: what a subscription holds may call this room again.
        let gone = self.state.lock().subscriptions.remove(&connection);
        drop(gone);
    }

    pub(in crate::chat) fn subscriber_count(&self) -> usize {
        self.state.lock().subscriptions.len()
    }

    /// The connections of the members, each with the seq up to which its user has acknowledged everything.
    pub(in crate::chat) fn members_among(&self, hub: &Hub) -> Vec<(Arc<Connection>, Seq)> {
        let state = self.state.lock();
        let found = hub.connections_among(&state.members).into_iter();
        found.map(|(connection, entry)| (connection, entry.marks.delivered)).collect()
    }

    /// The subscribed connections, except those of one user.
    pub(in crate::chat) fn subscribers(&self, except: Option<UserId>) -> Vec<Arc<Connection>> {
        let state = self.state.lock();
        state
            .subscriptions
            .values()
            .map(|subscription| &subscription.connection)
            .filter(|connection| except != Some(connection.user()))
            .cloned()
            .collect()
    }

    /// Writes an event that is not a message to all subscribers, except one user.
    pub(in crate::chat) fn notify(&self, event: Event, except: Option<UserId>) {
        let envelope = Envelope::new(event);
        for connection in self.subscribers(except) {
            connection.notify(&envelope);
        }
    }

    /// Writes the messages that a commit has stored to all live subscriptions, in the order of seq. Then
    /// answers the senders.
    ///
    /// The outer loop goes over subscriptions, not over messages: what is written to a socket together leaves
    /// it in one piece.
    pub(in crate::chat) fn publish(&self, fresh: Vec<Fresh>) -> Published {
        let mut published = Published::default();
        let (answers, gone) = {
            let mut state = self.state.lock();
            let mut batch = Vec::with_capacity(fresh.len());
            let mut replies = Vec::with_capacity(fresh.len());
            for Fresh { message, origin, reply } in fresh {
                state.note_message(&message);
                replies.push((origin.as_ref().map(|origin| origin.connection), message.clone(), reply));
                batch.push((message.row.seq, Envelope::from(Event::Message(message), origin)));
            }
            // Nobody acknowledges the lobby's messages, so waiting for acknowledgements would gain nothing.
            let may_wait = self.kind != room::Kind::Lobby;
            let mut lagging = Vec::new();
            for subscription in state.subscriptions.values_mut().filter(|subscription| subscription.live) {
                match subscription.offer(&batch, may_wait) {
                    Offer::Taken => published.reached += 1,
                    Offer::Behind => published.behind.push(subscription.connection.clone()),
                    Offer::Lagging => lagging.push(subscription.connection.id),
                }
            }
            let gone: Vec<Subscription> =
                lagging.iter().filter_map(|id| state.subscriptions.remove(id)).collect();
            let answers: Vec<DelayedReply> = replies
                .into_iter()
                .filter_map(|(origin, message, reply)| state.answer_or_delay(origin, message, reply))
                .collect();
            (answers, gone)
        };
        answers.into_iter().for_each(DelayedReply::give);
        for connection in detach_all(gone) {
            connection.cut("its queue is full");
        }
        published
    }

    /// Answers a repeat of a stored message, but not before the first one was written to its sender.
    pub(in crate::chat) fn answer_repeat(
        &self,
        message: Arc<Message>,
        origin: Option<ConnectionId>,
        reply: Reply,
    ) {
        let answer = self.state.lock().answer_or_delay(origin, message, reply);
        if let Some(answer) = answer {
            answer.give();
        }
    }

    /// Handles a seq that was stored but perhaps never published, because the answer of a commit was lost.
    /// Returns the connections that have to catch up.
    pub(in crate::chat) fn stored_up_to(&self, seq: Seq) -> Vec<Arc<Connection>> {
        let mut state = self.state.lock();
        if seq <= state.published {
            return Vec::new();
        }
        state.published = seq;
        state.recent = Recent::after(seq);
        let late = state.subscriptions.values_mut().filter(|subscription| subscription.live);
        late.map(|subscription| {
            subscription.live = false;
            subscription.connection.clone()
        })
        .collect()
    }

    /// Sends a page of missed messages. Makes the subscription live if these were the last.
    pub(in crate::chat) fn catch_up(&self, id: ConnectionId, page: &[Arc<Envelope>]) -> Standing {
        let (standing, released, lagging) = {
            let mut state = self.state.lock();
            let published = state.published;
            let Some(subscription) = state.subscriptions.get_mut(&id) else { return Standing::Gone };
            let mut lags = !page.is_empty() && !subscription.connection.may_receive();
            for envelope in page {
                let seq = subscription.sent.next();
                if !lags && envelope.message().is_some_and(|message| message.row.seq == seq) {
                    lags = subscription.connection.emit(envelope).is_err();
                    if !lags {
                        subscription.sent = seq;
                    }
                }
            }
            let sent = subscription.sent;
            let (released, waiting): (Vec<DelayedReply>, _) = std::mem::take(&mut subscription.delayed)
                .into_iter()
                .partition(|held| held.message.row.seq <= sent);
            subscription.delayed = waiting;
            subscription.answering = released.first().map(|held| held.message.row.seq);
            subscription.live = !lags && sent >= published;
            let standing = match (lags, subscription.live) {
                (true, _) => Standing::Gone,
                (_, true) => Standing::Live,
                (_, false) => Standing::Behind(sent),
            };
            (standing, released, if lags { state.subscriptions.remove(&id) } else { None })
        };
        if !released.is_empty() {
            for held in released {
                held.give();
            }
            if let Some(subscription) = self.state.lock().subscriptions.get_mut(&id) {
                subscription.answering = None;
            }
        }
        for connection in detach_all(lagging) {
            connection.cut("its queue is full");
        }
        standing
    }
}

/// The result of offering a batch to a live subscription.
enum Offer {
    Taken,
    /// It is no longer live and has to catch up.
    Behind,
    Lagging,
}

impl Subscription {
    fn offer(&mut self, batch: &[(Seq, Envelope)], may_wait: bool) -> Offer {
        let first = batch.partition_point(|(seq, _)| *seq <= self.sent);
        let news = &batch[first..];
        if !news.is_empty() && !self.connection.may_receive() {
            return Offer::Lagging;
        }
        for (seq, envelope) in news {
            if *seq != self.sent.next() || (may_wait && self.connection.is_pressed()) {
                self.live = false;
                return Offer::Behind;
            }
            if self.connection.emit(envelope).is_err() {
                return Offer::Lagging;
            }
            self.sent = *seq;
        }
        Offer::Taken
    }
}

impl RoomState {
    /// Notes that a message was stored.
    fn note_message(&mut self, message: &Arc<Message>) {
        let seq = message.row.seq;
        if seq > self.published.next() {
            // An earlier message was stored, but the answer of its commit was lost: the recent messages have
            // a hole there.
            self.recent = Recent::after(Seq(seq.0 - 1));
        }
        self.published = self.published.max(seq);
        if self.members.is_empty() {
            // The lobby keeps no receipts, so its senders are never notified of deliveries.
            self.recent = Recent::after(seq);
        } else {
            self.recent.push(message.clone());
        }
    }

    /// Keeps the answer until the message itself was written to its sender's connection. Returns the answer
    /// if nothing has to be waited for.
    fn answer_or_delay(
        &mut self,
        origin: Option<ConnectionId>,
        message: Arc<Message>,
        reply: Reply,
    ) -> Option<DelayedReply> {
        let answer = DelayedReply { message, reply };
        let subscription = origin.and_then(|id| self.subscriptions.get_mut(&id));
        match subscription {
            Some(subscription) if !subscription.live && subscription.sent < answer.message.row.seq => {
                subscription.delayed.push(answer);
                None
            }
            _ => Some(answer),
        }
    }
}

/// Gives the answers that ended subscriptions still held: their messages are stored. Call it without the
/// lock, because an answer may call this room again.
pub(super) fn detach_all(subscriptions: impl IntoIterator<Item = Subscription>) -> Vec<Arc<Connection>> {
    let gone = subscriptions.into_iter().map(|subscription| {
        subscription.delayed.into_iter().for_each(DelayedReply::give);
        subscription.connection
    });
    gone.collect()
}
