//! When a node last found out that the database stores. Each node writes a row of its own, so that no other one can lock it.

use sea_orm::{DbBackend, IntoActiveModel, QueryTrait, Statement, entity::prelude::*, sea_query::OnConflict};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "probes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub node: Uuid,
    pub at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// Writes a node's row.
pub fn write(node: Uuid, at: DateTimeUtc, backend: DbBackend) -> Statement {
    let again = OnConflict::column(Column::Node).update_column(Column::At).to_owned();
    Entity::insert(Model { node, at }.into_active_model()).on_conflict(again).build(backend)
}
