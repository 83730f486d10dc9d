//! The limits on how many groups a user may own and make, and on how many people a user may add to groups.

use std::time::Duration;

use entity::{
    UserId,
    member::{self, Role},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, PaginatorTrait, QueryFilter, Statement,
};

use crate::{
    chat::{ChatSettings, Core, sql},
    clock::Clock,
    error::{Error, Forbidden, Result},
    rates::{Quota, Share},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// See the module.
pub(in crate::chat) struct Quotas {
    pub groups: Quota,
    members: Quota,
}

impl Quotas {
    pub fn new(clock: &Clock, settings: &ChatSettings) -> Self {
        Self {
            groups: Quota::new(clock.clone(), settings.limits.groups_per_hour, HOUR),
            members: Quota::new(clock.clone(), settings.limits.members_added_per_hour, HOUR),
        }
    }

    /// Takes a share of the quota for adding `count` people. Keep it once they are stored.
    ///
    /// # Errors
    /// `rate_limited`; `bad_request` if `count` is more than a user may add within an hour.
    pub fn add_members(&self, by: UserId, count: usize) -> Result<Share> {
        let most = self.members.most();
        if count > most {
            return Err(Error::invalid("users", format!("can be at most {most} in an hour")));
        }
        self.members.take(by, count)
    }
}

impl Core {
    /// Checks that the user owns fewer than `limits.groups_owned` groups. Transactions of one user that run
    /// at the same time are counted one after the other. Call this before the transaction locks anything
    /// else.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) async fn may_own_another(&self, tx: &DatabaseTransaction, user: UserId) -> Result<()> {
        // SQLite runs one writing transaction at a time.
        if tx.get_database_backend() == DbBackend::Postgres {
            let key = user.0.as_u64_pair().1.cast_signed();
            tx.execute_raw(Statement::from_sql_and_values(
                DbBackend::Postgres,
                sql::ADVISORY_LOCK,
                [key.into()],
            ))
            .await?;
        }
        let owned = member::of_user(user).filter(member::COLUMN.role.eq(Role::Owner)).count(tx).await?;
        if owned >= self.settings.limits.groups_owned as u64 {
            return Err(Error::Forbidden(Forbidden::TooManyGroups));
        }
        Ok(())
    }
}
