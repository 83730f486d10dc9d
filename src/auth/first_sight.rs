//! A token that was never shown before: its user, who may be new, and its session. Whether the token is
//! good was asked before.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{SessionId, identity, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel, TryInsertResult, sea_query::OnConflict,
};

use super::issuer::Vouched;
use crate::{
    chat::caller::Newcomers,
    db::Db,
    error::{Error, Result, Why},
};

/// How many names are tried for a new user; the last ones are as good as random.
const NAMES: u32 = 12;

/// The session of an external token, however it ended, with its user: all that a token takes which was
/// seen before.
pub(super) async fn seen(db: &Db, session: SessionId) -> Result<Option<(session::Model, user::Model)>> {
    let found = session::Entity::find_by_id(session).find_also_related(user::Entity).one(db.reader()).await?;
    Ok(found.and_then(|(session, user)| Some((session, user?))))
}

/// Opens the session of a token, and makes its user if the issuer's subject never came before.
///
/// # Errors
/// `token_revoked` where the subject's account was deleted: it stays deleted.
pub(super) async fn welcome(
    db: &Db,
    newcomers: &Arc<dyn Newcomers>,
    vouched: &Vouched,
    now: DateTime<Utc>,
) -> Result<()> {
    let user = match known(db, vouched).await? {
        Some(user) => user,
        None => {
            make(db, newcomers, vouched, now).await?;
            // Ours, or that of whoever was faster.
            known(db, vouched).await?.ok_or_else(|| Error::internal("a new identity is not there"))?
        }
    };
    if user.deleted_at.is_some() {
        return Err(Error::Unauthenticated(Why::TokenRevoked));
    }
    let row = session::ActiveModel {
        id: Set(vouched.session),
        user_id: Set(user.id),
        created_at: Set(now),
        expires_at: Set(vouched.expires_at),
        revoked_at: Set(None),
    };
    // Another request with the same token may be here at the same moment.
    session::Entity::insert(row)
        .on_conflict_do_nothing()
        .exec_without_returning(&*db.writer().await?)
        .await?;
    Ok(())
}

/// The user that the subject is bound to, deleted or not.
async fn known(db: &Db, vouched: &Vouched) -> Result<Option<user::Model>> {
    let key = (vouched.issuer.clone(), vouched.subject.clone());
    let found = identity::Entity::find_by_id(key).find_also_related(user::Entity).one(db.reader()).await?;
    Ok(found.and_then(|(_, user)| user))
}

/// A new account, bound to the subject; nothing at all where the subject was bound meanwhile. A name that
/// is taken is somebody else's, and never a way into their account.
async fn make(db: &Db, newcomers: &Arc<dyn Newcomers>, vouched: &Vouched, now: DateTime<Utc>) -> Result<()> {
    let transaction = db.begin().await?;
    for attempt in 0..NAMES {
        let account = newcomers.account(&vouched.introduction, attempt);
        let identity = identity::ActiveModel {
            issuer: Set(vouched.issuer.clone()),
            subject: Set(vouched.subject.clone()),
            user_id: Set(account.id),
            created_at: Set(now),
        };
        let by_name = OnConflict::column(user::Column::UsernameKey).do_nothing().to_owned();
        let made = user::Entity::insert(account.into_active_model().reset_all())
            .on_conflict(by_name)
            .try_insert()
            .exec_without_returning(&*transaction)
            .await?;
        if !is_inserted(&made) {
            continue;
        }
        let bound = identity::Entity::insert(identity)
            .on_conflict_do_nothing()
            .exec_without_returning(&*transaction)
            .await?;
        if is_inserted(&bound) {
            transaction.commit().await?;
        }
        return Ok(());
    }
    Err(Error::internal("no name was free for a new user"))
}

fn is_inserted(result: &TryInsertResult<u64>) -> bool {
    matches!(result, TryInsertResult::Inserted(rows) if *rows > 0)
}
