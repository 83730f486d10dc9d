//! The nodes that serve this database, who is online at each of them, and what they tell one another. A crash of
//! PostgreSQL may empty these tables: the nodes then write them again. So it need not write them to its log, and a beat
//! wakes no disk.

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
        let nodes = Table::create()
            .table("nodes")
            .col(uuid("id").primary_key())
            .col(string("version"))
            .col(big_integer("presence").default(0))
            .col(timestamp_with_time_zone("seen_at").default(Expr::current_timestamp()))
            .to_owned();
        manager.create_table(nodes).await?;
        let presences = Table::create()
            .table("presences")
            .col(uuid("node"))
            .col(uuid("user_id"))
            .col(boolean("online"))
            .col(big_integer("version"))
            .primary_key(Index::create().col("node").col("user_id"))
            .to_owned();
        manager.create_table(presences).await?;
        // Nothing is inserted on SQLite. Its AUTOINCREMENT makes a table that no migration can undo.
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let id = if is_postgres { big_pk_auto("id") } else { big_integer("id").primary_key().take() };
        let notices = Table::create()
            .table("notices")
            .col(id)
            .col(timestamp_with_time_zone("told_at").default(Expr::current_timestamp()))
            .col(uuid_null("node"))
            .col(string("kind"))
            .col(uuid_null("room_id"))
            .col(uuid_null("user_id"))
            .to_owned();
        manager.create_table(notices).await?;
        if is_postgres {
            let database = manager.get_connection();
            // The transaction that has written a notice, so that readers know which ones they have not seen.
            let writer = "ALTER TABLE notices ADD COLUMN writer xid8 NOT NULL DEFAULT pg_current_xact_id()";
            database.execute_unprepared(writer).await?;
            database.execute_unprepared("CREATE INDEX notices_writer ON notices (writer)").await?;
            for table in ["nodes", "presences", "notices"] {
                database.execute_unprepared(&format!("ALTER TABLE {table} SET UNLOGGED")).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["notices", "presences", "nodes"] {
            manager.drop_table(Table::drop().table(table).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
