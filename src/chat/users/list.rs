//! The list of users.

use entity::{UserId, user};
use sea_orm::{
    EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LikeExpr},
};

use crate::{
    chat::{
        Chat, Core,
        model::{After, Page, User},
        profiles,
    },
    error::{Error, Result},
    identity::Caller,
    values,
};

/// The most entries in one part of a list. A request for more gets this number.
pub(in crate::chat) const LIST_MOST: u64 = 200;
/// The entries in one part of a list if the request has no limit.
pub(in crate::chat) const LIST_DEFAULT: u64 = 100;

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
        let limit = list.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MOST);
        let mut query = user::live().order_by_asc(user::COLUMN.username_key).limit(limit + 1);
        if let Some(after) = self.core.user_key(list.after).await?.filter(|after| values::is_storable(after))
        {
            query = query.filter(user::COLUMN.username_key.gt(after));
        }
        if let Some(search) = list.search.filter(|search| !search.is_empty()) {
            if !values::may_be_part_of_a_name(&search) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let text = Expr::col((user::Entity, user::Column::SearchText));
            query = query.filter(text.like(containing(&search)));
        }
        let query = if list.whole_profiles { query } else { profiles::small_only(query) };
        let rows = query.all(self.core.db.reader()).await?;
        let Page { items, next } = Page::of(rows, limit, |row| Some(row.username_key.clone()));
        Ok(Page { items: items.into_iter().map(|row| self.core.to_user(row)).collect(), next })
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

/// A pattern for folded text that contains `search`, in any capitals and any encoding. All special characters of
/// patterns are escaped.
pub(in crate::chat) fn containing(search: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for sign in text::fold(search).chars() {
        if matches!(sign, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}
