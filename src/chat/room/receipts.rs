//! The receipts of a room's members: how they move, which are saved, and which senders to notify of
//! deliveries.

use std::sync::Arc;

use entity::{Seq, UserId};
use foldhash::HashMapExt;

use super::watermark::{Floor, Marks};
use super::{ById, DeliveryNotice, Room, RoomMember, RoomState, Unsaved};
use crate::chat::{connections::ConnectionId, model::Message};

impl Room {
    /// Notes that one connection has acknowledged these messages. Returns whether a receipt moved.
    pub(in crate::chat) fn acknowledge(&self, id: ConnectionId, seqs: impl Iterator<Item = Seq>) -> bool {
        let mut state = self.state.lock();
        let Some(subscription) = state.subscriptions.get_mut(&id) else { return false };
        let sent = subscription.sent;
        for seq in seqs.filter(|seq| *seq <= sent) {
            subscription.acked.add(seq);
        }
        let (from, upto) = (subscription.acked.from, subscription.acked.upto);
        let user = subscription.connection.user();
        let Some(entry) = state.members.get_mut(&user) else { return false };
        // Messages before this connection's first one have to be acknowledged by another connection.
        if from <= entry.marks.delivered && upto > entry.marks.delivered {
            entry.marks.delivered = upto;
            return true;
        }
        false
    }

    /// Notes that a user has received everything up to `seq`. Returns the receipt after that, and whether it
    /// moved.
    pub(in crate::chat) fn deliver_up_to(
        &self,
        user: UserId,
        connection: Option<ConnectionId>,
        seq: Seq,
    ) -> Option<(Seq, bool)> {
        let mut state = self.state.lock();
        let mut seq = seq.min(state.published);
        if let Some(subscription) = connection.and_then(|id| state.subscriptions.get_mut(&id)) {
            subscription.acked.everything_up_to(seq);
            if subscription.acked.from <= seq {
                // It may have filled a hole, and messages after the hole were acknowledged earlier.
                seq = seq.max(subscription.acked.upto);
            }
        }
        let marks = &mut state.members.get_mut(&user)?.marks;
        let moved = seq > marks.delivered;
        marks.delivered = marks.delivered.max(seq);
        Some((marks.delivered, moved))
    }

    /// Notes that a user has read everything up to `seq`. Returns the receipt after that, and whether it
    /// moved.
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

    /// The seq up to which a connection has acknowledged everything that it was sent.
    pub(in crate::chat) fn acked(&self, id: ConnectionId) -> Option<Seq> {
        self.state.lock().subscriptions.get(&id).map(|subscription| subscription.acked.upto)
    }

    /// The receipts that are not saved yet.
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

    /// Notes that these receipts are saved.
    pub(in crate::chat) fn saved(&self, receipts: &[Unsaved]) {
        let mut state = self.state.lock();
        for receipt in receipts {
            if let Some(entry) = state.members.get_mut(&receipt.user) {
                entry.saved = receipt.marks;
            }
        }
    }

    /// The connected senders to notify of deliveries. Only saved receipts count, so that a crash never takes
    /// a notification back. Senders without recent messages are left out, because there is nothing to notify
    /// them of.
    pub(in crate::chat) fn delivery_notices(&self) -> Vec<DeliveryNotice> {
        let mut state = self.state.lock();
        let RoomState { members, subscriptions, recent, .. } = &mut *state;
        // The lobby keeps no receipts and everyone is subscribed to it: each new connection would go through
        // all of them.
        if members.is_empty() {
            return Vec::new();
        }
        let mut floor = Floor::default();
        for (user, entry) in &*members {
            floor.add(*user, entry.saved.arrived());
        }
        // A connection gets the message itself before it is notified of the delivery.
        let mut here = ById::with_capacity(subscriptions.len());
        for subscription in subscriptions.values() {
            // It also gets the answer first.
            let answered = subscription.answering.map_or(subscription.sent, |seq| Seq(seq.0 - 1));
            let sent = here.entry(subscription.connection.user()).or_insert(answered);
            *sent = answered.min(*sent);
        }
        let speakers = recent.senders();
        let mut delivery_notices = Vec::with_capacity(speakers.len());
        for (sender, sent) in here {
            let Some(entry) = members.get_mut(&sender) else { continue };
            let after = entry.marks.told;
            let upto = floor.of(sender).min(sent);
            if upto <= after {
                continue;
            }
            if recent.holds(after) && !speakers.contains(&sender) {
                entry.told_nothing(upto);
            } else {
                delivery_notices.push(DeliveryNotice { sender, after, upto });
            }
        }
        delivery_notices
    }

    /// Notes that the sender was notified.
    pub(in crate::chat) fn told(&self, notice: DeliveryNotice) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&notice.sender) {
            entry.marks.told = entry.marks.told.max(notice.upto);
        }
    }

    /// Notes that none of the messages in this range are the sender's.
    pub(in crate::chat) fn told_nothing(&self, notice: DeliveryNotice) {
        let mut state = self.state.lock();
        if let Some(entry) = state.members.get_mut(&notice.sender) {
            entry.told_nothing(notice.upto);
        }
    }

    /// The recent messages after `after`, if memory still has all of them.
    pub(in crate::chat) fn recent(&self, after: Seq) -> Option<Vec<Arc<Message>>> {
        self.state.lock().recent.since(after)
    }

    /// Forgets the recent messages up to the least `told` mark of the connected members: none of their
    /// senders has to be notified of them any more. Messages that were delivered after the last save of
    /// receipts stay.
    pub(in crate::chat) fn forget_told(&self) {
        let mut state = self.state.lock();
        let here = state.subscriptions.values().map(|subscription| subscription.connection.user());
        let told = here.filter_map(|user| state.members.get(&user)).map(|entry| entry.marks.told).min();
        if let Some(told) = told {
            state.recent.forget_up_to(told);
        }
    }
}

impl RoomMember {
    /// Counts the `told` mark as saved: no sender would be notified twice, so it need not be written.
    fn told_nothing(&mut self, upto: Seq) {
        self.marks.told = self.marks.told.max(upto);
        self.saved.told = self.marks.told;
    }
}

#[cfg(test)]
mod tests {
    use entity::{RoomId, member::Role, room};

    use super::*;
    use crate::{chat::connections::connection::Connection, identity::Person};

    #[test]
    fn what_arrives_while_receipts_are_saved_is_still_in_memory_when_it_is_told() {
        let (ada, bob, room) = (UserId::new(), UserId::new(), RoomId::new());
        let member = || RoomMember::new(Person::nobody(), Role::Member, Marks::default());
        let members = [(ada, member()), (bob, member())].into_iter().collect();
        let live = Room::new(room, room::Kind::Group, None, Seq::ZERO, 1, members);
        let phone = Connection::silent(ada);
        assert!(live.subscribe(&phone, Seq::ZERO));
        let publish = |seq| {
            let mut state = live.state.lock();
            state.published = Seq(seq);
            state.recent.push(Arc::new(Message::in_group(room, seq, ada)));
            state.subscriptions.get_mut(&phone.id).unwrap().sent = Seq(seq);
        };
        let arrive = |seq| [ada, bob].map(|user| live.deliver_up_to(user, None, Seq(seq)));
        let in_memory = |after: Seq| live.recent(after).map(|recent| recent.len());

        publish(1);
        arrive(1);
        let saving = live.unsaved();
        publish(2);
        arrive(2);
        live.saved(&saving);
        let [notice] = live.delivery_notices()[..] else { panic!("ada is to hear of the first") };
        assert_eq!((notice.after, notice.upto), (Seq(0), Seq(1)));
        live.told(notice);
        live.forget_told();
        assert_eq!(in_memory(Seq(0)), None, "the first is forgotten");

        live.saved(&live.unsaved());
        let [notice] = live.delivery_notices()[..] else { panic!("ada is to hear of the second") };
        assert_eq!((notice.after, in_memory(notice.after)), (Seq(1), Some(1)));
    }
}
