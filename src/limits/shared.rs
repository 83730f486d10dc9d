//! Wrong passwords that the other nodes on the same PostgreSQL have counted. An attempt is written down when it begins, as a
//! wrong one, and forgotten when it turns out to be right. So a node that dies leaves it counted, and an answer is never
//! given before the other nodes can know.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use super::sql;
use crate::db::Db;

/// For how long an attempt of another node may still turn out to be right. Longer than a password hash takes.
pub(super) const UNDER_WAY: Duration = Duration::from_secs(2);

/// See the module.
pub struct SharedGuesses {
    db: Db,
    node: Uuid,
}

/// A wrong password that another node has counted.
#[derive(Debug)]
pub(super) struct ForeignGuess {
    pub key: Uuid,
    pub until: DateTime<Utc>,
    /// It may still turn out to be right.
    pub is_under_way: bool,
}

impl SharedGuesses {
    /// None on SQLite, which one server has for itself.
    pub fn of(db: &Db) -> Option<Self> {
        (!db.is_sqlite()).then(|| Self { db: db.clone(), node: Uuid::now_v7() })
    }

    /// What is counted of these keys, of each one ascending. Nothing if the database does not answer: what is counted here
    /// still holds.
    pub(super) async fn read(&self, keys: Vec<Uuid>, now: DateTime<Utc>) -> Vec<ForeignGuess> {
        let values = [keys.into(), self.node.into(), now.into(), UNDER_WAY.as_secs_f64().into()];
        let read = async {
            let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::COUNTED_ELSEWHERE, values);
            let rows = self.db.reader().query_all_raw(asked).await?;
            let guess = |row: &QueryResult| {
                Ok(ForeignGuess {
                    key: row.try_get_by_index(0)?,
                    until: row.try_get_by_index(1)?,
                    is_under_way: row.try_get_by_index(2)?,
                })
            };
            rows.iter().map(guess).collect()
        };
        self.within_patience(read).await.unwrap_or_default()
    }

    /// Counts an attempt as wrong for each key, until its time.
    pub(super) async fn count(&self, attempt: Uuid, parts: Vec<(Uuid, DateTime<Utc>)>) {
        let (keys, until): (Vec<Uuid>, Vec<DateTime<Utc>>) = parts.into_iter().unzip();
        self.write(sql::COUNT, vec![attempt.into(), self.node.into(), keys.into(), until.into()]).await;
    }

    /// The attempt was not wrong. Of those of its keys that are `cleared`, all attempts of all nodes are forgotten.
    pub(super) async fn forget(&self, attempt: Uuid, keys: Vec<Uuid>, cleared: Vec<Uuid>) {
        self.write(sql::FORGET, vec![attempt.into(), keys.into(), cleared.into()]).await;
    }

    async fn write(&self, text: &str, values: Vec<Value>) {
        let write = async {
            let asked = Statement::from_sql_and_values(DbBackend::Postgres, text, values);
            self.db.writer().await?.execute_raw(asked).await
        };
        self.within_patience(write).await;
    }

    async fn within_patience<T>(&self, asked: impl Future<Output = Result<T, DbErr>>) -> Option<T> {
        match tokio::time::timeout(self.db.patience(), asked).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(err)) => {
                tracing::warn!(error = %err, "wrong passwords are counted by this node alone");
                None
            }
            Err(_) => None,
        }
    }
}
