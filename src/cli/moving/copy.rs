//! Copies a table from one database into another, whatever form each one stores its values in.

use std::pin::pin;

use entity::{
    admin_link, deletion, identity, joined_room, look_alike, member, mention, message_version, pin, reaction,
    room, session, stored_message, thread, thread_mark, ticket, user,
};
use futures_util::{TryStreamExt, future::BoxFuture};
use sea_orm::{
    ActiveModelTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, ModelTrait, QuerySelect,
};

use super::fingerprint::Fingerprint;
use crate::db::ROWS;

/// How many bytes are sent in one statement, about.
const BYTES: usize = 2_000_000;

type CopyRows =
    for<'a> fn(&'a DatabaseTransaction, &'a DatabaseTransaction) -> BoxFuture<'a, Result<Fingerprint, DbErr>>;
type ReadRows = for<'a> fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<Fingerprint, DbErr>>;
type HasRows = for<'a> fn(&'a DatabaseTransaction) -> BoxFuture<'a, Result<bool, DbErr>>;

/// What can be done with the rows of one table.
pub struct MovedTable {
    pub name: &'static str,
    copy: CopyRows,
    read: ReadRows,
    has_rows: HasRows,
}

/// All tables, those that others refer to first.
pub const TABLES: [MovedTable; 17] = [
    MovedTable::of::<user::Entity>("users"),
    MovedTable::of::<identity::Entity>("identities"),
    MovedTable::of::<room::Entity>("rooms"),
    MovedTable::of::<member::Entity>("members"),
    MovedTable::of::<stored_message::Entity>("messages"),
    MovedTable::of::<message_version::Entity>("message_versions"),
    MovedTable::of::<reaction::Entity>("reactions"),
    MovedTable::of::<pin::Entity>("pins"),
    MovedTable::of::<mention::Entity>("mentions"),
    MovedTable::of::<thread::Entity>("threads"),
    MovedTable::of::<thread_mark::Entity>("thread_marks"),
    MovedTable::of::<session::Entity>("sessions"),
    MovedTable::of::<ticket::Entity>("tickets"),
    MovedTable::of::<joined_room::Entity>("joined_rooms"),
    MovedTable::of::<look_alike::Entity>("look_alikes"),
    MovedTable::of::<deletion::Entity>("deletions"),
    MovedTable::of::<admin_link::Entity>("admin_links"),
];

impl MovedTable {
    const fn of<E>(name: &'static str) -> Self
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E> + IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: Send,
    {
        Self {
            name,
            copy: |from, to| Box::pin(copy::<E>(from, to)),
            read: |from| Box::pin(read::<E>(from)),
            has_rows: |of| Box::pin(has_rows::<E>(of)),
        }
    }

    /// Copies all rows. Returns what was read.
    pub async fn copy(
        &self,
        from: &DatabaseTransaction,
        to: &DatabaseTransaction,
    ) -> Result<Fingerprint, DbErr> {
        (self.copy)(from, to).await
    }

    pub async fn read(&self, from: &DatabaseTransaction) -> Result<Fingerprint, DbErr> {
        (self.read)(from).await
    }

    pub async fn has_rows(&self, of: &DatabaseTransaction) -> Result<bool, DbErr> {
        (self.has_rows)(of).await
    }
}

async fn copy<E>(from: &DatabaseTransaction, to: &DatabaseTransaction) -> Result<Fingerprint, DbErr>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let mut fingerprint = Fingerprint::default();
    let mut rows = pin!(E::find().stream(from).await?);
    let mut waiting = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += fingerprint.add(&row);
        waiting.push(row.into_active_model().reset_all());
        if waiting.len() == ROWS || bytes >= BYTES {
            E::insert_many(std::mem::take(&mut waiting)).exec_without_returning(to).await?;
            bytes = 0;
        }
    }
    if !waiting.is_empty() {
        E::insert_many(waiting).exec_without_returning(to).await?;
    }
    Ok(fingerprint)
}

async fn read<E>(from: &DatabaseTransaction) -> Result<Fingerprint, DbErr>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E>,
{
    let mut fingerprint = Fingerprint::default();
    let mut rows = pin!(E::find().stream(from).await?);
    while let Some(row) = rows.try_next().await? {
        fingerprint.add(&row);
    }
    Ok(fingerprint)
}

async fn has_rows<E: EntityTrait>(of: &DatabaseTransaction) -> Result<bool, DbErr> {
    Ok(E::find().limit(1).one(of).await?.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sea_orm::{ConnectionTrait, DbBackend, IdenStatic, Iterable, Statement};

    use super::*;
    use crate::db::Db;

    fn columns<E: EntityTrait>() -> BTreeSet<String> {
        E::Column::iter().map(|column| column.as_str().to_owned()).collect()
    }

    /// A new table, or a new column that no entity has, would stay behind. What nodes tell one another stays behind, as
    /// no node serves the other database yet.
    #[tokio::test]
    async fn every_column_of_every_table_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::migrated_in(folder.path()).await;
        let ask = async |sql: String| {
            let asked = Statement::from_string(DbBackend::Sqlite, sql);
            let rows = db.reader().query_all_raw(asked).await.unwrap();
            rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect::<BTreeSet<_>>()
        };
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                      AND name NOT IN ('seaql_migrations', 'nodes', 'presences', 'notices', 'guesses', \
                      'schema_serves', 'probes')";
        let moved: BTreeSet<String> = TABLES.iter().map(|table| table.name.to_owned()).collect();
        assert_eq!(ask(tables.to_owned()).await, moved);
        for (table, columns) in [
            ("users", columns::<user::Entity>()),
            ("identities", columns::<identity::Entity>()),
            ("rooms", columns::<room::Entity>()),
            ("members", columns::<member::Entity>()),
            ("messages", columns::<stored_message::Entity>()),
            ("message_versions", columns::<message_version::Entity>()),
            ("reactions", columns::<reaction::Entity>()),
            ("pins", columns::<pin::Entity>()),
            ("mentions", columns::<mention::Entity>()),
            ("threads", columns::<thread::Entity>()),
            ("thread_marks", columns::<thread_mark::Entity>()),
            ("sessions", columns::<session::Entity>()),
            ("tickets", columns::<ticket::Entity>()),
            ("joined_rooms", columns::<joined_room::Entity>()),
            ("look_alikes", columns::<look_alike::Entity>()),
            ("deletions", columns::<deletion::Entity>()),
            ("admin_links", columns::<admin_link::Entity>()),
        ] {
            let stored = ask(format!("SELECT name FROM pragma_table_info('{table}')")).await;
            assert_eq!(stored, columns, "{table}");
        }
    }
}
