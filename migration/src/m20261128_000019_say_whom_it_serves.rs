//! Which programs can use this database: those whose newest migration is the named one, or a later one. The program that
//! migrates writes it.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let serves = Table::create().table("schema_serves").col(string("since").primary_key()).to_owned();
        manager.create_table(serves).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("schema_serves").if_exists().to_owned()).await
    }
}
