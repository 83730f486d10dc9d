//! Names are compared by their folded form, names that look alike are noticed, and users are searched by folded
//! text.
//!
//! Names that were different before, and are equal now, stay usable: one of them gets the folded form as its
//! key, and each other one gets a key that also contains its old key. Names that are no longer valid stay as
//! they are. The log says which names these are.

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{ConnectionTrait, prelude::Uuid},
};

/// Rows that are read at a time.
const PAGE: u64 = 1_000;
/// Readings that one statement inserts.
const READINGS: usize = 5_000;
/// Names that the log shows, of users and of groups. It has the number of all of them.
const SHOWN: usize = 100;
/// Stands between the folded name and the old key in a key that tells equal names apart. No folded name
/// contains it.
const APART: char = '\u{1}';

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let search = text("search_text").default("").take();
        manager.alter_table(Table::alter().table("users").add_column(search).to_owned()).await?;
        let table = Table::create()
            .table("look_alikes")
            .col(string_len("kind", 5))
            .col(text("reading"))
            .col(uuid("holder"))
            .primary_key(Index::create().col("kind").col("reading"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("look_alikes_holder").table("look_alikes").col("holder").to_owned();
        manager.create_index(index).await?;
        let db = manager.get_connection();
        fold_names(db, &USERS).await?;
        fold_names(db, &GROUPS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("look_alikes").to_owned()).await?;
        manager.alter_table(Table::alter().table("users").drop_column("search_text").to_owned()).await?;
        let db = manager.get_connection();
        for names in [&USERS, &GROUPS] {
            let mut after = None;
            loop {
                let rows = page(db, names, after, &[]).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.id);
                for row in &rows {
                    let key = (names.old_key)(&row.name);
                    if key != row.key {
                        set(db, names.table, row.id, names.key, key).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The table and columns of a kind of names.
struct Names {
    kind: &'static str,
    table: &'static str,
    name: &'static str,
    key: &'static str,
    /// The key before this migration.
    old_key: fn(&str) -> String,
    check: fn(&str) -> Result<String, ::text::Reason>,
}

const USERS: Names = Names {
    kind: "user",
    table: "users",
    name: "username",
    key: "username_key",
    old_key: str::to_lowercase,
    check: ::text::username,
};

/// Deleted groups have no key.
const GROUPS: Names = Names {
    kind: "group",
    table: "rooms",
    name: "name",
    key: "name_key",
    old_key: str::to_owned,
    check: ::text::group_name,
};

struct Row {
    id: Uuid,
    name: String,
    key: String,
    /// A user's first and last name.
    details: Vec<Option<String>>,
}

async fn fold_names(db: &SchemaManagerConnection<'_>, names: &Names) -> Result<(), DbErr> {
    let details: &[&'static str] = if names.kind == "user" { &["first_name", "last_name"] } else { &[] };
    let mut report = Report { kind: names.kind, invalid: 0, equal: 0 };
    let mut changing = Vec::new();
    let mut after = None;
    loop {
        let rows = page(db, names, after, details).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.id);
        take_readings(db, names.kind, &rows).await?;
        for row in rows {
            if let Err(reason) = (names.check)(&row.name) {
                report.invalid(&row, &reason);
            }
            if !details.is_empty() {
                set(db, names.table, row.id, "search_text", search_text(&row)).await?;
            }
            let folded = ::text::fold(&row.name).into_owned();
            if folded != row.key {
                changing.push((row, folded));
            }
        }
    }
    // The names whose keys stay the same have them. Of the others, the older one of two equal names comes first.
    for (row, folded) in changing {
        let taken = Query::select()
            .column("id")
            .from(names.table)
            .and_where(Expr::col(names.key).eq(folded.as_str()))
            .take();
        let key = if db.query_one(&taken).await?.is_some() {
            report.equal(&row);
            format!("{folded}{APART}{}", row.key)
        } else {
            folded
        };
        set(db, names.table, row.id, names.key, key).await?;
    }
    report.end();
    Ok(())
}

/// The rows with a key after this id, the oldest first.
async fn page(
    db: &SchemaManagerConnection<'_>,
    names: &Names,
    after: Option<Uuid>,
    details: &[&'static str],
) -> Result<Vec<Row>, DbErr> {
    let mut query = Query::select();
    query.columns(["id", names.name, names.key]).columns(details.iter().copied()).from(names.table);
    query.and_where(Expr::col(names.key).is_not_null()).order_by("id", Order::Asc).limit(PAGE);
    if let Some(after) = after {
        query.and_where(Expr::col("id").gt(after));
    }
    let rows = db.query_all(&query).await?;
    let row = |row: sea_orm_migration::sea_orm::QueryResult| {
        Ok(Row {
            id: row.try_get_by_index(0)?,
            name: row.try_get_by_index::<Option<String>>(1)?.unwrap_or_default(),
            key: row.try_get_by_index(2)?,
            details: (3..3 + details.len()).map(|at| row.try_get_by_index(at)).collect::<Result<_, _>>()?,
        })
    };
    rows.into_iter().map(row).collect()
}

/// The form that `entity::user::search_text` has today.
fn search_text(row: &Row) -> String {
    let names = std::iter::once(Some(&row.name)).chain(row.details.iter().map(Option::as_ref));
    let folded: Vec<_> = names.map(|name| ::text::fold(name.map_or("", String::as_str))).collect();
    folded.join("\n")
}

/// The oldest name with a reading takes it.
async fn take_readings(
    db: &SchemaManagerConnection<'_>,
    kind: &'static str,
    rows: &[Row],
) -> Result<(), DbErr> {
    let readings: Vec<(String, Uuid)> = rows
        .iter()
        .flat_map(|row| ::text::look_alikes(&row.name).into_iter().map(|reading| (reading, row.id)))
        .collect();
    for part in readings.chunks(READINGS) {
        let mut insert = Query::insert();
        insert.into_table("look_alikes").columns(["kind", "reading", "holder"]);
        for (reading, holder) in part {
            insert.values_panic([kind.into(), reading.as_str().into(), (*holder).into()]);
        }
        insert.on_conflict(OnConflict::columns(["kind", "reading"]).do_nothing().to_owned());
        db.execute(&insert).await?;
    }
    Ok(())
}

async fn set(
    db: &SchemaManagerConnection<'_>,
    table: &'static str,
    id: Uuid,
    column: &'static str,
    value: String,
) -> Result<(), DbErr> {
    let update = Query::update().table(table).value(column, value).and_where(Expr::col("id").eq(id)).take();
    db.execute(&update).await.map(drop)
}

/// What the log says about names that no new account or group could have.
struct Report {
    kind: &'static str,
    invalid: usize,
    equal: usize,
}

impl Report {
    fn invalid(&mut self, row: &Row, reason: &str) {
        self.invalid += 1;
        if self.invalid <= SHOWN {
            tracing::warn!(
                id = %row.id,
                name = ?row.name,
                "the name of a {} stays usable, but a new one {reason}",
                self.kind
            );
        }
    }

    fn equal(&mut self, row: &Row) {
        self.equal += 1;
        if self.equal <= SHOWN {
            tracing::warn!(
                id = %row.id,
                name = ?row.name,
                "another {} has the same name by the new rules; this one is found only by its name exactly as it is \
                 written, or by its id",
                self.kind
            );
        }
    }

    fn end(&self) {
        let Self { kind, invalid, equal } = self;
        if invalid + equal > 0 {
            tracing::warn!(
                "names of {kind}s that are not valid for new ones: {invalid}; equal to another one: {equal}"
            );
        }
    }
}
