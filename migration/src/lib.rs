//! The ordered list of schema changes. A migration names its columns itself and uses no entity, because it
//! must have the same effect in two years.

use sea_orm_migration::prelude::*;

mod m20261121_000001_create_the_tables;
mod m20261121_000002_remember_joined_rooms;
mod m20261121_000003_drop_the_senders_index;
mod m20261127_000004_remember_deletions;
mod m20261127_000005_recognise_returning_clients;
mod m20261127_000006_remember_when_things_changed;
mod m20261127_000007_fold_names;
mod m20261127_000008_describe_sessions;
mod m20261127_000009_remember_what_issuers_said;
mod m20261127_000010_link_to_the_first_admin;
mod m20261127_000011_number_changes;
mod m20261127_000012_react_pin_and_delete;
mod m20261128_000013_thread_mention_and_expire;
mod m20261128_000014_disable_accounts;
mod m20261128_000015_remember_views_of_rooms;
mod m20261128_000016_know_the_nodes;
mod m20261128_000017_count_connections;
mod m20261128_000018_count_guesses;
mod m20261128_000019_say_whom_it_serves;
mod m20261128_000020_know_how_nodes_stand;

/// Programs that have this migration can use a database with all migrations of [`Migrator`]. If a migration takes away
/// something that a program uses, name here the first migration of the programs that no longer use it.
pub const SERVES_SINCE: &str = "m20261128_000019_say_whom_it_serves";

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_the_tables::Migration),
            Box::new(m20261121_000002_remember_joined_rooms::Migration),
            Box::new(m20261121_000003_drop_the_senders_index::Migration),
            Box::new(m20261127_000004_remember_deletions::Migration),
            Box::new(m20261127_000005_recognise_returning_clients::Migration),
            Box::new(m20261127_000006_remember_when_things_changed::Migration),
            Box::new(m20261127_000007_fold_names::Migration),
            Box::new(m20261127_000008_describe_sessions::Migration),
            Box::new(m20261127_000009_remember_what_issuers_said::Migration),
            Box::new(m20261127_000010_link_to_the_first_admin::Migration),
            Box::new(m20261127_000011_number_changes::Migration),
            Box::new(m20261127_000012_react_pin_and_delete::Migration),
            Box::new(m20261128_000013_thread_mention_and_expire::Migration),
            Box::new(m20261128_000014_disable_accounts::Migration),
            Box::new(m20261128_000015_remember_views_of_rooms::Migration),
            Box::new(m20261128_000016_know_the_nodes::Migration),
            Box::new(m20261128_000017_count_connections::Migration),
            Box::new(m20261128_000018_count_guesses::Migration),
            Box::new(m20261128_000019_say_whom_it_serves::Migration),
            Box::new(m20261128_000020_know_how_nodes_stand::Migration),
        ]
    }
}
