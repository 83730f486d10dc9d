//! Which members have marked the room as unread. The database has the marks; this says whose reading takes one away,
//! without a look there.

use entity::UserId;

use super::ById;
use crate::room_view::UnreadMark;

/// See the module. It knows only members who have used a mark since the room is in memory, or had one then.
#[derive(Default)]
pub struct UnreadMarks {
    of_members: ById<UserId, Mark>,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    is_set: bool,
    /// When it was taken away last, in Unix milliseconds. The database may still have a mark that was made before.
    cleared_at: i64,
    /// The user's other connections are to be told of that with the next save of receipts.
    is_untold: bool,
}

impl UnreadMarks {
    /// The marks of these users.
    pub fn of(users: impl Iterator<Item = UserId>) -> Self {
        let set = Mark { is_set: true, ..Mark::default() };
        Self { of_members: users.map(|user| (user, set)).collect() }
    }

    pub fn set(&mut self, user: UserId) {
        self.of_members.entry(user).or_default().is_set = true;
    }

    pub fn is_set(&self, user: UserId) -> bool {
        self.of_members.get(&user).is_some_and(|mark| mark.is_set)
    }

    /// The user has read the room. Returns whether that took a mark away.
    pub fn clear(&mut self, user: UserId, now: i64) -> bool {
        let Some(mark) = self.of_members.get_mut(&user) else { return false };
        if mark.is_set {
            mark.cleared_at = now.max(mark.cleared_at);
        }
        std::mem::take(&mut mark.is_set)
    }

    /// Notes to tell later that the mark was taken away.
    pub fn tell_later(&mut self, user: UserId) {
        if let Some(mark) = self.of_members.get_mut(&user) {
            mark.is_untold = true;
        }
    }

    /// Whether there was something to tell since the last call.
    pub fn take_untold(&mut self, user: UserId) -> bool {
        self.of_members.get_mut(&user).is_some_and(|mark| std::mem::take(&mut mark.is_untold))
    }

    /// The time for a new mark: one that was taken away before is older.
    pub fn time(&self, user: UserId, now: i64) -> i64 {
        self.of_members.get(&user).map_or(now, |mark| now.max(mark.cleared_at + 1))
    }

    /// Whether a stored mark still counts for a user who has read up to `read`.
    pub fn counts(&self, user: UserId, stored: UnreadMark, read: i64) -> bool {
        let cleared_at = self.of_members.get(&user).map_or(0, |mark| mark.cleared_at);
        stored.at > cleared_at && read <= stored.read
    }

    /// Forgets all users except these.
    pub fn keep(&mut self, is_kept: impl Fn(UserId) -> bool) {
        self.of_members.retain(|user, _| is_kept(*user));
    }

    pub fn remove(&mut self, user: UserId) {
        self.of_members.remove(&user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_a_mark_away_once_and_a_later_mark_counts_again() {
        let (ada, bob) = (UserId::new(), UserId::new());
        let mut marks = UnreadMarks::default();
        assert!(!marks.clear(ada, 5), "nothing is marked");
        let first = UnreadMark { at: marks.time(ada, 5), read: 3 };
        marks.set(ada);
        assert!(
            marks.counts(ada, first, 3) && !marks.counts(ada, first, 4),
            "it counts until the user reads on"
        );
        assert!(!marks.is_set(bob) && marks.clear(ada, 5) && !marks.clear(ada, 6));
        assert!(!marks.counts(ada, first, 3), "the database may have it for a moment");
        let second = UnreadMark { at: marks.time(ada, 5), read: 3 };
        assert!(marks.counts(ada, second, 3));
    }

    #[test]
    fn that_a_mark_was_taken_away_is_told_once() {
        let ada = UserId::new();
        let mut marks = UnreadMarks::default();
        marks.set(ada);
        marks.clear(ada, 1);
        assert!(!marks.take_untold(ada));
        marks.tell_later(ada);
        assert!(marks.take_untold(ada) && !marks.take_untold(ada));
    }
}
