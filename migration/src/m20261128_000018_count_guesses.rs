//! Wrong passwords, counted by all nodes together. PostgreSQL does not write the table to its log: a crash of it forgets
//! them, as a restart of a single server does.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let guesses = Table::create()
            .table("guesses")
            .col(uuid("key"))
            .col(uuid("attempt"))
            .col(uuid("node"))
            .col(timestamp_with_time_zone("until"))
            .col(timestamp_with_time_zone("made_at").default(Expr::current_timestamp()))
            .primary_key(Index::create().col("key").col("attempt"))
            .to_owned();
        manager.create_table(guesses).await?;
        let until = Index::create().name("guesses_until").table("guesses").col("until").to_owned();
        manager.create_index(until).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared("ALTER TABLE guesses SET UNLOGGED").await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("guesses").if_exists().to_owned()).await
    }
}
