//! Drops the index on the sender. It served to find one member's messages when notifying of deliveries. Now
//! they are looked up page by page, and the index made storing every message slower.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("messages_sender").table("messages").to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("messages_sender")
            .table("messages")
            .col("room_id")
            .col("sender_id")
            .col("seq")
            .to_owned();
        manager.create_index(index).await
    }
}
