//! Which rooms each client has joined. Until now only one flag for each member was kept, whichever of the
//! user's clients had joined.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("members").drop_column("listening").to_owned()).await?;
        let mut of_room = ForeignKey::create().from("joined_rooms", "room_id").to("rooms", "id").to_owned();
        let mut of_user = ForeignKey::create().from("joined_rooms", "user_id").to("users", "id").to_owned();
        let table = Table::create()
            .table("joined_rooms")
            .col(binary_len("client", 32))
            .col(uuid("room_id"))
            .col(uuid("user_id"))
            .col(timestamp_with_time_zone("noted_at"))
            .primary_key(Index::create().col("client").col("room_id"))
            .foreign_key(&mut of_room)
            .foreign_key(&mut of_user)
            .to_owned();
        manager.create_table(table).await?;
        let by_user = Index::create()
            .name("joined_rooms_of_user")
            .table("joined_rooms")
            .col("user_id")
            .col("noted_at")
            .to_owned();
        manager.create_index(by_user).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("joined_rooms").to_owned()).await?;
        let column = boolean("listening").default(false).take();
        manager.alter_table(Table::alter().table("members").add_column(column).to_owned()).await
    }
}
