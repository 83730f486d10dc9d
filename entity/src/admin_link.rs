//! The link that makes the first admin. Who uses it deletes its row.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admin_links")]
pub struct Model {
    /// SHA-256 of the secret in the link, so that reading the table does not permit anybody to use it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Vec<u8>,
    pub expires_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// The link with this digest, if it can be used now.
pub fn live(digest: &[u8], now: DateTimeUtc) -> Select<Entity> {
    Entity::find().filter(COLUMN.digest.eq(digest)).filter(COLUMN.expires_at.gt(now))
}
