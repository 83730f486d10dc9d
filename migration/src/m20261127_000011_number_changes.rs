//! What is done to messages after they were sent: each room numbers its changes, and a message has the number of
//! the one that touched it last. Earlier contents of edited messages are kept.
//!
//! No index names `rooms.last_change`: PostgreSQL updates a row in place only while no index has to change with it.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let added = [
            ("rooms", big_integer("last_change").default(0).take()),
            ("messages", big_integer("change").default(0).take()),
            // JSON: what was done to the message.
            ("messages", text_null("marks")),
        ];
        for (table, column) in added {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        // Nearly all messages are never changed. A query has to repeat the condition, or SQLite ignores the index.
        let index = Index::create()
            .name("messages_changes")
            .table("messages")
            .col("room_id")
            .col("change")
            .and_where(Expr::col("change").gt(0))
            .to_owned();
        manager.create_index(index).await?;
        let versions = Table::create()
            .table("message_versions")
            .col(uuid("room_id"))
            .col(big_integer("seq"))
            // 1 is the content as it was sent.
            .col(integer("version"))
            .col(text("content"))
            // When this version was written.
            .col(timestamp_with_time_zone("at"))
            .primary_key(Index::create().col("room_id").col("seq").col("version"))
            .foreign_key(
                ForeignKey::create()
                    .from("message_versions", ("room_id", "seq"))
                    .to("messages", ("room_id", "seq"))
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(versions).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("message_versions").if_exists().to_owned()).await?;
        manager.drop_index(Index::drop().name("messages_changes").table("messages").to_owned()).await?;
        for (table, column) in [("messages", "marks"), ("messages", "change"), ("rooms", "last_change")] {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
