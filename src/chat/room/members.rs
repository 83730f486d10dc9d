//! The members of a room in memory: who they are, which roles they have, and which version of the membership
//! this is.

use std::collections::{HashMap, HashSet};

use entity::{Seq, UserId, member::Role, room};
use text::fold;

use super::{ById, Room, permissions::moderates};
use crate::identity::{Caller, Person};

/// See the module. The lobby lists nobody: everyone is in it.
pub struct Members {
    version: i64,
    deleted: bool,
    of_users: ById<UserId, RoomMember>,
}

/// A member, as others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomMember {
    pub person: Person,
    pub role: Role,
    /// The newest message when the user became a member. A connection of theirs that was there before begins after it:
    /// what another one has received since, this one may not have.
    pub joined: Seq,
}

/// How the members in memory differed from those in the database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Members that the database no longer had.
    pub gone: Vec<(UserId, Person)>,
    /// Members that memory did not have.
    pub come: Vec<UserId>,
    /// Members who had another role in memory.
    pub roles: Vec<(UserId, Role)>,
}

impl Members {
    pub fn new(version: i64, of_users: ById<UserId, RoomMember>) -> Self {
        Self { version, deleted: false, of_users }
    }

    /// The version that this process knows. Each change of the membership increases it.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Notes that a change of this version changed no member.
    pub fn reach(&mut self, version: i64) {
        self.version = self.version.max(version);
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    pub fn is_empty(&self) -> bool {
        self.of_users.is_empty()
    }

    pub fn len(&self) -> usize {
        self.of_users.len()
    }

    pub fn has(&self, user: UserId) -> bool {
        self.of_users.contains_key(&user)
    }

    pub fn get(&self, user: UserId) -> Option<&RoomMember> {
        self.of_users.get(&user)
    }

    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.of_users.keys().copied()
    }

    pub fn by_user(&self) -> &ById<UserId, RoomMember> {
        &self.of_users
    }

    /// Adds a member, or leaves one that is there as they are. `version` is the one after this change.
    pub fn add(&mut self, user: UserId, member: RoomMember, version: i64) {
        self.version = self.version.max(version);
        self.of_users.entry(user).or_insert(member);
    }

    /// `version` is the one after this change.
    pub fn remove(&mut self, user: UserId, version: i64) {
        self.version = self.version.max(version);
        self.of_users.remove(&user);
    }

    /// Changes the names that a member is shown with.
    pub fn rename(&mut self, user: UserId, person: &Person) {
        if let Some(member) = self.of_users.get_mut(&user) {
            member.person = person.clone();
        }
    }

    /// `version` is the one after this change.
    pub fn set_role(&mut self, user: UserId, role: Role, version: i64) {
        self.version = self.version.max(version);
        if let Some(member) = self.of_users.get_mut(&user) {
            member.role = role;
        }
    }

    /// Takes over the members and roles from the database. `None`, and nothing changes, unless their version
    /// is newer. Members who were there keep their names: those are as new here.
    pub fn reconcile(&mut self, version: i64, stored: ById<UserId, RoomMember>) -> Option<Difference> {
        if version <= self.version {
            return None;
        }
        self.version = version;
        let outside = |user: &UserId, _: &mut RoomMember| !stored.contains_key(user);
        let gone = self.of_users.extract_if(outside).map(|(user, member)| (user, member.person)).collect();
        let (mut come, mut roles) = (Vec::new(), Vec::new());
        for (user, member) in stored {
            match self.of_users.get_mut(&user) {
                Some(known) if known.role == member.role => {}
                Some(known) => {
                    known.role = member.role;
                    roles.push((user, member.role));
                }
                None => {
                    come.push(user);
                    self.of_users.insert(user, member);
                }
            }
        }
        Some(Difference { gone, come, roles })
    }

    /// The room was deleted: it has no members any more.
    pub fn delete(&mut self) {
        self.deleted = true;
        self.of_users.clear();
    }
}

impl Room {
    /// The first members, in the order in which their accounts were made.
    pub fn first_members(&self, most: usize) -> Vec<UserId> {
        self.state.lock().members.users().take(most).collect()
    }

    /// The members among these folded usernames, by the name, with the names as they are shown.
    pub(in crate::chat) fn members_named(&self, folded: &HashSet<&str>) -> HashMap<String, (UserId, String)> {
        let state = self.state.lock();
        let named = state.members.by_user().iter().filter_map(|(user, member)| {
            let username = &member.person.username;
            let name = fold(username);
            folded.contains(&*name).then(|| (name.into_owned(), (*user, username.to_string())))
        });
        named.collect()
    }

    /// A member's names, or `None` for a user who is not a member.
    pub fn person(&self, user: UserId) -> Option<Person> {
        self.state.lock().members.get(user).map(|member| member.person.clone())
    }

    /// A member's role, or `None` for a user who is not a member.
    pub fn role(&self, user: UserId) -> Option<Role> {
        self.state.lock().members.get(user).map(|member| member.role)
    }

    /// Whether a user moderates the room: a group's owner and admins do, and the server's administrators in the lobby.
    pub(in crate::chat) fn is_moderated_by(&self, caller: &Caller) -> bool {
        match self.kind {
            room::Kind::Lobby => caller.is_admin,
            kind => moderates(kind, self.role(caller.user)),
        }
    }

    /// All members.
    pub fn users(&self) -> Vec<UserId> {
        self.state.lock().members.users().collect()
    }

    pub fn member_count(&self) -> usize {
        self.state.lock().members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, role: Role) -> RoomMember {
        RoomMember { person: Person::new(name.to_owned(), None), role, joined: Seq::ZERO }
    }

    #[test]
    fn a_newer_membership_of_the_database_is_taken_over_and_an_older_one_is_not() {
        let (ada, bob, cyd) = (UserId::new(), UserId::new(), UserId::new());
        let here = [(ada, member("ada", Role::Owner)), (bob, member("bob", Role::Member))];
        let mut members = Members::new(3, here.into_iter().collect());
        let stored = || -> ById<UserId, RoomMember> {
            [(bob, member("bob", Role::Owner)), (cyd, member("cyd", Role::Member))].into_iter().collect()
        };
        assert_eq!(members.reconcile(3, stored()), None);
        assert!(members.has(ada));
        let difference = members.reconcile(5, stored()).unwrap();
        assert_eq!(difference.gone, [(ada, Person::new("ada".to_owned(), None))]);
        assert_eq!(difference.come, [cyd]);
        assert_eq!(difference.roles, [(bob, Role::Owner)]);
        assert_eq!((members.version(), members.len()), (5, 2));
        assert_eq!(members.get(bob).unwrap().role, Role::Owner);
    }

    #[test]
    fn a_deleted_room_has_no_members() {
        let ada = UserId::new();
        let mut members = Members::new(1, ById::default());
        members.add(ada, member("ada", Role::Owner), 2);
        members.delete();
        assert!(members.is_deleted() && members.is_empty() && !members.has(ada));
        assert_eq!(members.version(), 2);
    }
}
