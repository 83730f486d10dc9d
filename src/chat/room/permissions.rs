//! What a role may do in a group: a table, checked once per operation.

use entity::{member::Role, room};

use crate::error::{Error, Forbidden, Result};

/// What a user wants to do in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chat) enum Action {
    /// Change its name or password.
    Update,
    AddMembers,
    /// Remove a member of this role.
    Remove(Role),
    Delete,
    /// Change the role of a member, or hand the group over.
    SetRole,
    /// Notify its members again that it exists.
    Announce,
}

/// Whether a member with this role moderates the room: a group's owner and admins do.
pub(in crate::chat) fn moderates(kind: room::Kind, role: Option<Role>) -> bool {
    kind == room::Kind::Group && matches!(role, Some(Role::Owner | Role::Admin))
}

/// Checks that a role may do it. `None` is a user who is not a member.
///
/// # Errors
/// `not_a_member` for such a user; `forbidden` for a member.
pub(in crate::chat) fn may(role: Option<Role>, action: Action) -> Result<()> {
    let role = role.ok_or(Error::Forbidden(Forbidden::NotAMember))?;
    let allowed = match (role, action) {
        (_, Action::Remove(Role::Owner)) => false,
        (Role::Owner, _) => true,
        (Role::Admin, Action::Update | Action::AddMembers | Action::Announce) => true,
        (Role::Admin, Action::Remove(target)) => target == Role::Member,
        (Role::Admin, Action::Delete | Action::SetRole) | (Role::Member, _) => false,
    };
    if allowed { Ok(()) } else { Err(Error::Forbidden(Forbidden::Role)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_table_says() {
        use Action::*;
        let rows = [
            (Role::Owner, Update, true),
            (Role::Owner, AddMembers, true),
            (Role::Owner, Remove(Role::Admin), true),
            (Role::Owner, Remove(Role::Owner), false),
            (Role::Owner, Delete, true),
            (Role::Owner, SetRole, true),
            (Role::Admin, Update, true),
            (Role::Admin, AddMembers, true),
            (Role::Admin, Announce, true),
            (Role::Admin, Remove(Role::Member), true),
            (Role::Admin, Remove(Role::Admin), false),
            (Role::Admin, Remove(Role::Owner), false),
            (Role::Admin, Delete, false),
            (Role::Admin, SetRole, false),
            (Role::Member, Update, false),
            (Role::Member, AddMembers, false),
            (Role::Member, Remove(Role::Member), false),
            (Role::Member, Announce, false),
            (Role::Member, Delete, false),
            (Role::Member, SetRole, false),
        ];
        for (role, action, allowed) in rows {
            assert_eq!(may(Some(role), action).is_ok(), allowed, "{role:?} {action:?}");
        }
        let outside = may(None, Update).expect_err("outsiders may nothing");
        assert_eq!(outside.code(), "not_a_member");
    }
}
