//! The list of all users, for a front end that loads it at once, and whether a name is the caller's.

use entity::user::is_same_name;

use crate::{
    chat::{
        Chat, ListUsers,
        model::{After, User},
    },
    error::Result,
    gateway::wire::bounded::{Bounded, ENTRIES},
    identity::Caller,
};

/// Adds all users, in the order of their names, to an array that already has entries, for as long as `push`
/// accepts them.
pub async fn everyone(
    chat: &Chat,
    caller: &Caller,
    begun: Bounded,
    push: impl FnMut(&mut Bounded, &User) -> Result<bool>,
) -> Result<Bounded> {
    let part = |limit, next: Option<String>| {
        let after = next.map(After::Key);
        chat.users(caller, ListUsers { search: None, limit: Some(limit), after, whole_profiles: false })
    };
    begun.gather(ENTRIES, part, push).await
}

/// Whether this is the caller's name, however it is typed.
pub fn is_own(caller: &Caller, username: &str) -> bool {
    is_same_name(&caller.username, username)
}
