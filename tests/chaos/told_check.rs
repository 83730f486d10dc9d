//! What a connection is told once, and no second time. Pure, as the rest of the checker.
//!
//! Messages and changes have numbers, and their rules (`Twice`, `ChangeHole`) find a second one already. Presence, the list of
//! groups and a user's own settings are states, which may be told again. The rest is here.

use std::collections::{BTreeMap, HashMap, HashSet};

use entity::{MessageId, RoomId};

use crate::{
    checker::{Found, Rule, Violation},
    history::What,
    membership::{Entry, Fact, News},
    reach::{Connection, Reach},
};

/// What the connections of the devices were told of receipts so far.
#[derive(Default)]
pub struct ToldOfReceipts {
    delivered: HashSet<(Connection, MessageId)>,
    read: HashMap<(Connection, RoomId, usize), ToldOfReader>,
    /// How far everybody had read when a connection was answered for the first time.
    first_answers: HashMap<Connection, BTreeMap<(usize, RoomId), i64>>,
}

/// What a connection was told of one reader.
#[derive(Default)]
struct ToldOfReader {
    seq: i64,
    /// It was told once more of something.
    is_repeated: bool,
}

impl ToldOfReceipts {
    pub fn is_told(
        &mut self,
        connection: Connection,
        what: &What,
        reaches: &BTreeMap<(usize, RoomId), Reach>,
        found: &mut Found,
    ) {
        let of = || format!("connection {} of device {}", connection.1, connection.0);
        match what {
            What::Stored { .. } | What::EditAnswered { .. } | What::DeedAnswered { .. } => {
                let read = || reaches.iter().map(|(of, reach)| (*of, reach.read())).collect();
                self.first_answers.entry(connection).or_insert_with(read);
            }
            What::ToldDelivered { room, seq, id } if !self.delivered.insert((connection, *id)) => {
                let told = format!("{} was told of the delivery of {seq} of {room} twice", of());
                found.add(Rule::ToldTwice, told);
            }
            What::ToldRead { room, reader, seq } => {
                let told = self.read.entry((connection, *room, *reader)).or_default();
                if *seq > told.seq {
                    told.seq = *seq;
                    return;
                }
                // A connection that comes is told once how far others have read meanwhile, and perhaps it has just heard
                // that. Once it is answered, this is of the past.
                let first_answer = self.first_answers.get(&connection);
                let may_be_news = first_answer
                    .is_none_or(|read| read.get(&(*reader, *room)).is_some_and(|read| seq <= read));
                if told.is_repeated || !may_be_news {
                    let told = format!(
                        "{} was told that {reader} has read {seq} of {room} after {}",
                        of(),
                        told.seq
                    );
                    found.add(Rule::ToldTwice, told);
                }
                told.is_repeated = true;
            }
            _ => {}
        }
    }
}

/// The newest that was told of each member: that they have come or gone, and, beside it (`true`), their role.
type ToldOfMembers = BTreeMap<(usize, bool), News>;

/// What the connections of the storm were told of members and roles: nobody comes twice without having gone, or gets the
/// role that they have.
pub fn check_storm(log: &[Entry]) -> Vec<Violation> {
    let mut found = Vec::new();
    // By connection and group: who has come or gone, and the roles.
    let mut told: HashMap<(usize, u32, RoomId), ToldOfMembers> = HashMap::new();
    for entry in log {
        let Fact::Told { group, whom, news } = &entry.fact else { continue };
        let of = told.entry((entry.person, entry.connection, *group)).or_default();
        if *whom == entry.person && !matches!(news, News::Role(_)) {
            // What others do while somebody is no member is not told.
            of.clear();
            continue;
        }
        let is_role = matches!(news, News::Role(_));
        if of.insert((*whom, is_role), news.clone()).as_ref() == Some(news) {
            let told = format!(
                "connection {} of person {} was told twice of {group}: {whom} {news:?}",
                entry.connection, entry.person
            );
            found.push(Violation { rule: Rule::ToldTwice, told });
        }
        if !is_role {
            of.remove(&(*whom, true));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::rules_of;

    /// Goes through the entries of one device, with a reader who has read up to `read` before each of them.
    fn rules(entries: &[(u32, i64, What)], room: RoomId) -> Vec<Rule> {
        let (mut told, mut found) = (ToldOfReceipts::default(), Found::default());
        for (connection, read, what) in entries {
            let mut reach = Reach::default();
            reach.marks_read(*read);
            told.is_told((0, *connection), what, &BTreeMap::from([((1, room), reach)]), &mut found);
        }
        rules_of(found.all())
    }

    #[test]
    fn a_delivery_that_a_connection_is_told_of_twice_is_found() {
        let (room, id) = (RoomId::new(), MessageId::new());
        let told = |connection, id| (connection, 0, What::ToldDelivered { room, seq: 1, id });
        assert_eq!(rules(&[told(1, id), told(1, MessageId::new()), told(2, id)], room), []);
        assert_eq!(rules(&[told(1, id), told(1, id)], room), [Rule::ToldTwice]);
    }

    #[test]
    fn a_reader_whom_a_connection_is_told_of_twice_is_found_unless_it_has_just_come() {
        let room = RoomId::new();
        let told = |seq| (1, 3, What::ToldRead { room, reader: 1, seq });
        let answered = |read| (1, read, What::Stored { operation: 0, room, seq: 1, id: MessageId::new() });
        assert_eq!(rules(&[told(2), answered(2), told(3)], room), []);
        assert_eq!(rules(&[told(2), told(2)], room), [], "the news of a connection that has come");
        assert_eq!(rules(&[told(3), answered(2), told(2)], room), [], "late news");
        assert_eq!(rules(&[told(2), told(2), told(2)], room), [Rule::ToldTwice]);
        assert_eq!(rules(&[answered(2), told(3), told(3)], room), [Rule::ToldTwice]);
    }

    #[test]
    fn a_member_who_comes_goes_or_gets_a_role_twice_is_found() {
        let group = RoomId::new();
        let entry =
            |connection, whom, news| Entry { person: 0, connection, fact: Fact::Told { group, whom, news } };
        let (came, went) = (|whom| entry(1, whom, News::Joined), |whom| entry(1, whom, News::Left));
        let role = |name: &str| entry(1, 1, News::Role(name.to_owned()));
        let rules = |log: &[Entry]| rules_of(&check_storm(log));
        assert_eq!(rules(&[came(1), came(2), went(1), came(1), entry(2, 1, News::Joined)]), []);
        assert_eq!(rules(&[role("owner"), role("admin"), went(1), came(1), role("admin")]), []);
        assert_eq!(
            rules(&[came(1), went(0), came(0), came(1)]),
            [],
            "something was told to others meanwhile"
        );
        assert_eq!(rules(&[came(1), came(1)]), [Rule::ToldTwice]);
        assert_eq!(rules(&[went(1), came(2), went(1)]), [Rule::ToldTwice]);
        assert_eq!(rules(&[role("owner"), role("owner")]), [Rule::ToldTwice]);
    }
}
