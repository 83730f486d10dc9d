//! The logins of a user: the list of them, and ending one or all others.

use chrono::{DateTime, Utc};
use entity::{SessionId, session};
use sea_orm::{
    ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, sea_query::NullOrdering,
};

use super::Auth;
use crate::{
    error::{Entity, Error, Result},
    identity::{Caller, Ended},
};

/// The most logins in a list: those that were used last.
const LISTED: u64 = 1_000;

/// A login of a user.
#[derive(Clone, Debug)]
pub struct Login {
    pub id: SessionId,
    /// Where it was last used.
    pub address: Option<String>,
    /// The program that opened it, as it names itself.
    pub client: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    /// It is the caller's own.
    pub is_current: bool,
}

impl Auth {
    /// The caller's logins that have not ended, the last used one first.
    pub async fn logins(&self, caller: &Caller) -> Result<Vec<Login>> {
        let now = self.0.clock.now();
        let mut rows = session::live_of(caller.user, now)
            .order_by_with_nulls(session::Column::LastUsedAt, Order::Desc, NullOrdering::Last)
            .limit(LISTED)
            .all(self.0.db.reader())
            .await?;
        if !rows.iter().any(|row| row.id == caller.session) {
            // It was used just now, which may not be saved yet.
            rows.truncate(LISTED as usize - 1);
            rows.extend(session::Entity::find_by_id(caller.session).one(self.0.db.reader()).await?);
        }
        let mut logins: Vec<Login> = rows.into_iter().map(|row| self.login_of(row, caller)).collect();
        logins.sort_by_key(|login| std::cmp::Reverse((login.last_used_at, login.id)));
        Ok(logins)
    }

    fn login_of(&self, row: session::Model, caller: &Caller) -> Login {
        let saved = row.last_used_at.unwrap_or(row.created_at);
        let newer = self.0.uses.last(row.id).filter(|last| last.at >= saved);
        Login {
            id: row.id,
            address: newer.map(|last| last.address.to_string()).or(row.address),
            client: row.client,
            created_at: row.created_at,
            last_used_at: newer.map_or(saved, |last| last.at),
            is_current: row.id == caller.session,
        }
    }

    /// Ends one of the caller's logins. Its tokens are refused from now on, and its connections are closed.
    ///
    /// # Errors
    /// `not_found` if there is no such login of the caller. One that has ended already is no error.
    pub async fn end_login(&self, caller: &Caller, id: SessionId) -> Result<()> {
        let own = session::Entity::find_by_id(id).filter(session::Column::UserId.eq(caller.user));
        if own.one(self.0.db.reader()).await?.is_none() {
            return Err(Error::NotFound(Entity::Session));
        }
        let reason = if id == caller.session { "You logged out" } else { "This login was ended" };
        self.revoke(id, reason).await
    }

    /// Ends all of the caller's logins but the current one.
    pub async fn end_other_logins(&self, caller: &Caller) -> Result<()> {
        let (user, spare) = (caller.user, Some(caller.session));
        let tx = self.0.db.begin().await?;
        session::revoke_all(&*tx, user, spare, self.0.clock.now()).await?;
        tx.commit().await?;
        self.0.watch.ended(Ended::User { user, spare }, "This login was ended");
        Ok(())
    }
}
