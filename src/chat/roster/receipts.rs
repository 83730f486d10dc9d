//! How far a room's members have got: receipts moved, saved, and what their senders have to hear.

use std::{collections::HashMap, sync::Arc};

use entity::{Seq, UserId};

use super::{Roster, Telling, Unsaved};
use crate::chat::{connection::ConnectionId, nouns::Message, watermark::Floor};

impl Roster {
    /// One connection has acknowledged these messages. Returns whether a receipt moved.
    pub(in crate::chat) fn acknowledge(&self, id: ConnectionId, seqs: impl Iterator<Item = Seq>) -> bool {
        let mut state = self.state.lock();
        let Some(listener) = state.listeners.get_mut(&id) else { return false };
        let sent = listener.sent;
        for seq in seqs.filter(|seq| *seq <= sent) {
            listener.acked.add(seq);
        }
        let (from, upto) = (listener.acked.from, listener.acked.upto);
        let user = listener.connection.user();
        let Some(entry) = state.members.get_mut(&user) else { return false };
        // What lies before this connection's first message is another's to acknowledge.
        if from <= entry.marks.delivered && upto > entry.marks.delivered {
            entry.marks.delivered = upto;
            return true;
        }
        false
    }

    /// A user says that everything up to `seq` has arrived. Returns how the receipt stands then,
    /// and whether it moved.
    pub(in crate::chat) fn deliver_up_to(
        &self,
        user: UserId,
        connection: Option<ConnectionId>,
        seq: Seq,
    ) -> Option<(Seq, bool)> {
        let mut state = self.state.lock();
        let mut seq = seq.min(state.published);
        if let Some(listener) = connection.and_then(|id| state.listeners.get_mut(&id)) {
            listener.acked.everything_up_to(seq);
            if listener.acked.from <= seq {
                // It may have filled a hole behind which more was acknowledged.
                seq = seq.max(listener.acked.upto);
            }
        }
        let marks = &mut state.members.get_mut(&user)?.marks;
        let moved = seq > marks.delivered;
        marks.delivered = marks.delivered.max(seq);
        Some((marks.delivered, moved))
    }

    /// A user has read up to `seq`. Returns how the receipt stands then, and whether it moved.
    pub(in crate::chat) fn read_up_to(&self, user: UserId, seq: Seq) -> Option<(Seq, bool)> {
        let mut state = self.state.lock();
        let seq = seq.min(state.published);
        let marks = &mut state.members.get_mut(&user)?.marks;
        let moved = seq > marks.read;
        marks.read = marks.read.max(seq);
        Some((marks.read, moved))
    }

    /// Up to where a connection has acknowledged everything it was sent.
    pub(in crate::chat) fn acked(&self, id: ConnectionId) -> Option<Seq> {
        self.state.lock().listeners.get(&id).map(|listener| listener.acked.upto)
    }

    /// The receipts that the database lacks.
    pub(in crate::chat) fn unsaved(&self) -> Vec<Unsaved> {
        let state = self.state.lock();
        state
            .members
            .iter()
            .filter(|(_, entry)| entry.marks != entry.saved)
            .map(|(user, entry)| Unsaved {
                user: *user,
                username: entry.person.username.clone(),
                marks: entry.marks,
                read_moved: entry.marks.read != entry.saved.read,
            })
            .collect()
    }

    /// These receipts are in the database now.
    pub(in crate::chat) fn saved(&self, receipts: &[Unsaved]) {
        let mut state = self.state.lock();
        for receipt in receipts {
            if let Some(entry) = state.members.get_mut(&receipt.user) {
                entry.saved = receipt.marks;
            }
        }
    }

    /// Which of the senders who listen have to hear of deliveries; only saved receipts count, so
    /// that what a sender was told is never taken back by a crash.
    pub(in crate::chat) fn tellings(&self) -> Vec<Telling> {
        let state = self.state.lock();
        // The lobby keeps no receipts, and everyone listens to it: every connect would go through them all.
        if state.members.is_empty() {
            return Vec::new();
        }
        let mut floor = Floor::default();
        for (user, entry) in &state.members {
            floor.add(*user, entry.saved.arrived());
        }
        // Nobody hears of a delivery before the message itself has come by.
        let mut here: HashMap<UserId, Seq> = HashMap::new();
        for listener in state.listeners.values() {
            // Nor before it is answered.
            let answered = listener.answering.map_or(listener.sent, |seq| Seq(seq.0 - 1));
            let sent = here.entry(listener.connection.user()).or_insert(answered);
            *sent = answered.min(*sent);
        }
        here.into_iter()
            .filter_map(|(sender, sent)| {
                let after = state.members.get(&sender)?.marks.told;
                let upto = floor.of(sender).min(sent);
                (upto > after).then_some(Telling { sender, after, upto })
            })
            .collect()
    }

    /// The sender of this telling has heard it.
    pub(in crate::chat) fn told(&self, telling: Telling) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&telling.sender) {
            entry.marks.told = entry.marks.told.max(telling.upto);
        }
    }

    /// Lets the `told` mark count as saved where nothing of the sender's lay in between: nothing
    /// would be told twice, so it need not be written.
    pub(in crate::chat) fn told_nothing(&self, telling: Telling) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&telling.sender) {
            entry.marks.told = entry.marks.told.max(telling.upto);
            entry.saved.told = entry.marks.told;
        }
    }

    /// The recent messages after `after`, where memory still has all of them.
    pub(in crate::chat) fn recent(&self, after: Seq) -> Option<Vec<Arc<Message>>> {
        self.state.lock().tail.since(after)
    }

    /// Forgets the recent messages that everyone has got.
    pub(in crate::chat) fn forget_delivered(&self) {
        let mut state = self.state.lock();
        let least = state.floors().delivered.least.map_or(Seq::ZERO, |(seq, _)| seq);
        state.tail.forget_up_to(least);
    }
}
