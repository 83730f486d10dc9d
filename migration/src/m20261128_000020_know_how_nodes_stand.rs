//! How many nodes each node hears, so that one that hears fewer than another one knows it. And a row for each
//! node that it writes to find out whether the database stores: a row of all nodes could be locked by one that hangs.
//! And where a member began, so that a device that hears of it late gets what another device of the user has received
//! meanwhile.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let hears = Table::alter().table("nodes").add_column(integer_null("hears")).to_owned();
        manager.alter_table(hears).await?;
        let joined = Table::alter().table("members").add_column(big_integer_null("joined_seq")).to_owned();
        manager.alter_table(joined).await?;
        let probes = Table::create()
            .table("probes")
            .col(uuid("node").primary_key())
            .col(timestamp_with_time_zone("at"))
            .to_owned();
        manager.create_table(probes).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("probes").if_exists().to_owned()).await?;
        for (table, column) in [("members", "joined_seq"), ("nodes", "hears")] {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
