//! The subscriptions of a room: which connections receive its messages, and up to where they have.
//!
//! # States of a subscription
//!
//! ```text
//!     add
//!      |
//!      v     begin_catch_up: nothing is missed, sent >= published and told >= changed
//!  +--------+ ---------------------------------------------------> +------+
//!  | behind |                                                      | live |
//!  +--------+ <--------------------------------------------------- +------+
//!      |        publish: a seq is not sent + 1, a change is not        ^
//!      |        told + 1, or too many acknowledgements are             |
//!      |        pending; stored_up_to: something was stored,           |
//!      |        but perhaps never published                            |
//!      |                                                               |
//!      | begin_catch_up: messages or                                   | send_page, send_changes:
//!      v changes are missed                                            | it was the last page, sent >=
//!  +-------------+                                                     | published and told >= changed
//!  | catching up | ----------------------------------------------------+
//!  +-------------+
//!
//!  behind, catching up or live  ---->  ended (`EndedSubscription`, no longer in `Subscriptions`)
//! ```
//!
//! - *behind*: publishing skips it. A new subscription is behind until its connection is open. A live one that
//!   falls behind begins to catch up at once.
//! - *catching up*: one task sends the missed messages page by page, and then the changes of those that were sent
//!   before ([`super::catch_up`]). It has the
//!   [`CatchUp`] that `begin_catch_up` returned, and no other task has one. The check for the end and the
//!   change to live happen under the room's lock, so no message falls between the last page and the first live
//!   message.
//! - *live*: publishing writes each message to the connection at once.
//! - *ended*: the connection has disconnected, its queue is full, or it may no longer be written to; or its
//!   user is no longer a member; or the room was deleted. A connection with a full queue, or whose missed
//!   messages cannot be read, is disconnected. Its client reconnects and catches up. The replies that the
//!   subscription still held are given at that moment, except when the connection itself has disconnected.
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
//! - `sent`, of a connection: the newest seq that was written to it. It grows by one message at a time and has
//!   no holes.
//! - `acked`, of a connection: the client has acknowledged everything up to `acked.upto`, and perhaps some
//!   messages after a hole. It moves the member's `delivered` mark ([`super::receipts`]).
//! - `saved`, of a member: the receipt in the database.
//!
//! Changes of messages have positions of their own: `changed`, of the room, is the newest change that was published;
//! `told`, of a connection, is the newest one that was written to it, without holes. A live subscription has all
//! messages before it gets a change, so a change never arrives before the message. A device that has to read the room
//! again is told so before its subscription is live: a live change would move the device's cursor past changes that
//! it does not have.

mod pages;
mod subscription;

use std::sync::Arc;

use entity::{ChangeNumber, Seq, UserId};
use foldhash::HashMapExt;

use self::subscription::{Offer, State, Subscription};
pub use self::{
    pages::{Beginning, CatchUp, PageSent},
    subscription::{Awaited, DelayedReply, EndedSubscription, Held, Settled, Standing},
};
use super::{
    ById, Heads,
    watermark::{Acked, Acknowledged},
};
use crate::chat::{
    connections::{ConnectionId, connection::Connection},
    event::Envelope,
};

/// See the module.
pub struct Subscriptions {
    /// The newest message and change that were offered to subscriptions.
    heads: Heads,
    of_connections: ById<ConnectionId, Subscription>,
    /// The number of catch-ups that have begun.
    catch_ups: u64,
}

/// The result of offering messages to all live subscriptions.
#[derive(Default)]
pub struct Offered {
    /// Connections that were written to. What was written is sent without the room's lock ([`Offered::flush`]).
    pub reached: Vec<Arc<Connection>>,
    /// Connections that have to catch up from the database.
    pub behind: Vec<Arc<Connection>>,
    /// Subscriptions whose connections' queues are full.
    pub ended: Vec<EndedSubscription>,
}

impl Offered {
    /// Sends what was written.
    pub fn flush(&self) {
        self.reached.iter().chain(&self.behind).for_each(|connection| connection.flush());
    }
}

impl Subscriptions {
    pub fn new(heads: Heads) -> Self {
        Self { heads, of_connections: ById::default(), catch_ups: 0 }
    }

    pub fn heads(&self) -> Heads {
        self.heads
    }

    pub fn len(&self) -> usize {
        self.of_connections.len()
    }

    pub fn connections(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.of_connections.values().map(|subscription| &subscription.connection)
    }

    /// Subscribes a connection to the messages after `sent` and to the changes from now on. Returns false if it is
    /// subscribed already.
    pub fn add(&mut self, connection: &Arc<Connection>, sent: Seq) -> bool {
        let sent = sent.min(self.heads.seq);
        if self.of_connections.contains_key(&connection.id) {
            return false;
        }
        let subscription = Subscription {
            connection: connection.clone(),
            state: State::Behind,
            sent,
            told: self.heads.change,
            must_read_again: false,
            acked: Acked::after(sent),
            delayed: Vec::new(),
            answering: None,
        };
        self.of_connections.insert(connection.id, subscription);
        true
    }

    /// Makes a subscription begin after `sent`, and with the changes that its device does not have. The connection is
    /// not open yet, so nothing was written to it. `is_acknowledged`: its client has everything up to there.
    pub fn begin_after(&mut self, connection: ConnectionId, sent: Seq, is_acknowledged: bool, held: Held) {
        let sent = sent.min(self.heads.seq);
        if let Some(subscription) = self.of_connections.get_mut(&connection) {
            subscription.sent = sent;
            subscription.must_read_again = held == Held::Unknown;
            if let Held::UpTo(told) = held {
                subscription.told = told.min(self.heads.change);
            }
            subscription.acked = if is_acknowledged { Acked::up_to(sent) } else { Acked::after(sent) };
        }
    }

    /// The device of a new subscription has to read the room again.
    pub fn must_read_again(&mut self, connection: ConnectionId) {
        if let Some(subscription) = self.of_connections.get_mut(&connection) {
            subscription.must_read_again = true;
        }
    }

    pub fn end(&mut self, connection: ConnectionId) -> Option<EndedSubscription> {
        self.of_connections.remove(&connection).map(EndedSubscription)
    }

    /// Ends the subscriptions of users for whom `is_over` holds.
    pub fn end_of(&mut self, is_over: impl Fn(UserId) -> bool) -> Vec<EndedSubscription> {
        let over = |_: &_, subscription: &mut Subscription| is_over(subscription.connection.user());
        self.of_connections
            .extract_if(over)
            .map(|(_, subscription)| EndedSubscription(subscription))
            .collect()
    }

    /// Writes new messages, in the order of seq, to all live subscriptions. Others get them when they catch up.
    /// With `may_wait`, a connection with too many pending acknowledgements falls behind.
    ///
    /// The outer loop goes over subscriptions, not over messages: what is written to a socket together leaves
    /// it in one piece.
    pub fn publish(&mut self, batch: &[(Seq, Envelope)], may_wait: bool) -> Offered {
        self.heads.seq = batch.last().map_or(self.heads.seq, |(seq, _)| self.heads.seq.max(*seq));
        self.offer(|subscription, now| subscription.offer(batch, may_wait, now))
    }

    /// Writes new changes, ascending, to all live subscriptions. Others are told of them when they catch up.
    pub fn publish_changes(&mut self, batch: &[(ChangeNumber, Envelope)]) -> Offered {
        self.heads.change =
            batch.last().map_or(self.heads.change, |(number, _)| self.heads.change.max(*number));
        self.offer(|subscription, now| subscription.offer_changes(batch, now))
    }

    /// `write` gets the time, in Unix milliseconds: one look at the clock is enough for all.
    fn offer(&mut self, mut write: impl FnMut(&mut Subscription, i64) -> Offer) -> Offered {
        let now = self.of_connections.values().next().map_or(0, |any| any.connection.now());
        let mut offered =
            Offered { reached: Vec::with_capacity(self.of_connections.len()), ..Offered::default() };
        let mut full = Vec::new();
        let live = |subscription: &&mut Subscription| subscription.state == State::Live;
        for subscription in self.of_connections.values_mut().filter(live) {
            match write(subscription, now) {
                Offer::Taken => offered.reached.push(subscription.connection.clone()),
                Offer::Behind => offered.behind.push(subscription.connection.clone()),
                Offer::Full => full.push(subscription.connection.id),
            }
        }
        offered.ended = full.iter().filter_map(|id| self.end(*id)).collect();
        offered
    }

    /// Keeps a reply until the message or the change itself was written to the connection that it came from. Returns
    /// the reply if nothing has to be waited for.
    pub fn delay(&mut self, origin: Option<ConnectionId>, reply: DelayedReply) -> Option<DelayedReply> {
        match origin.and_then(|id| self.of_connections.get_mut(&id)) {
            Some(subscription) if subscription.state != State::Live && !subscription.has(reply.after) => {
                subscription.delayed.push(reply);
                None
            }
            _ => Some(reply),
        }
    }

    /// Messages and changes up to these are stored, and were perhaps never published, because the answer of a commit
    /// was lost. Returns the connections that have to catch up; `None` if they were published.
    pub fn stored_up_to(&mut self, heads: Heads) -> Option<Vec<Arc<Connection>>> {
        if heads.seq <= self.heads.seq && heads.change <= self.heads.change {
            return None;
        }
        self.heads.seq = self.heads.seq.max(heads.seq);
        self.heads.change = self.heads.change.max(heads.change);
        let live = |subscription: &&mut Subscription| subscription.state == State::Live;
        let late = self.of_connections.values_mut().filter(live).map(|subscription| {
            subscription.state = State::Behind;
            subscription.connection.clone()
        });
        Some(late.collect())
    }

    /// What a connection has, once its subscription is live or has ended; `None` while it is not live.
    pub fn settled(&self, connection: ConnectionId) -> Option<Settled> {
        match self.of_connections.get(&connection) {
            None => Some(Settled::Ended),
            Some(Subscription { state: State::Live, sent, told, .. }) => {
                Some(Settled::Live(Heads { seq: *sent, change: *told }))
            }
            Some(_) => None,
        }
    }

    /// The client of a connection has acknowledged these messages. Those that it was not sent are ignored.
    pub fn acknowledge(
        &mut self,
        connection: ConnectionId,
        seqs: impl Iterator<Item = Seq>,
    ) -> Option<Acknowledged> {
        let Subscription { acked, sent, connection, .. } = self.of_connections.get_mut(&connection)?;
        for seq in seqs.filter(|seq| seq <= sent) {
            acked.add(seq);
        }
        Some(Acknowledged { user: connection.user(), after: acked.from, upto: acked.upto })
    }

    /// The client of a connection has received everything up to a seq. Returns up to where it has acknowledged
    /// everything then: this may have filled a hole, and messages after the hole were acknowledged earlier.
    pub fn acknowledge_up_to(&mut self, connection: ConnectionId, seq: Seq) -> Seq {
        let Some(Subscription { acked, .. }) = self.of_connections.get_mut(&connection) else { return seq };
        acked.everything_up_to(seq);
        if acked.from <= seq { seq.max(acked.upto) } else { seq }
    }

    /// What the client of a connection has acknowledged.
    pub fn acked(&self, connection: ConnectionId) -> Option<&Acked> {
        self.of_connections.get(&connection).map(|subscription| &subscription.acked)
    }

    /// The connected users, each with the seq up to which all their connections were sent the messages, and the
    /// answers to their own.
    pub fn answered_up_to(&self) -> ById<UserId, Seq> {
        let mut users = ById::with_capacity(self.of_connections.len());
        for Subscription { connection, sent, answering, .. } in self.of_connections.values() {
            let answered = answering.map_or(*sent, |seq| Seq(seq.0 - 1));
            let least = users.entry(connection.user()).or_insert(answered);
            *least = answered.min(*least);
        }
        users
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use entity::RoomId;

    use super::*;
    use crate::chat::{
        event::Event,
        model::{Alteration, Message, MessageChange},
        room::Reply,
    };

    fn heads(seq: i64, change: i64) -> Heads {
        Heads { seq: Seq(seq), change: ChangeNumber(change) }
    }

    fn begin(subscriptions: &mut Subscriptions, phone: &Connection) -> CatchUp {
        match subscriptions.begin_catch_up(phone.id) {
            Some(Beginning::Missed(catch_up)) => catch_up,
            other => panic!("nothing is missed: {other:?}"),
        }
    }

    fn message(seq: i64) -> Arc<Message> {
        Arc::new(Message::in_group(RoomId::new(), seq, UserId::new()))
    }

    fn batch(seqs: impl IntoIterator<Item = i64>) -> Vec<(Seq, Envelope)> {
        seqs.into_iter().map(|seq| (Seq(seq), Envelope::new(Event::Message(message(seq))))).collect()
    }

    fn page(seqs: impl IntoIterator<Item = i64>) -> Vec<Arc<Envelope>> {
        batch(seqs).into_iter().map(|(_, envelope)| Arc::new(envelope)).collect()
    }

    fn opened() -> Arc<Connection> {
        let connection = Connection::silent(UserId::new());
        connection.open();
        connection
    }

    /// A subscription that has everything up to the third message of three.
    fn live() -> (Subscriptions, Arc<Connection>) {
        let (mut subscriptions, phone) = (Subscriptions::new(heads(3, 0)), opened());
        assert!(subscriptions.add(&phone, Seq(3)));
        assert_eq!(subscriptions.begin_catch_up(phone.id), Some(Beginning::Live));
        (subscriptions, phone)
    }

    #[test]
    fn a_subscription_that_has_missed_something_catches_up_before_it_is_live() {
        let (mut subscriptions, phone) = (Subscriptions::new(heads(3, 0)), opened());
        assert!(subscriptions.add(&phone, Seq(1)));
        assert!(!subscriptions.add(&phone, Seq(1)), "subscribed already");
        let catch_up = begin(&mut subscriptions, &phone);
        assert_eq!(catch_up.after, heads(1, 0));
        assert_eq!(subscriptions.begin_catch_up(phone.id), None, "one task is enough");
        let offered = subscriptions.publish(&batch([4]), true);
        assert_eq!((offered.reached.len(), offered.behind.len()), (0, 0), "it gets the fourth in its order");
        assert_eq!(subscriptions.send_page(&catch_up, &page(2..=3)).standing, Standing::Behind(Seq(3)));
        assert_eq!(subscriptions.send_page(&catch_up, &page([4])).standing, Standing::Live);
        assert_eq!(subscriptions.publish(&batch(5..=6), true).reached.len(), 1);
        assert_eq!(subscriptions.answered_up_to()[&phone.user()], Seq(6));
    }

    #[test]
    fn a_live_subscription_falls_behind_at_a_hole() {
        let (mut subscriptions, phone) = live();
        let offered = subscriptions.publish(&batch([5]), true);
        assert_eq!((offered.reached.len(), offered.behind.len()), (0, 1));
        assert_eq!(begin(&mut subscriptions, &phone).after.seq, Seq(3));

        let (mut subscriptions, phone) = live();
        assert!(subscriptions.stored_up_to(heads(3, 0)).is_none());
        assert_eq!(subscriptions.stored_up_to(heads(4, 0)).unwrap().len(), 1);
        assert_eq!(begin(&mut subscriptions, &phone).after.seq, Seq(3));
    }

    fn changes(numbers: impl IntoIterator<Item = i64>) -> Vec<(ChangeNumber, Envelope)> {
        let change = |number| {
            let number = ChangeNumber(number);
            let change = MessageChange {
                message: message(1),
                number,
                at: Default::default(),
                by: None,
                what: vec![Alteration::Edited],
                reacted: Vec::new(),
                mentioned: Vec::new(),
                extras_changed: false,
            };
            (number, Envelope::new(Event::MessageChanged(Arc::new(change))))
        };
        numbers.into_iter().map(change).collect()
    }

    fn changes_page(numbers: impl IntoIterator<Item = i64>) -> Vec<Arc<Envelope>> {
        changes(numbers).into_iter().map(|(_, envelope)| Arc::new(envelope)).collect()
    }

    #[test]
    fn a_subscription_is_live_when_it_has_all_messages_and_all_changes() {
        let (mut subscriptions, phone) = (Subscriptions::new(heads(3, 5)), opened());
        subscriptions.add(&phone, Seq(2));
        subscriptions.begin_after(phone.id, Seq(2), true, Held::UpTo(ChangeNumber(1)));
        let catch_up = begin(&mut subscriptions, &phone);
        assert_eq!((catch_up.after, catch_up.shown), (heads(2, 1), ChangeNumber(5)));
        let untold = |sent, told, upto| Standing::Untold {
            sent: Seq(sent),
            told: ChangeNumber(told),
            upto: ChangeNumber(upto),
        };
        assert_eq!(subscriptions.send_page(&catch_up, &page([3])).standing, untold(3, 1, 5));
        // What is published meanwhile comes later, messages first.
        assert_eq!(subscriptions.publish_changes(&changes([6])).reached.len(), 0);
        let sent = subscriptions.send_changes(&catch_up, &changes_page([2, 4]), ChangeNumber(4));
        assert_eq!(sent.standing, untold(3, 4, 6));
        subscriptions.publish(&batch([4]), true);
        let sent = subscriptions.send_changes(&catch_up, &changes_page([6]), ChangeNumber(6));
        assert_eq!(sent.standing, Standing::Behind(Seq(3)));
        assert_eq!(subscriptions.settled(phone.id), None);
        assert_eq!(subscriptions.send_page(&catch_up, &page([4])).standing, Standing::Live);
        assert_eq!(subscriptions.settled(phone.id), Some(Settled::Live(heads(4, 6))));
        assert_eq!(subscriptions.publish_changes(&changes([7, 8])).reached.len(), 1);
        assert_eq!(subscriptions.settled(phone.id), Some(Settled::Live(heads(4, 8))));
        assert_eq!(subscriptions.settled(Connection::silent(phone.user()).id), Some(Settled::Ended));
    }

    #[test]
    fn a_live_subscription_falls_behind_at_a_hole_in_the_changes() {
        let (mut subscriptions, phone) = live();
        assert_eq!(subscriptions.publish_changes(&changes([1])).reached.len(), 1);
        let offered = subscriptions.publish_changes(&changes([3]));
        assert_eq!((offered.reached.len(), offered.behind.len()), (0, 1));
        assert_eq!(begin(&mut subscriptions, &phone).after, heads(3, 1));

        let (mut subscriptions, phone) = live();
        assert_eq!(subscriptions.stored_up_to(heads(0, 2)).unwrap().len(), 1);
        assert_eq!(begin(&mut subscriptions, &phone).after, heads(3, 0));
    }

    #[test]
    fn a_device_that_has_to_read_the_room_again_is_told_before_it_is_live() {
        let reset = Envelope::new(Event::Synced(Vec::new()));
        for held in [Held::Unknown, Held::UpTo(ChangeNumber(1))] {
            let (mut subscriptions, phone) = (Subscriptions::new(heads(3, 5)), opened());
            subscriptions.add(&phone, Seq(2));
            subscriptions.begin_after(phone.id, Seq(2), true, held);
            let catch_up = begin(&mut subscriptions, &phone);
            let standing = subscriptions.send_page(&catch_up, &page([3])).standing;
            let outdated = Standing::Outdated { sent: Seq(3), upto: ChangeNumber(5) };
            assert_eq!(standing == outdated, held == Held::Unknown, "{standing:?}");
            assert_eq!(subscriptions.settled(phone.id), None);
            // Told of later, as a change of a message that it has read again.
            assert_eq!(subscriptions.publish_changes(&changes([6])).reached.len(), 0);
            let sent = subscriptions.send_reset(&catch_up, &reset, ChangeNumber(5));
            let untold = Standing::Untold { sent: Seq(3), told: ChangeNumber(5), upto: ChangeNumber(6) };
            assert_eq!(sent.standing, untold);
            let sent = subscriptions.send_changes(&catch_up, &changes_page([6]), ChangeNumber(6));
            assert_eq!(sent.standing, Standing::Live);
        }
        // Also where it has missed nothing else.
        let (mut subscriptions, phone) = (Subscriptions::new(heads(3, 5)), opened());
        subscriptions.add(&phone, Seq(3));
        subscriptions.must_read_again(phone.id);
        let catch_up = begin(&mut subscriptions, &phone);
        assert_eq!(subscriptions.send_reset(&catch_up, &reset, ChangeNumber(5)).standing, Standing::Live);
    }

    #[test]
    fn the_answer_to_a_change_waits_for_the_change() {
        let (mut subscriptions, phone) = live();
        let answer = |number| DelayedReply {
            message: message(1),
            reply: Box::new(|_| ()),
            after: Awaited::Change(ChangeNumber(number)),
        };
        subscriptions.stored_up_to(heads(0, 2));
        assert!(subscriptions.delay(Some(phone.id), answer(2)).is_none());
        let catch_up = begin(&mut subscriptions, &phone);
        let sent = subscriptions.send_changes(&catch_up, &changes_page([1]), ChangeNumber(1));
        assert_eq!(sent.replies.len(), 0);
        let sent = subscriptions.send_changes(&catch_up, &changes_page([2]), ChangeNumber(2));
        assert_eq!((sent.replies.len(), sent.standing), (1, Standing::Live));
        assert!(subscriptions.delay(Some(phone.id), answer(3)).is_some(), "it is live");
    }

    #[test]
    fn a_connection_that_may_not_be_written_to_is_no_longer_subscribed() {
        let (mut subscriptions, phone) = live();
        phone.mark_gone();
        let offered = subscriptions.publish(&batch([4]), true);
        assert_eq!((offered.reached.len(), offered.ended.len(), subscriptions.len()), (0, 1, 0));
    }

    #[test]
    fn a_task_whose_subscription_has_ended_sends_nothing_to_a_later_one() {
        let (mut subscriptions, phone) = (Subscriptions::new(heads(3, 0)), opened());
        subscriptions.add(&phone, Seq(0));
        let first = begin(&mut subscriptions, &phone);
        assert_eq!(subscriptions.end_of(|user| user == phone.user()).len(), 1);
        subscriptions.add(&phone, Seq(0));
        let second = begin(&mut subscriptions, &phone);
        assert_eq!(subscriptions.send_page(&first, &page(1..=3)).standing, Standing::Ended);
        assert_eq!(subscriptions.send_page(&second, &page(1..=3)).standing, Standing::Live);
    }

    #[test]
    fn a_reply_waits_for_its_own_message_and_is_given_when_the_subscription_ends() {
        let given = Arc::new(AtomicUsize::new(0));
        let reply = |seq| {
            let given = given.clone();
            let reply: Reply = Box::new(move |_| {
                given.fetch_add(1, Ordering::Relaxed);
            });
            DelayedReply { message: message(seq), reply, after: Awaited::Message(Seq(seq)) }
        };
        let (mut subscriptions, phone) = live();
        assert!(subscriptions.delay(Some(phone.id), reply(3)).is_some(), "it has its message");
        assert!(subscriptions.delay(None, reply(9)).is_some(), "it came over HTTP");
        subscriptions.stored_up_to(heads(6, 0));
        assert!(subscriptions.delay(Some(phone.id), reply(4)).is_none());
        assert!(subscriptions.delay(Some(phone.id), reply(6)).is_none());
        let catch_up = begin(&mut subscriptions, &phone);
        let sent = subscriptions.send_page(&catch_up, &page(4..=5));
        assert_eq!((sent.standing, sent.replies.len()), (Standing::Behind(Seq(5)), 1));
        assert_eq!(subscriptions.answered_up_to()[&phone.user()], Seq(3), "the fourth is not answered yet");
        sent.replies.into_iter().for_each(DelayedReply::give);
        subscriptions.answered(&catch_up);
        assert_eq!(subscriptions.answered_up_to()[&phone.user()], Seq(5));
        subscriptions.end_of(|_| true).into_iter().for_each(|ended| drop(ended.give_replies()));
        assert_eq!(given.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn only_what_was_sent_can_be_acknowledged() {
        let (mut subscriptions, phone) = live();
        subscriptions.publish(&batch([4]), true);
        let acknowledged = subscriptions.acknowledge(phone.id, [Seq(4), Seq(5)].into_iter()).unwrap();
        assert_eq!((acknowledged.after, acknowledged.upto), (Seq(3), Seq(4)));
        subscriptions.publish(&batch(5..=7), true);
        subscriptions.acknowledge(phone.id, std::iter::once(Seq(7)));
        assert_eq!(subscriptions.acked(phone.id).unwrap().upto, Seq(4), "a hole");
        assert_eq!(subscriptions.acknowledge_up_to(phone.id, Seq(6)), Seq(7));
    }
}
