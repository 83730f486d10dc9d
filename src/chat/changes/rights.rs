//! Who may do what to a message: a table. It is checked in the transaction that does it.

use crate::error::{Error, Forbidden, Result};

/// What a member wants to do to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chat) enum Deed {
    Edit,
    Delete,
    React,
}

/// What a member is to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chat) enum Relation {
    /// Has sent it; the server has sent a system message, whoever it names.
    Sender,
    /// Somebody else: a group's owner or admin, or an administrator in the lobby.
    Moderator,
    Other,
}

impl Relation {
    pub fn of(is_sender: bool, moderates: bool) -> Self {
        match (is_sender, moderates) {
            (true, _) => Self::Sender,
            (false, true) => Self::Moderator,
            (false, false) => Self::Other,
        }
    }
}

/// Checks that somebody may do it.
///
/// # Errors
/// `forbidden` (`not_yours`).
pub(in crate::chat) fn may(relation: Relation, deed: Deed) -> Result<()> {
    let allowed = match deed {
        Deed::Edit => relation == Relation::Sender,
        Deed::Delete => relation != Relation::Other,
        Deed::React => true,
    };
    if allowed { Ok(()) } else { Err(Error::Forbidden(Forbidden::NotYours)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_may_do_what_the_table_says() {
        use Deed::*;
        use Relation::*;
        let rows = [
            (Sender, Edit, true),
            (Sender, Delete, true),
            (Sender, React, true),
            (Moderator, Edit, false),
            (Moderator, Delete, true),
            (Moderator, React, true),
            (Other, Edit, false),
            (Other, Delete, false),
            (Other, React, true),
        ];
        for (relation, deed, allowed) in rows {
            assert_eq!(may(relation, deed).is_ok(), allowed, "{relation:?} {deed:?}");
        }
        assert_eq!(Relation::of(true, true), Sender);
        assert_eq!(Relation::of(false, true), Moderator);
    }
}
