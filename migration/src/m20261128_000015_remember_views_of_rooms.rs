//! A member's own settings of the room, as JSON: whether it is muted, archived or marked as unread, and the draft. No
//! index names the column, so that PostgreSQL can go on updating receipts in place.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("members").add_column(text_null("view")).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("members").drop_column("view").to_owned()).await
    }
}
