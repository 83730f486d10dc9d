//! An account.

use sea_orm::entity::prelude::*;

use crate::ids::UserId;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The name chosen at sign-up. Never changes.
    pub username: String,
    /// The username in lower case. It is unique, so nobody can pose as `Ada` beside `ada`. A deleted account
    /// keeps it, so that nobody else gets the name.
    #[sea_orm(unique)]
    pub username_key: String,
    /// A PHC string; none if the user logs in with another issuer.
    pub password_hash: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// A JSON object as text, as the user sent it.
    pub profile: Option<String>,
    pub is_admin: bool,
    pub created_at: DateTimeUtc,
    pub last_seen_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    #[sea_orm(has_many)]
    pub sessions: HasMany<super::session::Entity>,
    #[sea_orm(has_many)]
    pub members: HasMany<super::member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The form by which a username is looked up.
pub fn username_key(username: &str) -> String {
    username.to_lowercase()
}

/// Accounts that are not deleted.
pub fn live() -> Select<Entity> {
    Entity::find().filter(COLUMN.deleted_at.is_null())
}

/// The account with this name, if it is not deleted.
pub fn named(username: &str) -> Select<Entity> {
    live().filter(COLUMN.username_key.eq(username_key(username)))
}
