//! Delivery: how acknowledgements of connections move the receipts of members, and which senders to notify of
//! deliveries.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{Seq, UserId};

use super::{
    Room, RoomState,
    receipts::{Moved, Unsaved},
    views::HasRead,
    watermark::{Floors, Marks},
};
use crate::chat::{connections::ConnectionId, model::Message};

/// A sender to notify that messages in `(after, upto]` were delivered to everyone.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryNotice {
    pub sender: UserId,
    pub after: Seq,
    pub upto: Seq,
}

/// A member who has read more.
#[derive(Clone, Debug)]
pub struct Reader {
    pub user: UserId,
    pub username: Arc<str>,
    /// The `read` mark.
    pub seq: Seq,
    /// The connection that has moved it, if that is known.
    pub by: Option<ConnectionId>,
    /// Reading has taken a mark of the user's away, and nobody was told yet.
    pub has_cleared: bool,
}

impl Room {
    /// Notes that one connection has acknowledged these messages. Returns whether a receipt moved.
    pub(in crate::chat) fn acknowledge(&self, id: ConnectionId, seqs: impl Iterator<Item = Seq>) -> bool {
        let RoomState { receipts, subscriptions, .. } = &mut *self.state.lock();
        let acknowledged = subscriptions.acknowledge(id, seqs);
        acknowledged.is_some_and(|acked| receipts.acknowledge(acked.user, acked.after, acked.upto))
    }

    /// Notes that a user has received everything up to `seq`. `None` for a user who is not a member.
    pub(in crate::chat) fn deliver_up_to(
        &self,
        user: UserId,
        connection: Option<ConnectionId>,
        seq: Seq,
    ) -> Option<Moved> {
        let RoomState { receipts, subscriptions, .. } = &mut *self.state.lock();
        let seq = seq.min(subscriptions.heads().seq);
        let upto = connection.map_or(seq, |id| subscriptions.acknowledge_up_to(id, seq));
        receipts.deliver(user, upto)
    }

    /// Notes that a user has read everything up to `seq`, according to one of their connections. `None` for a
    /// user who is not a member.
    pub(in crate::chat) fn read_up_to(
        &self,
        user: UserId,
        by: Option<ConnectionId>,
        seq: Seq,
        now: DateTime<Utc>,
    ) -> Option<HasRead> {
        let state = &mut *self.state.lock();
        let (seq, now) = (seq.min(state.subscriptions.heads().seq), now.timestamp_millis());
        let moved = state.receipts.read(user, by, seq, now)?;
        Some(state.has_read(user, moved, now))
    }

    /// The highest seq that a connection's client has acknowledged on it; zero if it has acknowledged none.
    pub(in crate::chat) fn highest_acked(&self, id: ConnectionId) -> Seq {
        self.state.lock().subscriptions.acked(id).map_or(Seq::ZERO, |acked| acked.highest)
    }

    /// The other members whose `read` mark has moved at or after `since`, in Unix milliseconds. Only saved
    /// marks: a crash must not take back what was told. None in a room of more than `most` members, and none
    /// in the lobby.
    pub(in crate::chat) fn readers_since(&self, user: UserId, since: i64, most: usize) -> Vec<Reader> {
        let RoomState { members, receipts, .. } = &*self.state.lock();
        if members.len() > most {
            return Vec::new();
        }
        let named = receipts.readers_since(user, since).filter_map(|(user, seq)| {
            let username = members.get(user)?.person.username.clone();
            Some(Reader { user, username, seq, by: None, has_cleared: false })
        });
        named.collect()
    }

    /// Raises a member's marks to those that the database has. Returns whether the user is a member here.
    pub(in crate::chat) fn raise_marks(&self, user: UserId, stored: Marks) -> bool {
        self.state.lock().receipts.raise(user, stored)
    }

    /// Takes over the marks that another node has saved. Returns the members who have read more than was told.
    pub(in crate::chat) fn follow_marks(&self, stored: Vec<(UserId, Marks)>) -> Vec<Reader> {
        let RoomState { members, receipts, unread_marks, .. } = &mut *self.state.lock();
        let readers = stored.into_iter().filter_map(|(user, marks)| {
            // This node may have read the same just now.
            let by = receipts.read_by(user, marks.read);
            receipts.follow(user, marks);
            if !receipts.is_news(user, marks.read) {
                return None;
            }
            let username = members.get(user)?.person.username.clone();
            let has_cleared = unread_marks.take_untold(user);
            Some(Reader { user, username, seq: marks.read, by, has_cleared })
        });
        readers.collect()
    }

    /// A member's marks, or `None` for a user who is not a member.
    pub fn marks(&self, user: UserId) -> Option<Marks> {
        self.state.lock().receipts.marks(user)
    }

    pub fn floors(&self) -> Floors {
        self.state.lock().receipts.floors()
    }

    /// Whether acknowledgements of messages up to `seq`, which a connection was sent, may still come.
    pub(in crate::chat) fn awaits_acks(&self, id: ConnectionId, seq: Seq) -> bool {
        self.state.lock().subscriptions.acked(id).is_some_and(|acked| acked.awaits(seq))
    }

    /// The receipts that are not saved yet.
    pub(in crate::chat) fn unsaved(&self) -> Vec<Unsaved> {
        self.state.lock().receipts.unsaved()
    }

    /// Notes that these receipts are saved. Returns the members who have read more than was told, with their names.
    pub(in crate::chat) fn saved(&self, saved: &[Unsaved]) -> Vec<Reader> {
        let RoomState { members, receipts, unread_marks, .. } = &mut *self.state.lock();
        receipts.save(saved);
        let readers = saved.iter().filter(|receipt| receipts.is_news(receipt.user, receipt.marks.read));
        let named = readers.filter_map(|receipt| {
            let member = members.get(receipt.user)?;
            let username = member.person.username.clone();
            let has_cleared = unread_marks.take_untold(receipt.user);
            let Unsaved { user, marks, read_by: by, .. } = *receipt;
            Some(Reader { user, username, seq: marks.read, by, has_cleared })
        });
        named.collect()
    }

    /// The connected senders to notify of deliveries. Only saved receipts count, so that a crash never takes
    /// a notification back. Senders without recent messages are left out, because there is nothing to notify
    /// them of.
    pub(in crate::chat) fn delivery_notices(&self) -> Vec<DeliveryNotice> {
        let RoomState { receipts, subscriptions, recent, .. } = &mut *self.state.lock();
        // The lobby keeps no receipts and everyone is subscribed to it: each new connection would go through
        // all of them.
        if receipts.is_empty() {
            return Vec::new();
        }
        let floor = receipts.saved_floor();
        // Most often nothing has moved; a crowd is not looked through for that.
        if !receipts.lets_notify(floor) {
            return Vec::new();
        }
        let senders = recent.senders();
        // A connection gets the message itself, and the answer to it, before it is notified of the delivery.
        let here = subscriptions.answered_up_to();
        let mut notices = Vec::with_capacity(senders.len());
        for (sender, answered) in here {
            let Some(Marks { notified: after, .. }) = receipts.marks(sender) else { continue };
            let upto = floor.of(sender).min(answered);
            if upto <= after {
                continue;
            }
            if recent.holds(after) && !senders.contains(&sender) {
                receipts.nothing_to_notify(sender, upto);
            } else {
                notices.push(DeliveryNotice { sender, after, upto });
            }
        }
        notices
    }

    /// Notes that the sender was notified.
    pub(in crate::chat) fn notified(&self, notice: DeliveryNotice) {
        self.state.lock().receipts.notified(notice.sender, notice.upto);
    }

    /// Notes that none of the messages in this range are the sender's.
    pub(in crate::chat) fn nothing_to_notify(&self, notice: DeliveryNotice) {
        self.state.lock().receipts.nothing_to_notify(notice.sender, notice.upto);
    }

    /// The recent messages after `after`, if memory still has all of them.
    pub(in crate::chat) fn recent(&self, after: Seq) -> Option<Vec<Arc<Message>>> {
        self.state.lock().recent.since(after)
    }

    /// Forgets the recent messages that no connected sender has to be notified of any more. Messages that were
    /// delivered after the last save of receipts stay.
    pub(in crate::chat) fn forget_notified(&self) {
        let RoomState { receipts, subscriptions, recent, .. } = &mut *self.state.lock();
        let mut least: Option<Seq> = None;
        for connection in subscriptions.connections() {
            let Some(Marks { notified, .. }) = receipts.marks(connection.user()) else { continue };
            if !recent.begins_before(notified) {
                return;
            }
            least = Some(least.map_or(notified, |least| least.min(notified)));
        }
        if let Some(notified) = least {
            recent.forget_up_to(notified);
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::{RoomId, member::Role, room};

    use super::*;
    use crate::{
        chat::{
            connections::connection::Connection,
            room::{Fresh, Heads, StoredMember, subscriptions::Beginning},
        },
        identity::Person,
    };

    #[test]
    fn what_arrives_while_receipts_are_saved_is_still_in_memory_when_its_sender_is_notified() {
        let (ada, bob, room) = (UserId::new(), UserId::new(), RoomId::new());
        let stored = || StoredMember {
            person: Person::nobody(),
            role: Role::Member,
            marks: Marks::default(),
            is_marked_unread: false,
            joined: Seq::ZERO,
        };
        let members = [(ada, stored()), (bob, stored())].into_iter().collect();
        let live = Room::new(room, room::Kind::Group, None, Heads::default(), 1, members);
        let phone = Connection::silent(ada);
        phone.open();
        assert!(live.subscribe(&phone, Seq::ZERO));
        assert_eq!(live.begin_catch_up(phone.id), Some(Beginning::Live));
        let publish = |seq| {
            let message = Arc::new(Message::in_group(room, seq, ada));
            live.publish(vec![Fresh { message, origin: None, reply: Box::new(|_| ()) }]);
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
        live.notified(notice);
        live.forget_notified();
        assert_eq!(in_memory(Seq(0)), None, "the first is forgotten");

        live.saved(&live.unsaved());
        let [notice] = live.delivery_notices()[..] else { panic!("ada is to hear of the second") };
        assert_eq!((notice.after, in_memory(notice.after)), (Seq(1), Some(1)));
    }
}
