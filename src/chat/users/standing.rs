//! What an operator decides about an account: whether it is an admin's, and whether it may sign in.

use entity::{session, user};
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::update_live;
use crate::{
    chat::{Chat, model::User},
    error::{Entity, Error, Forbidden, Result},
    identity::{Caller, Ended, SessionWatch},
};

impl Chat {
    /// Makes a user an admin, or an ordinary user again. Who is no admin any more loses all logins in the same
    /// transaction, so that no connection keeps its rights.
    pub async fn set_admin(&self, caller: &Caller, id_or_username: &str, is_admin: bool) -> Result<User> {
        let change = user::ActiveModel { is_admin: Set(is_admin), ..Default::default() };
        let reason = (!is_admin).then_some("The account is no admin's any more");
        self.stand(caller, id_or_username, change, reason).await
    }

    /// Keeps a user from signing in, and ends all logins in the same transaction; or lets the user sign in again.
    /// Nothing else changes: the user stays in all rooms.
    pub async fn set_disabled(
        &self,
        caller: &Caller,
        id_or_username: &str,
        is_disabled: bool,
    ) -> Result<User> {
        let since = is_disabled.then(|| self.core.clock.now());
        let change = user::ActiveModel { disabled_at: Set(since), ..Default::default() };
        let reason = is_disabled.then_some("The account was disabled");
        self.stand(caller, id_or_username, change, reason).await
    }

    /// Changes an account. With a reason, its logins end.
    async fn stand(
        &self,
        caller: &Caller,
        id_or_username: &str,
        change: user::ActiveModel,
        reason: Option<&'static str>,
    ) -> Result<User> {
        let core = &self.core;
        // Not even for one's own account.
        if !caller.is_admin {
            return Err(Error::Forbidden(Forbidden::NotYours));
        }
        let user = core.user_row(id_or_username).await?.id;
        let tx = core.db.begin().await?;
        update_live(&tx, user, change).await?;
        if reason.is_some() {
            session::revoke_all(&*tx, user, None, core.clock.now()).await?;
        }
        let row = user::Entity::find_by_id(user).one(&*tx).await?.ok_or(Error::NotFound(Entity::User))?;
        tx.commit().await?;
        if let Some(reason) = reason {
            self.ended(Ended::User { user, spare: None }, reason);
        }
        Ok(core.to_user(row))
    }
}
