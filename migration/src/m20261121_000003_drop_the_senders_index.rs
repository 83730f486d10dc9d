//! What one member sent was found by an index of its own, for telling of deliveries. They are looked for page by
//! page now; the index cost every message that was stored.

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
