//! Sessions in the database: opening, extending, ending, and reading them with their user. The caller
//! notifies the connections of an ended session.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId, notice, session, user};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, RelationTrait, UpdateMany, sea_query::Expr,
};

use super::{Device, sql};
use crate::{
    db::{Db, ROWS, coalesce::Coalescer},
    error::Result,
    identity::Account,
    shutdown::Shutdown,
};

/// A live session's user, and when the session was opened.
#[derive(Clone)]
pub(super) struct LiveUser {
    pub account: Account,
    pub opened_at: DateTime<Utc>,
}

/// The most sessions whose addresses are looked at.
const ADDRESSES: u64 = 200;

/// Reads the users of live sessions, as [`live`] does, for all callers who present a token at the same time.
pub(super) type LiveUsers = Coalescer<SessionId, Option<LiveUser>>;

pub(super) fn live_users(db: &Db, shutdown: &Shutdown) -> LiveUsers {
    let db = db.clone();
    Coalescer::new(shutdown.clone(), db.patience(), move |sessions: Vec<SessionId>| {
        let db = db.clone();
        Box::pin(async move {
            let asked = db.values_list(sql::LIVE_USERS, sessions.iter().map(|session| session.0));
            let rows = db.reader().query_all_raw(asked).await?;
            let live: HashMap<SessionId, LiveUser> = rows.iter().map(live_user).collect::<Result<_, _>>()?;
            // The same session may be in the list twice.
            Ok(sessions.iter().map(|session| live.get(session).cloned()).collect())
        })
    })
}

fn live_user(row: &QueryResult) -> Result<(SessionId, LiveUser), DbErr> {
    let session = row.try_get_by_index(0)?;
    let (user, username) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    let (first_name, is_admin) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
    let opened_at = row.try_get_by_index(5)?;
    let account = Account::new(user, username, first_name, is_admin);
    Ok((session, LiveUser { account, opened_at }))
}

/// What is stored of a new session.
pub(super) struct NewSession<'a> {
    pub now: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub device: &'a Device,
    pub by_password: bool,
}

impl NewSession<'_> {
    pub fn row(&self, id: SessionId, user: UserId) -> session::ActiveModel {
        session::ActiveModel {
            id: Set(id),
            user_id: Set(user),
            created_at: Set(self.now),
            expires_at: Set(self.expires_at),
            revoked_at: Set(None),
            last_used_at: Set(Some(self.now)),
            address: Set(Some(self.device.address.to_string())),
            client: Set(self.device.client.as_deref().map(str::to_owned)),
            by_password: Set(self.by_password),
        }
    }
}

/// Opens a session, and returns it with the current user. None if the account is gone or disabled, or its
/// password has changed.
///
/// The user's row is locked meanwhile. An earlier password change is seen here; a later one finds the session
/// and ends it. Without the lock, a login with the old password could survive the change.
pub(super) async fn open(
    db: &Db,
    known: &user::Model,
    new: NewSession<'_>,
) -> Result<Option<(SessionId, user::Model)>> {
    let transaction = db.begin().await?;
    let user =
        user::may_sign_in().filter(user::Column::Id.eq(known.id)).lock_shared().one(&*transaction).await?;
    let Some(user) = user.filter(|user| user.password_hash == known.password_hash) else { return Ok(None) };
    let id = SessionId::new();
    session::Entity::insert(new.row(id, user.id)).exec_without_returning(&*transaction).await?;
    transaction.commit().await?;
    Ok(Some((id, user)))
}

/// A session that has not ended, of a user who is neither deleted nor disabled.
pub(super) async fn live(
    db: &Db,
    session: SessionId,
    user: UserId,
) -> Result<Option<(session::Model, user::Model)>> {
    let found = session::Entity::find_by_id(session)
        .filter(session::Column::UserId.eq(user))
        .filter(session::Column::RevokedAt.is_null())
        .filter(user::Column::DeletedAt.is_null())
        .filter(user::Column::DisabledAt.is_null())
        .find_also_related(user::Entity)
        .one(db.reader())
        .await?;
    Ok(found.and_then(|(session, user)| Some((session, user?))))
}

/// Those of the sessions that are not live.
pub(super) async fn ended_among(db: &Db, sessions: Vec<SessionId>) -> Result<Vec<SessionId>> {
    let mut ended = Vec::new();
    for asked in sessions.chunks(ROWS) {
        let live: Vec<SessionId> = session::Entity::find()
            .filter(session::Column::Id.is_in(asked.iter().copied()))
            .filter(session::Column::RevokedAt.is_null())
            .join(JoinType::InnerJoin, session::Relation::User.def())
            .filter(user::Column::DeletedAt.is_null())
            .filter(user::Column::DisabledAt.is_null())
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
    let tx = db.begin().await?;
    let revoke = open_sessions()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .filter(session::Column::Id.eq(session));
    if revoke.exec(&*tx).await?.rows_affected > 0
        && let Some(row) = session::Entity::find_by_id(session).one(&*tx).await?
    {
        notice::tell(&*tx, [notice::of_user(notice::Kind::LoginsEnded, row.user_id, None)]).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// An update of sessions that have not ended.
fn open_sessions() -> UpdateMany<session::Entity> {
    session::Entity::update_many().filter(session::Column::RevokedAt.is_null())
}

/// Where the sessions of an account that its password has opened were last used, the newest ones. Ended ones
/// count, too, until their rows are deleted.
pub(super) async fn addresses_of(db: &Db, username: &str, since: DateTime<Utc>) -> Result<Vec<String>> {
    let addresses: Vec<Option<String>> = session::Entity::find()
        .join(JoinType::InnerJoin, session::Relation::User.def())
        .filter(user::Column::UsernameKey.eq(user::username_key(username)))
        .filter(user::Column::DeletedAt.is_null())
        .filter(session::Column::ByPassword.eq(true))
        .filter(session::Column::CreatedAt.gt(since))
        .order_by_desc(session::Column::CreatedAt)
        .limit(ADDRESSES)
        .select_only()
        .column(session::Column::Address)
        .into_tuple()
        .all(db.reader())
        .await?;
    Ok(addresses.into_iter().flatten().collect())
}
