//! The receipts of a room's members: in memory, and as they are saved. No lock, no connection.

use entity::{Seq, UserId};

use super::{
    ById,
    watermark::{Floor, Floors, Marks},
};
use crate::chat::connections::ConnectionId;

/// See the module. The lobby keeps no receipts. Receipts never move back.
pub struct Receipts {
    of_members: ById<UserId, MemberReceipts>,
}

struct MemberReceipts {
    /// Moved by all connections of the member.
    marks: Marks,
    /// As the database has them; they follow with the next batch. Only these decide when a sender is notified
    /// of a delivery.
    saved: Marks,
    /// Up to where the others were told that the member has read: here by saves, and by what other nodes have saved.
    told_read: Seq,
    /// The connection that has moved the `read` mark last.
    read_by: Option<ConnectionId>,
}

impl MemberReceipts {
    /// With these marks, as saved.
    fn of(saved: Marks) -> Self {
        Self { marks: saved, saved, told_read: saved.read, read_by: None }
    }
}

/// A member's receipts that are not saved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaved {
    pub user: UserId,
    pub marks: Marks,
    /// More was delivered or read.
    pub has_moved: bool,
    /// The connection that has moved `read` last.
    pub read_by: Option<ConnectionId>,
}

/// A receipt after an attempt to move it, and whether it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub upto: Seq,
    pub has_moved: bool,
}

impl Moved {
    fn raise(mark: &mut Seq, upto: Seq) -> Self {
        let has_moved = upto > *mark;
        *mark = upto.max(*mark);
        Self { upto: *mark, has_moved }
    }
}

impl Receipts {
    /// The receipts of all members, as saved.
    pub fn new(of_members: impl IntoIterator<Item = (UserId, Marks)>) -> Self {
        let saved = |(user, marks)| (user, MemberReceipts::of(marks));
        Self { of_members: of_members.into_iter().map(saved).collect() }
    }

    /// Adds a new member's receipts, as saved.
    pub fn add(&mut self, user: UserId, marks: Marks) {
        self.of_members.entry(user).or_insert_with(|| MemberReceipts::of(marks));
    }

    pub fn remove(&mut self, user: UserId) {
        self.of_members.remove(&user);
    }

    pub fn clear(&mut self) {
        self.of_members.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.of_members.is_empty()
    }

    pub fn marks(&self, user: UserId) -> Option<Marks> {
        self.of_members.get(&user).map(|receipts| receipts.marks)
    }

    /// A connection has acknowledged everything in `(after, upto]`. Messages before that have to be
    /// acknowledged by another connection. Returns whether the receipt moved.
    pub fn acknowledge(&mut self, user: UserId, after: Seq, upto: Seq) -> bool {
        let Some(receipts) = self.of_members.get_mut(&user) else { return false };
        after <= receipts.marks.delivered && Moved::raise(&mut receipts.marks.delivered, upto).has_moved
    }

    /// A member has received everything up to a seq; `None` for a user who is not a member.
    pub fn deliver(&mut self, user: UserId, upto: Seq) -> Option<Moved> {
        Some(Moved::raise(&mut self.of_members.get_mut(&user)?.marks.delivered, upto))
    }

    /// A member has read everything up to a seq, according to one of their connections; `None` for a user who
    /// is not a member. `now` is in Unix milliseconds.
    pub fn read(&mut self, user: UserId, by: Option<ConnectionId>, upto: Seq, now: i64) -> Option<Moved> {
        let MemberReceipts { marks, read_by, .. } = self.of_members.get_mut(&user)?;
        let moved = Moved::raise(&mut marks.read, upto);
        if moved.has_moved {
            marks.read_at = marks.read_at.max(now);
            *read_by = by;
        }
        Some(moved)
    }

    /// The other members whose saved `read` mark has moved at or after `since`, in Unix milliseconds, with
    /// their marks.
    pub fn readers_since(&self, user: UserId, since: i64) -> impl Iterator<Item = (UserId, Seq)> {
        let others = self.of_members.iter().filter(move |(other, MemberReceipts { saved, .. })| {
            **other != user && saved.read > Seq::ZERO && saved.read_at >= since
        });
        others.map(|(other, receipts)| (*other, receipts.saved.read))
    }

    /// A sender was notified of the deliveries up to a seq.
    pub fn notified(&mut self, sender: UserId, upto: Seq) {
        if let Some(receipts) = self.of_members.get_mut(&sender) {
            receipts.marks.notified = receipts.marks.notified.max(upto);
        }
    }

    /// There was nothing up to a seq to notify a sender of. This counts as saved: no sender would be notified
    /// twice, so it need not be written.
    pub fn nothing_to_notify(&mut self, sender: UserId, upto: Seq) {
        if let Some(receipts) = self.of_members.get_mut(&sender) {
            receipts.marks.notified = receipts.marks.notified.max(upto);
            receipts.saved.notified = receipts.marks.notified;
        }
    }

    /// Raises a member's marks to those that the database has. Returns whether the user is a member here.
    pub fn raise(&mut self, user: UserId, stored: Marks) -> bool {
        let Some(receipts) = self.of_members.get_mut(&user) else { return false };
        receipts.marks = receipts.marks.max(stored);
        receipts.saved = receipts.saved.max(stored);
        true
    }

    /// Raises a member's marks to those that another node has saved, except up to where the member was notified.
    pub fn follow(&mut self, user: UserId, stored: Marks) {
        let Some(MemberReceipts { marks, saved, .. }) = self.of_members.get_mut(&user) else { return };
        *marks = marks.max(Marks { notified: marks.notified, ..stored });
        *saved = saved.max(Marks { notified: saved.notified, ..stored });
    }

    /// The connection here that has read up to just this seq, if one has.
    pub fn read_by(&self, user: UserId, read: Seq) -> Option<ConnectionId> {
        self.of_members.get(&user).filter(|receipts| receipts.marks.read == read)?.read_by
    }

    /// Whether it is news for the others that a member has read up to a seq, which is saved. They are told then.
    pub fn is_news(&mut self, user: UserId, read: Seq) -> bool {
        let Some(MemberReceipts { told_read, .. }) = self.of_members.get_mut(&user) else { return false };
        let is_news = read > *told_read;
        *told_read = read.max(*told_read);
        is_news
    }

    pub fn unsaved(&self) -> Vec<Unsaved> {
        let unsaved = self.of_members.iter().filter(|(_, receipts)| receipts.marks != receipts.saved);
        unsaved
            .map(|(user, MemberReceipts { marks, saved, read_by, .. })| Unsaved {
                user: *user,
                marks: *marks,
                has_moved: (marks.delivered, marks.read) != (saved.delivered, saved.read),
                read_by: *read_by,
            })
            .collect()
    }

    /// Notes what was saved. What has moved since stays unsaved. Another node may have saved more meanwhile.
    pub fn save(&mut self, saved: &[Unsaved]) {
        for receipt in saved {
            if let Some(receipts) = self.of_members.get_mut(&receipt.user) {
                receipts.saved = receipts.saved.max(receipt.marks);
            }
        }
    }

    /// The lowest marks, in memory.
    pub fn floors(&self) -> Floors {
        let mut floors = Floors::default();
        for (user, MemberReceipts { marks, .. }) in &self.of_members {
            floors.delivered.add(*user, marks.arrived());
            floors.read.add(*user, marks.read);
        }
        floors
    }

    /// Whether somebody may be notified of deliveries, if everyone has received what this floor says.
    pub fn lets_notify(&self, floor: Floor) -> bool {
        self.of_members.iter().any(|(user, receipts)| floor.of(*user) > receipts.marks.notified)
    }

    /// The lowest seq that members are saved to have received.
    pub fn saved_floor(&self) -> Floor {
        let mut floor = Floor::default();
        for (user, MemberReceipts { saved, .. }) in &self.of_members {
            floor.add(*user, saved.arrived());
        }
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: UserId) -> Receipts {
        Receipts::new([(user, Marks::at(Seq(3)))])
    }

    #[test]
    fn a_receipt_never_moves_back() {
        let ada = UserId::new();
        let mut receipts = of(ada);
        assert_eq!(receipts.deliver(ada, Seq(5)), Some(Moved { upto: Seq(5), has_moved: true }));
        assert_eq!(receipts.deliver(ada, Seq(4)), Some(Moved { upto: Seq(5), has_moved: false }));
        assert_eq!(receipts.read(ada, None, Seq(2), 1), Some(Moved { upto: Seq(3), has_moved: false }));
        assert_eq!(receipts.read(UserId::new(), None, Seq(9), 1), None, "no member");
    }

    #[test]
    fn an_acknowledgement_counts_only_from_the_receipt_on() {
        let ada = UserId::new();
        let mut receipts = of(ada);
        assert!(!receipts.acknowledge(ada, Seq(4), Seq(9)), "the fourth message is not acknowledged");
        assert!(receipts.acknowledge(ada, Seq(3), Seq(9)));
        assert!(!receipts.acknowledge(ada, Seq(3), Seq(9)));
        assert_eq!(receipts.marks(ada).unwrap().delivered, Seq(9));
    }

    #[test]
    fn what_moves_while_receipts_are_saved_is_saved_next_time() {
        let ada = UserId::new();
        let mut receipts = of(ada);
        assert_eq!(receipts.unsaved(), []);
        receipts.deliver(ada, Seq(5));
        let saving = receipts.unsaved();
        receipts.read(ada, None, Seq(6), 7);
        receipts.save(&saving);
        assert_eq!(receipts.saved_floor().of(ada), Seq(5));
        let [Unsaved { marks, has_moved: true, .. }] = receipts.unsaved()[..] else { panic!("not read") };
        assert_eq!(marks, Marks { delivered: Seq(5), read: Seq(6), notified: Seq(3), read_at: 7 });
    }

    #[test]
    fn the_others_are_told_once_of_what_two_nodes_save_at_the_same_time() {
        let ada = UserId::new();
        let at = |read| Marks { read: Seq(read), ..Marks::at(Seq(3)) };
        let mut receipts = of(ada);
        receipts.read(ada, None, Seq(5), 7);
        let saving = receipts.unsaved();
        // Another node has saved more while this one saves.
        receipts.follow(ada, at(6));
        assert!(receipts.is_news(ada, Seq(6)));
        receipts.save(&saving);
        assert!(!receipts.is_news(ada, Seq(5)));
        assert!(receipts.unsaved().iter().all(|receipt| !receipt.has_moved), "it is saved already");
        // Another node has saved the same before this one does, and none of its connections was told yet.
        receipts.read(ada, None, Seq(8), 8);
        receipts.follow(ada, at(8));
        assert!(receipts.is_news(ada, Seq(8)));
        // A connection that came has read it in the database before.
        receipts.raise(ada, at(9));
        receipts.follow(ada, at(9));
        assert!(receipts.is_news(ada, Seq(9)) && !receipts.is_news(ada, Seq(9)));
    }

    #[test]
    fn only_notifications_that_were_sent_are_saved() {
        let ada = UserId::new();
        let mut receipts = of(ada);
        receipts.nothing_to_notify(ada, Seq(7));
        assert_eq!(receipts.unsaved(), []);
        receipts.notified(ada, Seq(8));
        assert_eq!(receipts.unsaved()[0].marks.notified, Seq(8));
    }
}
