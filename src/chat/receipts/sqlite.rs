//! Saving receipts on SQLite: lists of values, in one transaction.

use entity::{member, user};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction,
    sea_query::{
        Alias, CaseStatement, Expr, ExprTrait, IntoIden, IntoValueTuple, Query, TableRef, ValueTuple,
    },
};

use super::{ROWS, Row, Seen};
use crate::{db::Db, error::Result};

pub(super) async fn save(db: &Db, receipts: &[Row], seen: &[Seen]) -> Result<()> {
    let tx = db.begin().await?;
    for rows in receipts.chunks(ROWS) {
        save_receipts(&tx, listing(rows)).await?;
    }
    for rows in seen.chunks(ROWS) {
        save_seen(&tx, listing(rows)).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn listing<T: IntoValueTuple + Copy>(rows: &[T]) -> Vec<ValueTuple> {
    rows.iter().map(|row| (*row).into_value_tuple()).collect()
}

/// SQLite calls the columns of a list of values column1, column2, …
fn listed(column: &'static str) -> Expr {
    Expr::col((Alias::new("moved"), Alias::new(column)))
}

/// Never an insert: a receipt must not bring back a member who has left.
async fn save_receipts(tx: &DatabaseTransaction, rows: Vec<ValueTuple>) -> Result<()> {
    let later = |column: member::Column, value: &'static str| {
        let stored = || Expr::col((member::Entity, column));
        CaseStatement::new().case(listed(value).gt(stored()), listed(value)).finally(stored())
    };
    let mut update = Query::update();
    update
        .table(member::Entity)
        .value(member::Column::DeliveredSeq, later(member::Column::DeliveredSeq, "column3"))
        .value(member::Column::ReadSeq, later(member::Column::ReadSeq, "column4"))
        .value(member::Column::ToldSeq, later(member::Column::ToldSeq, "column5"))
        .from(TableRef::ValuesList(rows, Alias::new("moved").into_iden()))
        .and_where(Expr::col((member::Entity, member::Column::RoomId)).eq(listed("column1")))
        .and_where(Expr::col((member::Entity, member::Column::UserId)).eq(listed("column2")));
    tx.execute(&update).await?;
    Ok(())
}

async fn save_seen(tx: &DatabaseTransaction, rows: Vec<ValueTuple>) -> Result<()> {
    let mut update = Query::update();
    update
        .table(user::Entity)
        .value(user::Column::LastSeenAt, listed("column2"))
        .from(TableRef::ValuesList(rows, Alias::new("moved").into_iden()))
        .and_where(Expr::col((user::Entity, user::Column::Id)).eq(listed("column1")));
    tx.execute(&update).await?;
    Ok(())
}
