//! Who there is, for a front end that wants everyone at once, and whether a name is the caller's.

use entity::user::username_key;

use crate::{
    chat::{
        Chat, ListUsers,
        caller::Caller,
        nouns::{Page, User},
    },
    error::Result,
};

/// The most users in one list, in order of their names. A front end with more people than that needs
/// one that pages.
const MOST: usize = 2_000;

pub async fn everyone(chat: &Chat, caller: &Caller) -> Result<Vec<User>> {
    let part = |after| chat.users(caller, ListUsers { search: None, limit: Some(200), after });
    Page::gather(MOST, part).await
}

/// Usernames are the same in whatever capitals.
pub fn is_own(caller: &Caller, username: &str) -> bool {
    username_key(&caller.username) == username_key(username)
}
