//! The ordered list of schema changes. A migration names its columns itself and uses no entity, because it
//! must have the same effect in two years.

use sea_orm_migration::prelude::*;

mod m20261121_000001_create_the_tables;
mod m20261121_000002_remember_joined_rooms;
mod m20261121_000003_drop_the_senders_index;
mod m20261127_000004_remember_deletions;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_the_tables::Migration),
            Box::new(m20261121_000002_remember_joined_rooms::Migration),
            Box::new(m20261121_000003_drop_the_senders_index::Migration),
            Box::new(m20261127_000004_remember_deletions::Migration),
        ]
    }
}
