//! An account.

use sea_orm::entity::prelude::*;

use crate::ids::UserId;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// As chosen at sign-up; never changes.
    pub username: String,
    /// The username folded to lower case: unique, so nobody can pose as `Ada` beside `ada`. A
    /// deleted account keeps it, so the name is not handed to somebody else.
    #[sea_orm(unique)]
    pub username_key: String,
    /// A PHC string, or none where the user signs in elsewhere.
    pub password_hash: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// A JSON object, as text, as the user gave it.
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

/// The form a username is looked up by.
pub fn username_key(username: &str) -> String {
    username.to_lowercase()
}

/// Accounts that exist: not deleted.
pub fn live() -> Select<Entity> {
    Entity::find().filter(COLUMN.deleted_at.is_null())
}

/// The live account of that name.
pub fn named(username: &str) -> Select<Entity> {
    live().filter(COLUMN.username_key.eq(username_key(username)))
}
