//! How far a room's members have got: receipts moved, saved, and what their senders have to hear.

use std::sync::Arc;

use entity::{Seq, UserId};
use foldhash::HashMapExt;

use super::{ById, Entry, Roster, State, Telling, Unsaved};
use crate::chat::{
    connection::ConnectionId,
    nouns::Message,
    watermark::{Floor, Marks},
};

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

    /// Raises a member's marks to those that the database has. Returns whether the user is a member here.
    pub(in crate::chat) fn raise_marks(&self, user: UserId, stored: Marks) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.members.get_mut(&user) else { return false };
        entry.marks = entry.marks.max(stored);
        entry.saved = entry.saved.max(stored);
        true
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
    /// that what a sender was told is never taken back by a crash. Who has said nothing of late is not
    /// among them: they have nothing to hear.
    pub(in crate::chat) fn tellings(&self) -> Vec<Telling> {
        let mut state = self.state.lock();
        let State { members, listeners, tail, .. } = &mut *state;
        // The lobby keeps no receipts, and everyone listens to it: every connect would go through them all.
        if members.is_empty() {
            return Vec::new();
        }
        let mut floor = Floor::default();
        for (user, entry) in &*members {
            floor.add(*user, entry.saved.arrived());
        }
        // Nobody hears of a delivery before the message itself has come by.
        let mut here = ById::with_capacity(listeners.len());
        for listener in listeners.values() {
            // Nor before it is answered.
            let answered = listener.answering.map_or(listener.sent, |seq| Seq(seq.0 - 1));
            let sent = here.entry(listener.connection.user()).or_insert(answered);
            *sent = answered.min(*sent);
        }
        let speakers = tail.senders();
        let mut tellings = Vec::with_capacity(speakers.len());
        for (sender, sent) in here {
            let Some(entry) = members.get_mut(&sender) else { continue };
            let after = entry.marks.told;
            let upto = floor.of(sender).min(sent);
            if upto <= after {
                continue;
            }
            if tail.holds(after) && !speakers.contains(&sender) {
                entry.told_nothing(upto);
            } else {
                tellings.push(Telling { sender, after, upto });
            }
        }
        tellings
    }

    /// The sender of this telling has heard it.
    pub(in crate::chat) fn told(&self, telling: Telling) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&telling.sender) {
            entry.marks.told = entry.marks.told.max(telling.upto);
        }
    }

    /// Nothing of the sender's lay there.
    pub(in crate::chat) fn told_nothing(&self, telling: Telling) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&telling.sender) {
            entry.told_nothing(telling.upto);
        }
    }

    /// The recent messages after `after`, where memory still has all of them.
    pub(in crate::chat) fn recent(&self, after: Seq) -> Option<Vec<Arc<Message>>> {
        self.state.lock().tail.since(after)
    }

    /// Forgets the recent messages of which everyone who listens has heard that they were delivered, or has
    /// nothing to hear. Those delivered since receipts were last saved are not among them yet.
    pub(in crate::chat) fn forget_told(&self) {
        let mut state = self.state.lock();
        let here = state.listeners.values().map(|listener| listener.connection.user());
        let told = here.filter_map(|user| state.members.get(&user)).map(|entry| entry.marks.told).min();
        if let Some(told) = told {
            state.tail.forget_up_to(told);
        }
    }
}

impl Entry {
    /// Lets the `told` mark count as saved: nothing would be told twice, so it need not be written.
    fn told_nothing(&mut self, upto: Seq) {
        self.marks.told = self.marks.told.max(upto);
        self.saved.told = self.marks.told;
    }
}

#[cfg(test)]
mod tests {
    use entity::{RoomId, member::Role, room};

    use super::*;
    use crate::chat::{connection::Connection, nouns::Person};

    #[test]
    fn what_arrives_while_receipts_are_saved_is_still_in_memory_when_it_is_told() {
        let (ada, bob, room) = (UserId::new(), UserId::new(), RoomId::new());
        let member = || Entry::new(Person::nobody(), Role::Member, Marks::default());
        let members = [(ada, member()), (bob, member())].into_iter().collect();
        let roster = Roster::new(room, room::Kind::Group, None, Seq::ZERO, 1, members);
        let phone = Connection::silent(ada);
        assert!(roster.listen(&phone, Seq::ZERO));
        let publish = |seq| {
            let mut state = roster.state.lock();
            state.published = Seq(seq);
            state.tail.push(Arc::new(Message::in_group(room, seq, ada)));
            state.listeners.get_mut(&phone.id).unwrap().sent = Seq(seq);
        };
        let arrive = |seq| [ada, bob].map(|user| roster.deliver_up_to(user, None, Seq(seq)));
        let in_memory = |after: Seq| roster.recent(after).map(|recent| recent.len());

        publish(1);
        arrive(1);
        let saving = roster.unsaved();
        publish(2);
        arrive(2);
        roster.saved(&saving);
        let [telling] = roster.tellings()[..] else { panic!("ada is to hear of the first") };
        assert_eq!((telling.after, telling.upto), (Seq(0), Seq(1)));
        roster.told(telling);
        roster.forget_told();
        assert_eq!(in_memory(Seq(0)), None, "the first is forgotten");

        roster.saved(&roster.unsaved());
        let [telling] = roster.tellings()[..] else { panic!("ada is to hear of the second") };
        assert_eq!((telling.after, in_memory(telling.after)), (Seq(1), Some(1)));
    }
}
