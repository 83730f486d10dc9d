//! The pages that a subscription is sent while it catches up: missed messages, changes, and that its device has to read the
//! room again. Each is written under the room's lock, which also decides whether it was the last.

use std::sync::Arc;

use entity::ChangeNumber;

use super::{
    Subscriptions,
    subscription::{Awaited, DelayedReply, EndedSubscription, Standing, State, Subscription},
};
use crate::chat::{
    connections::{ConnectionId, connection::Lagging},
    event::Envelope,
    room::Heads,
};

/// The right, and the duty, to send a connection the messages that it has missed.
#[derive(Debug, PartialEq, Eq)]
pub struct CatchUp {
    connection: ConnectionId,
    number: u64,
    /// Where it begins: the connection had everything up to this seq, and was told of everything up to this change.
    pub after: Heads,
    /// The newest change that was published when it began. The messages that it sends show this change already.
    pub shown: ChangeNumber,
    /// What is missing first.
    pub missing: Standing,
}

/// How a subscription that was behind goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It had missed nothing.
    Live,
    Missed(CatchUp),
}

/// The result of sending a page of missed messages.
pub struct PageSent {
    pub standing: Standing,
    /// Replies to messages that were on the page. [`Subscriptions::answered`] follows them.
    pub replies: Vec<DelayedReply>,
    /// The subscription, if the connection's queue is full.
    pub ended: Option<EndedSubscription>,
}

impl Subscriptions {
    /// Makes a subscription that is behind live if it has missed nothing. Otherwise its catch-up begins, and
    /// the caller has to carry it out. `None`: it was not behind.
    pub fn begin_catch_up(&mut self, connection: ConnectionId) -> Option<Beginning> {
        let subscription = self.of_connections.get_mut(&connection)?;
        if subscription.state != State::Behind {
            return None;
        }
        let missing = subscription.standing(self.heads);
        if missing == Standing::Live {
            return Some(Beginning::Live);
        }
        self.catch_ups += 1;
        subscription.state = State::CatchingUp(self.catch_ups);
        let after = Heads { seq: subscription.sent, change: subscription.told };
        let number = self.catch_ups;
        Some(Beginning::Missed(CatchUp { connection, number, after, shown: self.heads.change, missing }))
    }

    /// Sends a page of missed messages. Makes the subscription live if these were the last.
    pub fn send_page(&mut self, catch_up: &CatchUp, page: &[Arc<Envelope>]) -> PageSent {
        self.send(catch_up, |subscription| {
            for envelope in page {
                let seq = subscription.sent.next();
                if envelope.message().is_some_and(|message| message.row.seq == seq) {
                    let emitted = subscription.connection.emit(envelope)?;
                    subscription.note_sent(seq, envelope, emitted);
                }
            }
            Ok(())
        })
    }

    /// Sends a page of missed changes, which ends at the change `upto`. Makes the subscription live if these were the
    /// last.
    pub fn send_changes(
        &mut self,
        catch_up: &CatchUp,
        page: &[Arc<Envelope>],
        upto: ChangeNumber,
    ) -> PageSent {
        self.send(catch_up, |subscription| {
            for envelope in page {
                if envelope.change().is_some_and(|change| change.number > subscription.told) {
                    subscription.connection.emit(envelope)?;
                }
            }
            subscription.told = subscription.told.max(upto);
            Ok(())
        })
    }

    /// Tells a device that it has to read the room again, and has all changes up to `upto` then.
    pub fn send_reset(&mut self, catch_up: &CatchUp, reset: &Envelope, upto: ChangeNumber) -> PageSent {
        self.send(catch_up, |subscription| {
            subscription.connection.emit(reset)?;
            subscription.told = subscription.told.max(upto);
            subscription.must_read_again = false;
            Ok(())
        })
    }

    /// Writes something to a subscription that is catching up, and finds out what is missing then.
    fn send(
        &mut self,
        catch_up: &CatchUp,
        write: impl FnOnce(&mut Subscription) -> Result<(), Lagging>,
    ) -> PageSent {
        let state = State::CatchingUp(catch_up.number);
        let subscription = self.of_connections.get_mut(&catch_up.connection);
        let Some(subscription) = subscription.filter(|subscription| subscription.state == state) else {
            return PageSent { standing: Standing::Ended, replies: Vec::new(), ended: None };
        };
        let is_full = !subscription.connection.may_receive() || write(subscription).is_err();
        let (replies, waiting): (Vec<DelayedReply>, _) = std::mem::take(&mut subscription.delayed)
            .into_iter()
            .partition(|reply| subscription.has(reply.after));
        subscription.delayed = waiting;
        subscription.answering = replies.iter().find_map(|reply| match reply.after {
            Awaited::Message(seq) => Some(seq),
            Awaited::Change(_) => None,
        });
        if is_full {
            return PageSent { standing: Standing::Ended, replies, ended: self.end(catch_up.connection) };
        }
        PageSent { standing: subscription.standing(self.heads), replies, ended: None }
    }

    /// The replies of the page before were given.
    pub fn answered(&mut self, catch_up: &CatchUp) {
        if let Some(subscription) = self.of_connections.get_mut(&catch_up.connection) {
            subscription.answering = None;
        }
    }
}
