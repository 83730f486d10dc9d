//! The list of users.

use entity::{UserId, user};
use sea_orm::{EntityTrait, QuerySelect};

use crate::{
    chat::{
        Chat, Core, by_name,
        model::{After, Page, User},
        profiles,
    },
    error::{Error, Result},
    identity::Caller,
};

/// The part of the list of users.
#[derive(Debug, Default)]
pub struct ListUsers {
    /// Part of a username, first or last name.
    pub search: Option<String>,
    pub limit: Option<u64>,
    pub after: Option<After<UserId>>,
    /// Reads profiles of any size. Request small parts then: each entry may have `limits.profile_bytes`.
    pub whole_profiles: bool,
}

impl Chat {
    /// The users in the order of their names, part by part.
    pub async fn users(&self, _caller: &Caller, list: ListUsers) -> Result<Page<User>> {
        let core = &self.core;
        let after = core.user_key(list.after).await?;
        let users = by_name::search(user::live(), user::Column::SearchText, list.search.as_deref());
        let Some(users) = users else { return Ok(Page::empty()) };
        let users = if list.whole_profiles { users } else { profiles::small_only(users) };
        let key = |user: &user::Model| Some(user.username_key.clone());
        let part =
            by_name::part(core.db.reader(), users, user::Column::UsernameKey, list.limit, after, key).await?;
        Ok(part.map(|row| core.to_user(row)))
    }
}

impl Core {
    /// The key of the user after which a part of the list begins.
    async fn user_key(&self, after: Option<After<UserId>>) -> Result<Option<String>> {
        let id = match after {
            None => return Ok(None),
            Some(After::Key(key)) => return Ok(Some(key)),
            Some(After::Id(id)) => id,
        };
        let key = user::Entity::find_by_id(id).select_only().column(user::Column::UsernameKey).into_tuple();
        let key: Option<String> = key.one(self.db.reader()).await?;
        key.map(Some).ok_or(Error::invalid("after", "is not the id of a user"))
    }
}
