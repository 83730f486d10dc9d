//! Who there is, for a front end that wants everyone at once, and whether a name is the caller's.

use entity::user::username_key;

use crate::{
    chat::{
        Chat, ListUsers,
        caller::Caller,
        nouns::{After, User},
    },
    error::Result,
    gateway::bounded::{Bounded, ENTRIES},
};

/// Everyone in order of their names, behind those with whom the array has begun, as far as `push` takes them.
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

/// Usernames are the same in whatever capitals.
pub fn is_own(caller: &Caller, username: &str) -> bool {
    username_key(&caller.username) == username_key(username)
}
