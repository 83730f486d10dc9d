//! When and where each session was last used, by which program, and whether it was opened with a password.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

const NAMES: [&str; 4] = ["last_used_at", "address", "client", "by_password"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time. Nothing of this is known of existing sessions.
        for column in [
            timestamp_with_time_zone_null("last_used_at"),
            text_null("address"),
            text_null("client"),
            boolean("by_password").default(false).take(),
        ] {
            let add = Table::alter().table("sessions").add_column(column).to_owned();
            manager.alter_table(add).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in NAMES {
            manager.alter_table(Table::alter().table("sessions").drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
