//! Sessions in the database: opening, extending, ending, and reading them with their user. The caller
//! notifies the connections of an ended session.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId, session, user};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryResult,
    QuerySelect, RelationTrait, UpdateMany, sea_query::Expr,
};

use super::sql;
use crate::{
    db::{Db, coalesce::Coalescer},
    error::Result,
    identity::Account,
    shutdown::Shutdown,
};

/// Reads the users of live sessions, as [`live`] does, for all callers who present a token at the same time.
pub(super) type LiveUsers = Coalescer<SessionId, Option<Account>>;

pub(super) fn live_users(db: &Db, shutdown: &Shutdown) -> LiveUsers {
    let db = db.clone();
    Coalescer::new(shutdown.clone(), db.patience(), move |sessions: Vec<SessionId>| {
        let db = db.clone();
        Box::pin(async move {
            let asked = db.values_list(sql::LIVE_USERS, sessions.iter().map(|session| session.0));
            let rows = db.reader().query_all_raw(asked).await?;
            let live: HashMap<SessionId, Account> = rows.iter().map(live_user).collect::<Result<_, _>>()?;
            // The same session may be in the list twice.
            Ok(sessions.iter().map(|session| live.get(session).cloned()).collect())
        })
    })
}

fn live_user(row: &QueryResult) -> Result<(SessionId, Account), DbErr> {
    let session = row.try_get_by_index(0)?;
    let (user, username) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    let (first_name, is_admin) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
    Ok((session, Account::new(user, username, first_name, is_admin)))
}

/// Opens a session, and returns it with the current user. None if the account is gone or its password has
/// changed.
///
/// The user's row is locked meanwhile. An earlier password change is seen here; a later one finds the session
/// and ends it. Without the lock, a login with the old password could survive the change.
pub(super) async fn open(
    db: &Db,
    known: &user::Model,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Option<(SessionId, user::Model)>> {
    let transaction = db.begin().await?;
    let user = user::live().filter(user::Column::Id.eq(known.id)).lock_shared().one(&*transaction).await?;
    let Some(user) = user.filter(|user| user.password_hash == known.password_hash) else { return Ok(None) };
    let id = SessionId::new();
    let row = session::ActiveModel {
        id: Set(id),
        user_id: Set(user.id),
        created_at: Set(now),
        expires_at: Set(expires_at),
        revoked_at: Set(None),
    };
    session::Entity::insert(row).exec_without_returning(&*transaction).await?;
    transaction.commit().await?;
    Ok(Some((id, user)))
}

/// A session that has not ended, of a user who is not deleted.
pub(super) async fn live(
    db: &Db,
    session: SessionId,
    user: UserId,
) -> Result<Option<(session::Model, user::Model)>> {
    let found = session::Entity::find_by_id(session)
        .filter(session::Column::UserId.eq(user))
        .filter(session::Column::RevokedAt.is_null())
        .filter(user::Column::DeletedAt.is_null())
        .find_also_related(user::Entity)
        .one(db.reader())
        .await?;
    Ok(found.and_then(|(session, user)| Some((session, user?))))
}

/// Those of the sessions that are not live.
pub(super) async fn ended_among(db: &Db, sessions: Vec<SessionId>) -> Result<Vec<SessionId>> {
    let mut ended = Vec::new();
    // Below the maximum number of parameters of one statement.
    for asked in sessions.chunks(1_000) {
        let live: Vec<SessionId> = session::Entity::find()
            .filter(session::Column::Id.is_in(asked.iter().copied()))
            .filter(session::Column::RevokedAt.is_null())
            .join(JoinType::InnerJoin, session::Relation::User.def())
            .filter(user::Column::DeletedAt.is_null())
            .select_only()
            .column(session::Column::Id)
            .into_tuple()
            .all(db.reader())
            .await?;
        let live: HashSet<SessionId> = live.into_iter().collect();
        ended.extend(asked.iter().filter(|session| !live.contains(session)));
    }
    Ok(ended)
}

/// Extends a session. Returns whether it had not ended.
pub(super) async fn prolong(db: &Db, session: SessionId, until: DateTime<Utc>) -> Result<bool> {
    let prolonged = open_sessions()
        .col_expr(session::Column::ExpiresAt, Expr::value(until))
        .filter(session::Column::Id.eq(session))
        .exec(&*db.writer().await?)
        .await?;
    Ok(prolonged.rows_affected == 1)
}

pub(super) async fn revoke(db: &Db, session: SessionId, now: DateTime<Utc>) -> Result<()> {
    open_sessions()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .filter(session::Column::Id.eq(session))
        .exec(&*db.writer().await?)
        .await?;
    Ok(())
}

/// An update of sessions that have not ended.
fn open_sessions() -> UpdateMany<session::Entity> {
    session::Entity::update_many().filter(session::Column::RevokedAt.is_null())
}
