//! What messages are sent with beyond their content, threads and who follows them, who is mentioned, and settings of
//! rooms.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column for each statement: SQLite takes no more.
        for column in [
            text_null("extras"),
            big_integer_null("thread_seq"),
            small_integer_null("aside"),
            timestamp_with_time_zone_null("expires_at"),
        ] {
            manager.alter_table(Table::alter().table("messages").add_column(column).to_owned()).await?;
        }
        let settings = text_null("settings");
        manager.alter_table(Table::alter().table("rooms").add_column(settings).to_owned()).await?;
        for table in [mentions(), threads(), thread_marks()] {
            manager.create_table(table).await?;
        }
        manager.drop_index(Index::drop().name("messages_deleted").table("messages").to_owned()).await?;
        for index in indices() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["thread_marks", "threads", "mentions"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        for index in ["messages_thread", "messages_uncounted", "messages_expire"] {
            manager.drop_index(Index::drop().name(index).table("messages").to_owned()).await?;
        }
        manager.create_index(deleted()).await?;
        for column in ["extras", "thread_seq", "aside", "expires_at"] {
            manager.alter_table(Table::alter().table("messages").drop_column(column).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("rooms").drop_column("settings").to_owned()).await
    }
}

/// Who is mentioned by which message. The nil id stands for everyone, so no key refers to `users`.
fn mentions() -> TableCreateStatement {
    Table::create()
        .table("mentions")
        .col(uuid("user_id"))
        .col(uuid("room_id"))
        .col(big_integer("seq"))
        .col(uuid("sender_id"))
        .primary_key(Index::create().col("user_id").col("room_id").col("seq"))
        .foreign_key(&mut message_of("mentions", "seq"))
        .to_owned()
}

/// The threads of a room.
fn threads() -> TableCreateStatement {
    Table::create()
        .table("threads")
        .col(uuid("room_id"))
        .col(big_integer("root_seq"))
        .col(big_integer("replies"))
        .col(big_integer("last_seq"))
        .col(text("users"))
        .primary_key(Index::create().col("room_id").col("root_seq"))
        .foreign_key(&mut message_of("threads", "root_seq"))
        .to_owned()
}

/// How far a user has read a thread, and whether the user follows it.
fn thread_marks() -> TableCreateStatement {
    Table::create()
        .table("thread_marks")
        .col(uuid("user_id"))
        .col(uuid("room_id"))
        .col(big_integer("root_seq"))
        .col(big_integer("read_seq"))
        .col(boolean("following"))
        .primary_key(Index::create().col("user_id").col("room_id").col("root_seq"))
        .foreign_key(&mut message_of("thread_marks", "root_seq"))
        .foreign_key(ForeignKey::create().from("thread_marks", "user_id").to("users", "id"))
        .to_owned()
}

fn message_of(table: &'static str, seq: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, ("room_id", seq))
        .to("messages", ("room_id", "seq"))
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

/// All but the last are partial: few messages are in them. A query has to repeat the condition, or SQLite ignores the
/// index.
fn indices() -> [IndexCreateStatement; 4] {
    [
        // The replies of a thread.
        Index::create()
            .name("messages_thread")
            .table("messages")
            .col("room_id")
            .col("thread_seq")
            .col("seq")
            .and_where(Expr::col("thread_seq").is_not_null())
            .to_owned(),
        // What does not count as unread.
        Index::create()
            .name("messages_uncounted")
            .table("messages")
            .col("room_id")
            .col("seq")
            .and_where(Expr::col("deleted_at").is_not_null().or(Expr::col("aside").is_not_null()))
            .to_owned(),
        // What is to become a tombstone.
        Index::create()
            .name("messages_expire")
            .table("messages")
            .col("expires_at")
            .and_where(Expr::col("expires_at").is_not_null())
            .to_owned(),
        // The threads of a room, by their newest reply.
        Index::create().name("threads_newest").table("threads").col("room_id").col("last_seq").to_owned(),
    ]
}

/// The index that version 12 has, and `messages_uncounted` replaces.
fn deleted() -> IndexCreateStatement {
    Index::create()
        .name("messages_deleted")
        .table("messages")
        .col("room_id")
        .col("seq")
        .and_where(Expr::col("deleted_at").is_not_null())
        .to_owned()
}
