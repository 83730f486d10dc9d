//! Reactions of users to messages, pinned messages, and an index of the deleted messages of a room, which do not count
//! as unread.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let reactions = Table::create()
            .table("reactions")
            .col(uuid("room_id"))
            .col(big_integer("seq"))
            .col(uuid("user_id"))
            .col(string_len("key", 64))
            .col(timestamp_with_time_zone("at"))
            .primary_key(Index::create().col("room_id").col("seq").col("user_id").col("key"))
            .foreign_key(
                ForeignKey::create()
                    .from("reactions", ("room_id", "seq"))
                    .to("messages", ("room_id", "seq"))
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .foreign_key(ForeignKey::create().from("reactions", "user_id").to("users", "id"))
            .to_owned();
        manager.create_table(reactions).await?;
        let pins = Table::create()
            .table("pins")
            .col(uuid("room_id"))
            .col(big_integer("seq"))
            .primary_key(Index::create().col("room_id").col("seq"))
            .foreign_key(
                ForeignKey::create()
                    .from("pins", ("room_id", "seq"))
                    .to("messages", ("room_id", "seq"))
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(pins).await?;
        // Few messages are deleted. A query has to repeat the condition, or SQLite ignores the index.
        let index = Index::create()
            .name("messages_deleted")
            .table("messages")
            .col("room_id")
            .col("seq")
            .and_where(Expr::col("deleted_at").is_not_null())
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("messages_deleted").table("messages").to_owned()).await?;
        manager.drop_table(Table::drop().table("pins").if_exists().to_owned()).await?;
        manager.drop_table(Table::drop().table("reactions").if_exists().to_owned()).await
    }
}
