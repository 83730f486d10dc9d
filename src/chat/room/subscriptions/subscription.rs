//! One subscription: what a connection has of a room, and what is written to it. The states and positions are drawn
//! in [`super`].

use std::sync::Arc;

use entity::{ChangeNumber, Seq};

use crate::chat::{
    connections::connection::{Connection, Emitted},
    event::Envelope,
    model::Message,
    room::{Heads, Reply, watermark::Acked},
};

/// A connection in a room, and what it has.
pub struct Subscription {
    pub connection: Arc<Connection>,
    pub state: State,
    pub sent: Seq,
    pub told: ChangeNumber,
    /// Its device has to read the room again, and was not told that yet.
    pub must_read_again: bool,
    pub acked: Acked,
    /// Replies to the connection's own messages and changes. Each waits until that message or change was written to
    /// the connection.
    pub delayed: Vec<DelayedReply>,
    /// The first of the connection's own messages that was written to it and that is being answered now.
    pub answering: Option<Seq>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Behind,
    /// By the task with the [`CatchUp`] of this number.
    CatchingUp(u64),
    Live,
}

/// The state of a subscription after a page of missed messages or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It gets messages when they are published.
    Live,
    /// It still needs the messages after this seq.
    Behind(Seq),
    /// It has the messages up to `sent`, and still needs their changes after `told`, up to `upto`.
    Untold { sent: Seq, told: ChangeNumber, upto: ChangeNumber },
    /// It has the messages up to `sent`. Its device has to read the room again, and has all changes up to `upto` then.
    Outdated { sent: Seq, upto: ChangeNumber },
    /// The subscription has ended.
    Ended,
}

/// A subscription that nobody has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is live; the connection has everything up to here.
    Live(Heads),
    Ended,
}

/// A subscription that is no longer in the room.
pub struct EndedSubscription(pub Subscription);

impl EndedSubscription {
    /// Gives the replies that it still held: their messages are stored. Call it without the room's lock,
    /// because a reply may call the room again.
    pub fn give_replies(self) -> Arc<Connection> {
        self.0.delayed.into_iter().for_each(DelayedReply::give);
        self.0.connection
    }
}

/// A reply, the stored message that it answers, and what the connection has to get before.
pub struct DelayedReply {
    pub message: Arc<Message>,
    pub reply: Reply,
    pub after: Awaited,
}

/// What is written to a connection before a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Message(Seq),
    Change(ChangeNumber),
}

impl DelayedReply {
    pub fn give(self) {
        (self.reply)(Ok(self.message));
    }
}

/// What the device of a connection has of the changes of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is told of the changes from now on.
    All,
    UpTo(ChangeNumber),
    /// Nobody knows: it has to read the room again.
    Unknown,
}

/// The result of offering messages to a live subscription.
pub enum Offer {
    Taken,
    Behind,
    Full,
}

impl Subscription {
    pub fn has(&self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::Message(seq) => seq <= self.sent,
            Awaited::Change(number) => number <= self.told,
        }
    }

    /// What it still needs, messages first. Makes it live if that is nothing.
    pub fn standing(&mut self, heads: Heads) -> Standing {
        let (sent, told) = (self.sent, self.told);
        if sent < heads.seq {
            Standing::Behind(sent)
        } else if self.must_read_again {
            Standing::Outdated { sent, upto: heads.change }
        } else if told < heads.change {
            Standing::Untold { sent, told, upto: heads.change }
        } else {
            self.state = State::Live;
            Standing::Live
        }
    }

    /// `now` is in Unix milliseconds.
    pub fn offer_changes(&mut self, batch: &[(ChangeNumber, Envelope)], now: i64) -> Offer {
        let first = batch.partition_point(|(number, _)| *number <= self.told);
        let news = &batch[first..];
        if !news.is_empty() && !self.connection.may_receive_at(now) {
            return Offer::Full;
        }
        for (number, envelope) in news {
            if *number != self.told.next() {
                self.state = State::Behind;
                return Offer::Behind;
            }
            if self.connection.emit(envelope).is_err() {
                return Offer::Full;
            }
            self.told = *number;
        }
        Offer::Taken
    }

    /// `now` is in Unix milliseconds.
    pub fn offer(&mut self, batch: &[(Seq, Envelope)], may_wait: bool, now: i64) -> Offer {
        let first = batch.partition_point(|(seq, _)| *seq <= self.sent);
        let news = &batch[first..];
        if !news.is_empty() && !self.connection.may_receive_at(now) {
            return Offer::Full;
        }
        for (seq, envelope) in news {
            if *seq != self.sent.next() || (may_wait && self.connection.is_pressed()) {
                self.state = State::Behind;
                return Offer::Behind;
            }
            let Ok(emitted) = self.connection.emit(envelope) else { return Offer::Full };
            self.note_sent(*seq, envelope, emitted);
        }
        Offer::Taken
    }

    pub fn note_sent(&mut self, seq: Seq, envelope: &Envelope, emitted: Emitted) {
        let is_own = envelope.is_message_of(self.connection.user());
        // This is done for each message to each connection.
        if is_own || emitted == Emitted::Unrequested {
            self.acked.sent(seq, is_own, emitted == Emitted::Unrequested);
        } else {
            self.acked.sent_of_another(seq);
        }
        self.sent = seq;
    }
}
