//! Users, external identities, rooms, members, messages, sessions, tickets.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [users(), identities(), rooms(), members(), messages(), sessions(), tickets()] {
            manager.create_table(table).await?;
        }
        for index in indices() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["tickets", "sessions", "messages", "members", "rooms", "identities", "users"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(uuid("id").primary_key())
        .col(text("username"))
        .col(text_uniq("username_key"))
        .col(text_null("password_hash"))
        .col(text_null("first_name"))
        .col(text_null("last_name"))
        .col(text_null("email"))
        .col(text_null("phone"))
        .col(text_null("profile"))
        .col(boolean("is_admin").default(false))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("last_seen_at"))
        .col(timestamp_with_time_zone_null("deleted_at"))
        .to_owned()
}

fn identities() -> TableCreateStatement {
    Table::create()
        .table("identities")
        .col(text("issuer"))
        .col(text("subject"))
        .col(uuid("user_id"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("issuer").col("subject"))
        .foreign_key(&mut references("identities", "user_id", "users"))
        .to_owned()
}

fn rooms() -> TableCreateStatement {
    Table::create()
        .table("rooms")
        .col(uuid("id").primary_key())
        .col(string_len("kind", 8))
        .col(text_null("name"))
        .col(ColumnDef::new("name_key").text().unique_key())
        .col(text_null("password_hash"))
        .col(uuid_null("owner_id"))
        .col(uuid_null("pair_low"))
        .col(uuid_null("pair_high"))
        .col(big_integer("last_seq").default(0))
        .col(big_integer("roster_version").default(0))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("active_at"))
        .col(timestamp_with_time_zone_null("deleted_at"))
        .foreign_key(&mut references("rooms", "owner_id", "users"))
        .foreign_key(&mut references("rooms", "pair_low", "users"))
        .foreign_key(&mut references("rooms", "pair_high", "users"))
        .to_owned()
}

fn members() -> TableCreateStatement {
    Table::create()
        .table("members")
        .col(uuid("room_id"))
        .col(uuid("user_id"))
        .col(string_len("role", 8))
        .col(timestamp_with_time_zone("joined_at"))
        .col(big_integer("delivered_seq"))
        .col(big_integer("read_seq"))
        .col(big_integer("told_seq"))
        .primary_key(Index::create().col("room_id").col("user_id"))
        .foreign_key(&mut references("members", "room_id", "rooms"))
        .foreign_key(&mut references("members", "user_id", "users"))
        .to_owned()
}

fn messages() -> TableCreateStatement {
    Table::create()
        .table("messages")
        .col(uuid("room_id"))
        .col(big_integer("seq"))
        .col(ColumnDef::new("id").uuid().not_null().unique_key())
        .col(uuid("sender_id"))
        .col(string_len("kind", 9))
        .col(text("content"))
        .col(text_null("client_message_id"))
        .col(uuid_null("reply_to"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("edited_at"))
        .col(timestamp_with_time_zone_null("deleted_at"))
        .primary_key(Index::create().col("room_id").col("seq"))
        .foreign_key(&mut references("messages", "room_id", "rooms"))
        .foreign_key(&mut references("messages", "sender_id", "users"))
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .foreign_key(&mut references("sessions", "user_id", "users"))
        .to_owned()
}

fn tickets() -> TableCreateStatement {
    Table::create()
        .table("tickets")
        .col(ColumnDef::new("digest").binary().not_null().primary_key())
        .col(uuid("user_id"))
        .col(uuid("session_id"))
        .col(timestamp_with_time_zone("token_expires_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone_null("used_at"))
        .foreign_key(&mut references("tickets", "user_id", "users"))
        .foreign_key(&mut references("tickets", "session_id", "sessions"))
        .to_owned()
}

/// One index for each query in the code that no primary key serves.
fn indices() -> Vec<IndexCreateStatement> {
    vec![
        // The direct room of two users.
        Index::create()
            .name("rooms_pair")
            .table("rooms")
            .col("pair_low")
            .col("pair_high")
            .unique()
            .to_owned(),
        // The rooms of a user.
        Index::create().name("members_user").table("members").col("user_id").to_owned(),
        // Repeated sends, and the messages of one member, for notifying of deliveries.
        Index::create()
            .name("messages_client_id")
            .table("messages")
            .col("room_id")
            .col("sender_id")
            .col("client_message_id")
            .unique()
            .to_owned(),
        Index::create()
            .name("messages_sender")
            .table("messages")
            .col("room_id")
            .col("sender_id")
            .col("seq")
            .to_owned(),
        // The sessions of a user, and the sessions that can be deleted.
        Index::create().name("sessions_user").table("sessions").col("user_id").to_owned(),
        Index::create().name("sessions_expiry").table("sessions").col("expires_at").to_owned(),
        Index::create().name("tickets_expiry").table("tickets").col("expires_at").to_owned(),
        Index::create().name("tickets_session").table("tickets").col("session_id").to_owned(),
        Index::create().name("identities_user").table("identities").col("user_id").to_owned(),
    ]
}

fn references(from: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(format!("{from}_{column}")).from(from, column).to(to, "id").to_owned()
}
