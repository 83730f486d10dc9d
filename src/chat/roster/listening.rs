//! Who listens to a room, and what it is offered: messages as they are published, pages of missed ones,
//! and the answers to its own.

use std::sync::Arc;

use entity::{Seq, UserId, room};

use super::{Fresh, Held, Listener, Published, Reply, Roster, Standing, State, Tail};
use crate::chat::{
    connection::{Connection, ConnectionId},
    event::{Envelope, Event},
    hub::Hub,
    nouns::Message,
    watermark::Acked,
};

impl Roster {
    /// Begins to listen after `sent`, not live yet. Refused to who is not a member, and to a
    /// connection that is over; a second time changes nothing.
    pub(in crate::chat) fn listen(&self, connection: &Arc<Connection>, sent: Seq) -> bool {
        let mut state = self.state.lock();
        let belongs = self.kind == room::Kind::Lobby || state.members.contains_key(&connection.user());
        if !belongs || connection.is_over() || state.listeners.contains_key(&connection.id) {
            return false;
        }
        let sent = sent.min(state.published);
        state.listeners.insert(
            connection.id,
            Listener {
                connection: connection.clone(),
                sent,
                live: false,
                acked: Acked::after(sent),
                held: Vec::new(),
                answering: None,
            },
        );
        true
    }

    /// Has a connection that is not open yet, and so was sent nothing, begin after `sent`.
    pub(in crate::chat) fn begin_after(&self, connection: ConnectionId, sent: Seq) {
        let mut state = self.state.lock();
        let sent = sent.min(state.published);
        if let Some(listener) = state.listeners.get_mut(&connection) {
            listener.sent = sent;
            listener.acked = Acked::after(sent);
        }
    }

    pub(in crate::chat) fn unlisten(&self, connection: ConnectionId) {
        // Dropped with the lock let go: what hangs on a listener may ask for this room again.
        let gone = self.state.lock().listeners.remove(&connection);
        drop(gone);
    }

    pub(in crate::chat) fn listener_count(&self) -> usize {
        self.state.lock().listeners.len()
    }

    /// The live connections of the members, each with the seq up to which its user has acknowledged everything.
    pub(in crate::chat) fn members_among(&self, hub: &Hub) -> Vec<(Arc<Connection>, Seq)> {
        let state = self.state.lock();
        let found = hub.connections_among(&state.members).into_iter();
        found.map(|(connection, entry)| (connection, entry.marks.delivered)).collect()
    }

    /// The connections that listen, but for those of one user.
    pub(in crate::chat) fn listeners(&self, except: Option<UserId>) -> Vec<Arc<Connection>> {
        let state = self.state.lock();
        state
            .listeners
            .values()
            .map(|listener| &listener.connection)
            .filter(|connection| except != Some(connection.user()))
            .cloned()
            .collect()
    }

    /// Writes an event that stands by itself to everyone who listens, but for one user.
    pub(in crate::chat) fn tell(&self, event: Event, except: Option<UserId>) {
        let envelope = Envelope::new(event);
        for connection in self.listeners(except) {
            connection.tell(&envelope);
        }
    }

    /// Offers what a commit has stored here, in the order of seq, to everyone who listens, and then answers
    /// the senders.
    ///
    /// Listener by listener and not message by message: what is written to a socket at one go leaves it
    /// in one piece.
    pub(in crate::chat) fn publish(&self, fresh: Vec<Fresh>) -> Published {
        let mut published = Published::default();
        let (answers, gone) = {
            let mut state = self.state.lock();
            let mut batch = Vec::with_capacity(fresh.len());
            let mut replies = Vec::with_capacity(fresh.len());
            for Fresh { message, origin, reply } in fresh {
                state.has_now(&message);
                replies.push((origin.as_ref().map(|origin| origin.connection), message.clone(), reply));
                batch.push((message.row.seq, Envelope::from(Event::Message(message), origin)));
            }
            // Nobody acknowledges the lobby's messages, so nothing would be won by waiting.
            let may_wait = self.kind != room::Kind::Lobby;
            let mut lagging = Vec::new();
            for listener in state.listeners.values_mut().filter(|listener| listener.live) {
                match listener.offer(&batch, may_wait) {
                    Offer::Taken => published.reached += 1,
                    Offer::Missed => published.behind.push(listener.connection.clone()),
                    Offer::Lagging => lagging.push(listener.connection.id),
                }
            }
            let gone: Vec<Listener> = lagging.iter().filter_map(|id| state.listeners.remove(id)).collect();
            let answers: Vec<Held> = replies
                .into_iter()
                .filter_map(|(origin, message, reply)| state.hold(origin, message, reply))
                .collect();
            (answers, gone)
        };
        answers.into_iter().for_each(Held::give);
        for connection in let_go(gone) {
            connection.cut("its queue is full");
        }
        published
    }

    /// Answers the repeat of a stored message, not before its sender has seen the first come by.
    pub(in crate::chat) fn answer_repeat(
        &self,
        message: Arc<Message>,
        origin: Option<ConnectionId>,
        reply: Reply,
    ) {
        let answer = self.state.lock().hold(origin, message, reply);
        if let Some(answer) = answer {
            answer.give();
        }
    }

    /// Takes note of a seq that was stored but perhaps never published (the answer of a commit was
    /// lost). Returns who has to be brought up to date.
    pub(in crate::chat) fn stored_up_to(&self, seq: Seq) -> Vec<Arc<Connection>> {
        let mut state = self.state.lock();
        if seq <= state.published {
            return Vec::new();
        }
        state.published = seq;
        state.tail = Tail::after(seq);
        let late = state.listeners.values_mut().filter(|listener| listener.live);
        late.map(|listener| {
            listener.live = false;
            listener.connection.clone()
        })
        .collect()
    }

    /// Sends a page of what a listener has missed, and lets it go live where that was all.
    pub(in crate::chat) fn catch_up(&self, id: ConnectionId, page: &[Arc<Envelope>]) -> Standing {
        let (standing, released, lagging) = {
            let mut state = self.state.lock();
            let published = state.published;
            let Some(listener) = state.listeners.get_mut(&id) else { return Standing::Gone };
            let mut lags = !page.is_empty() && !listener.connection.hears();
            for envelope in page {
                let seq = listener.sent.next();
                if !lags && envelope.message().is_some_and(|message| message.row.seq == seq) {
                    lags = listener.connection.emit(envelope).is_err();
                    if !lags {
                        listener.sent = seq;
                    }
                }
            }
            let sent = listener.sent;
            let (released, waiting): (Vec<Held>, _) =
                std::mem::take(&mut listener.held).into_iter().partition(|held| held.message.row.seq <= sent);
            listener.held = waiting;
            listener.answering = released.first().map(|held| held.message.row.seq);
            listener.live = !lags && sent >= published;
            let standing = match (lags, listener.live) {
                (true, _) => Standing::Gone,
                (_, true) => Standing::Live,
                (_, false) => Standing::Behind(sent),
            };
            (standing, released, if lags { state.listeners.remove(&id) } else { None })
        };
        if !released.is_empty() {
            for held in released {
                held.give();
            }
            if let Some(listener) = self.state.lock().listeners.get_mut(&id) {
                listener.answering = None;
            }
        }
        for connection in let_go(lagging) {
            connection.cut("its queue is full");
        }
        standing
    }
}

/// What became of a batch that was offered to a live listener.
enum Offer {
    Taken,
    /// It is not live any more, and has to be brought up to date.
    Missed,
    Lagging,
}

impl Listener {
    fn offer(&mut self, batch: &[(Seq, Envelope)], may_wait: bool) -> Offer {
        let first = batch.partition_point(|(seq, _)| *seq <= self.sent);
        let news = &batch[first..];
        if !news.is_empty() && !self.connection.hears() {
            return Offer::Lagging;
        }
        for (seq, envelope) in news {
            if *seq != self.sent.next() || (may_wait && self.connection.is_pressed()) {
                self.live = false;
                return Offer::Missed;
            }
            if self.connection.emit(envelope).is_err() {
                return Offer::Lagging;
            }
            self.sent = *seq;
        }
        Offer::Taken
    }
}

impl State {
    /// A message has been stored.
    fn has_now(&mut self, message: &Arc<Message>) {
        let seq = message.row.seq;
        if seq > self.published.next() {
            // One before it was stored and its commit's answer lost: the tail has a hole there.
            self.tail = Tail::after(Seq(seq.0 - 1));
        }
        self.published = self.published.max(seq);
        if self.members.is_empty() {
            // The lobby keeps no receipts, so nobody is ever told about its messages.
            self.tail = Tail::after(seq);
        } else {
            self.tail.push(message.clone());
        }
    }

    /// Keeps the answer while its sender's connection has not been sent the message itself; gives
    /// it back where nothing stands in its way.
    fn hold(&mut self, origin: Option<ConnectionId>, message: Arc<Message>, reply: Reply) -> Option<Held> {
        let answer = Held { message, reply };
        let listener = origin.and_then(|id| self.listeners.get_mut(&id));
        match listener {
            Some(listener) if !listener.live && listener.sent < answer.message.row.seq => {
                listener.held.push(answer);
                None
            }
            _ => Some(answer),
        }
    }
}

/// Gives the answers that listeners who have gone were still waiting for: their messages are stored.
/// Call it without the lock; answers may ask for this room again.
pub(super) fn let_go(listeners: impl IntoIterator<Item = Listener>) -> Vec<Arc<Connection>> {
    let gone = listeners.into_iter().map(|listener| {
        listener.held.into_iter().for_each(Held::give);
        listener.connection
    });
    gone.collect()
}
