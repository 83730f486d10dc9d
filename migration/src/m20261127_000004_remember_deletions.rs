//! Accounts whose deletion has begun and is not finished.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut of_user = ForeignKey::create().from("deletions", "user_id").to("users", "id").to_owned();
        let table = Table::create()
            .table("deletions")
            .col(uuid("user_id").primary_key())
            .col(timestamp_with_time_zone("begun_at"))
            .foreign_key(&mut of_user)
            .to_owned();
        manager.create_table(table).await?;
        // An earlier version deleted accounts without this table, and a crash may have left some of them in
        // rooms.
        manager
            .get_connection()
            .execute_unprepared(
                "INSERT INTO deletions (user_id, begun_at) SELECT id, deleted_at FROM users \
                 WHERE deleted_at IS NOT NULL AND EXISTS (SELECT 1 FROM members WHERE members.user_id = users.id)",
            )
            .await
            .map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("deletions").to_owned()).await
    }
}
