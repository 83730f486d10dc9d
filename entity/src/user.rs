//! An account.

use sea_orm::{QueryOrder, entity::prelude::*};
use text::fold;

use crate::{
    ids::UserId,
    names::{MOST_BYTES, NameKeys},
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The name chosen at sign-up. Never changes.
    pub username: String,
    /// The folded username (see [`NameKeys`]). It is unique, so nobody can pose as `Ada` beside `ada`. A deleted
    /// account keeps it, so that nobody else gets the name.
    #[sea_orm(unique)]
    pub username_key: String,
    /// A PHC string; none if the user logs in with another issuer.
    pub password_hash: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// See [`search_text`].
    pub search_text: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// A JSON object as text, as the user sent it.
    pub profile: Option<String>,
    pub is_admin: bool,
    pub created_at: DateTimeUtc,
    pub last_seen_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    /// Since when the account may not sign in.
    pub disabled_at: Option<DateTimeUtc>,
    #[sea_orm(has_many)]
    pub sessions: HasMany<super::session::Entity>,
    #[sea_orm(has_many)]
    pub members: HasMany<super::member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The unique key of a new username.
pub fn username_key(username: &str) -> String {
    fold(username).into_owned()
}

/// Whether two texts are the same username.
pub fn is_same_name(one: &str, other: &str) -> bool {
    one.len().max(other.len()) <= MOST_BYTES && fold(one) == fold(other)
}

/// The folded names of a user, one a line. A search for a folded text finds it here in any capitals and any
/// encoding, whatever the database's language is.
pub fn search_text(username: &str, first_name: Option<&str>, last_name: Option<&str>) -> String {
    [Some(username), first_name, last_name].map(|name| fold(name.unwrap_or_default())).join("\n")
}

/// Accounts that are not deleted.
pub fn live() -> Select<Entity> {
    Entity::find().filter(COLUMN.deleted_at.is_null())
}

/// Accounts that may sign in: neither deleted nor disabled.
pub fn may_sign_in() -> Select<Entity> {
    live().filter(COLUMN.disabled_at.is_null())
}

/// The account with this name, if it is not deleted. Take the first row: see [`NameKeys`].
pub fn named(username: &str) -> Select<Entity> {
    ever_named(username).filter(COLUMN.deleted_at.is_null())
}

/// The account with this name, deleted or not. Take the first row: see [`NameKeys`].
pub fn ever_named(username: &str) -> Select<Entity> {
    let NameKeys { key, former } = NameKeys::of_user(username);
    match former {
        None => Entity::find().filter(COLUMN.username_key.eq(key.into_owned())),
        // The longer key sorts first.
        Some(former) => Entity::find()
            .filter(COLUMN.username_key.is_in([former, key.into_owned()]))
            .order_by_desc(COLUMN.username_key),
    }
}
