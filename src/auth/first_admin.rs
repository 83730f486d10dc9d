//! The link that makes the first admin: for operators who have a browser and no shell on the server. It works once,
//! for a day, and only while there is no admin. At most one link exists: a newer one replaces it.

use chrono::{DateTime, TimeDelta, Utc};
use entity::{admin_link, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, secret_text};
use crate::error::{Error, Forbidden, Result};

const LIFE: TimeDelta = TimeDelta::days(1);

/// A new link. Its secret is returned only once.
#[derive(Debug)]
pub struct NewAdminLink {
    pub secret: SecretString,
    pub expires_at: DateTime<Utc>,
}

/// A link that has been used. Without an admin, it has to be given back.
#[derive(Debug)]
#[must_use]
pub struct UsedAdminLink(admin_link::Model);

impl Auth {
    /// A link for the first admin, in the place of any earlier one; `None` if there is an admin.
    pub async fn offer_first_admin(&self) -> Result<Option<NewAdminLink>> {
        if self.has_admin().await? {
            return Ok(None);
        }
        let secret = secret_text::new()?;
        let expires_at = self.0.clock.now() + LIFE;
        let row = admin_link::ActiveModel {
            digest: Set(secret_text::digest(secret.expose_secret())),
            expires_at: Set(expires_at),
        };
        let transaction = self.0.db.begin().await?;
        admin_link::Entity::delete_many().exec(&*transaction).await?;
        admin_link::Entity::insert(row).exec_without_returning(&*transaction).await?;
        transaction.commit().await?;
        Ok(Some(NewAdminLink { secret, expires_at }))
    }

    /// Uses a link up: of several concurrent attempts, one succeeds.
    ///
    /// # Errors
    /// `forbidden` if the link is used, expired or replaced, or if there is an admin.
    pub async fn use_admin_link(&self, secret: &str) -> Result<UsedAdminLink> {
        let refused = || Error::Forbidden(Forbidden::AdminLink);
        if !secret_text::is_possible(secret) {
            return Err(refused());
        }
        let (digest, now) = (secret_text::digest(secret), self.0.clock.now());
        // Only reads until the link is known: anybody may ask.
        let link = admin_link::live(&digest, now).one(self.0.db.reader()).await?.ok_or_else(refused)?;
        if self.has_admin().await? {
            return Err(refused());
        }
        let used = admin_link::Entity::delete_by_id(digest).exec(&*self.0.db.writer().await?).await?;
        if used.rows_affected == 1 { Ok(UsedAdminLink(link)) } else { Err(refused()) }
    }

    /// Makes a used link usable again, because no admin was made.
    pub async fn give_back_admin_link(&self, link: UsedAdminLink) -> Result<()> {
        let row = link.0.into_active_model().reset_all();
        admin_link::Entity::insert(row).exec_without_returning(&*self.0.db.writer().await?).await?;
        Ok(())
    }

    async fn has_admin(&self) -> Result<bool> {
        let any = user::live().filter(user::Column::IsAdmin.eq(true)).limit(1);
        Ok(any.one(self.0.db.reader()).await?.is_some())
    }
}
