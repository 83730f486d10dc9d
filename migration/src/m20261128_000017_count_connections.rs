//! How many connections each user has at each node: the limit of a user's connections holds for all nodes together.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The default is for nodes of the version before, which write no number.
        let column = integer("connections").default(1).take();
        manager.alter_table(Table::alter().table("presences").add_column(column).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("presences").drop_column("connections").to_owned()).await
    }
}
