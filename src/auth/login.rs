//! Logins with a password, and the limits on wrong ones.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use entity::{UserId, session as session_row, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, Credential, Device, SignIn, refuse_disabled, session};
use crate::{
    error::{AuthError, Error, Forbidden, Result},
    identity::Caller,
    limits::{Attempt, Guesser, Refused, is_same_network},
    metrics,
    password::{Checked, Purpose, needs_rehash},
    values,
};

impl Auth {
    /// Opens a session, given the password. A wrong password, an unknown user and a deleted user get the same
    /// refusal after the same time. After too many wrong passwords, the password is not checked at all; a live
    /// token of the account, in `shown`, then gives it attempts of its own.
    ///
    /// # Errors
    /// `unauthorized`, also if the account is disabled; `rate_limited` after too many wrong passwords.
    pub async fn login(
        &self,
        device: &Device,
        shown: Option<Credential>,
        username: &str,
        password: SecretString,
    ) -> Result<SignIn> {
        let login = self.login_by_password(device, shown, username, password).await;
        metrics::LOGINS.one(match &login {
            Ok(_) => "ok",
            Err(Error::Unauthenticated(AuthError::Disabled)) => "disabled",
            Err(Error::Unauthenticated(_)) => "wrong",
            Err(Error::RateLimited { .. }) => "limited",
            Err(_) => "failed",
        });
        login
    }

    async fn login_by_password(
        &self,
        device: &Device,
        shown: Option<Credential>,
        username: &str,
        password: SecretString,
    ) -> Result<SignIn> {
        let attempt = self.attempt(device, shown, username).await?;
        let user = match self.user_to_check(username).await {
            Ok(user) => user,
            Err(err) => {
                attempt.withdraw().await;
                return Err(err);
            }
        };
        let user = self.check(attempt, Purpose::Login, user, password).await?;
        let user = user.ok_or(Error::Unauthenticated(AuthError::WrongLogin))?;
        refuse_disabled(&user)?;
        self.open_session(&user, device, true).await
    }

    /// Checks that the caller knows the own password: access to an open login must not be enough to take over
    /// the account. Users without a password, and users of another issuer, have nothing to show. Wrong
    /// passwords are counted for each session that the password has opened, so that nobody else's wrong ones
    /// refuse the user.
    ///
    /// # Errors
    /// `wrong_password`, also if there is none; `rate_limited` after too many wrong passwords.
    pub async fn confirm(&self, caller: &Caller, password: Option<SecretString>) -> Result<()> {
        if caller.by_issuer {
            return Ok(());
        }
        let user = user::live().filter(user::Column::Id.eq(caller.user)).one(self.0.db.reader()).await?;
        let user = user.ok_or(Error::Unauthenticated(AuthError::TokenRevoked))?;
        if user.password_hash.is_none() {
            return Ok(());
        }
        let wrong = || Error::Forbidden(Forbidden::CurrentPassword);
        // This is no attempt, so it does not count as one.
        let password = password.ok_or_else(wrong)?;
        let guesser = self.guesser(caller).await?;
        let attempt = self.0.guesses.attempt(&user::username_key(&user.username), guesser).await?;
        self.check(attempt, Purpose::Member, Some(user), password).await?.map(drop).ok_or_else(wrong)
    }

    /// Somebody at this address has chosen the password of a new account, and so is known there.
    pub fn signed_up(&self, address: IpAddr, user: &user::Model) {
        self.0.guesses.note_known(&user::username_key(&user.username), address);
    }

    /// Permission to look at one password.
    async fn attempt(&self, device: &Device, shown: Option<Credential>, username: &str) -> Result<Attempt> {
        // All ways to type a name share one count, and so do all texts that are no names.
        let name = if values::may_be_a_name(username) { username } else { "" };
        let (guesses, account) = (&self.0.guesses, user::username_key(name));
        let from_here = Guesser::Address(device.address);
        let refused = match guesses.attempt(&account, from_here).await {
            Ok(attempt) => return Ok(attempt),
            Err(refused) => refused,
        };
        let Refused::TooMany { as_unknown, .. } = refused else { return Err(refused.into()) };
        if let Some(Credential::Token(token)) = shown
            && let Ok(caller) = self.authenticate(token.expose_secret(), device).await
            && user::username_key(&caller.username) == account
        {
            return Ok(guesses.attempt(&account, self.guesser(&caller).await?).await?);
        }
        if as_unknown && self.is_known_at(username, device.address).await? {
            guesses.note_known(&account, device.address);
            return Ok(guesses.attempt(&account, from_here).await?);
        }
        Err(refused.into())
    }

    /// Who guesses the password of the caller. A session that the password has opened is proof of its owner.
    /// Anybody may open one in an open dialect, and as many as they like.
    async fn guesser(&self, caller: &Caller) -> Result<Guesser> {
        let row = session_row::Entity::find_by_id(caller.session).one(self.0.db.reader()).await?;
        Ok(match row {
            Some(row) if row.by_password => Guesser::Session(caller.session, caller.address),
            _ => Guesser::Address(caller.address),
        })
    }

    /// Whether a session that this account's password has opened was used at this address not long ago. The
    /// database knows it also after a restart, and from other nodes.
    async fn is_known_at(&self, username: &str, address: IpAddr) -> Result<bool> {
        if !values::may_be_a_name(username) {
            return Ok(false);
        }
        let since = before(self.0.clock.now(), self.0.settings.session_ttl);
        let addresses = session::addresses_of(&self.0.db, username, since).await?;
        let mut addresses = addresses.iter().filter_map(|known| known.parse().ok());
        Ok(addresses.any(|known| is_same_network(known, address)))
    }

    /// The user with this password, if it is the right one. Without a user the answer is no, after the same
    /// time.
    async fn check(
        &self,
        attempt: Attempt,
        purpose: Purpose,
        user: Option<user::Model>,
        password: SecretString,
    ) -> Result<Option<user::Model>> {
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let checked = match self.0.passwords.verify(purpose, password.clone(), hash).await {
            Ok(Checked::Wrong) => return Ok(None),
            Ok(checked) => checked,
            Err(err) => {
                // Not checked, so it does not count as wrong.
                attempt.withdraw().await;
                return Err(err);
            }
        };
        attempt.proven().await;
        match user {
            Some(user) => Ok(Some(self.with_todays_hash(user, password, checked).await)),
            None => Ok(None),
        }
    }

    async fn user_to_check(&self, username: &str) -> Result<Option<user::Model>> {
        if !values::may_be_a_name(username) {
            return Ok(None);
        }
        Ok(user::named(username).one(self.0.db.reader()).await?)
    }

    /// Replaces a hash that was made in another way than today's, now that the password is known. A failure
    /// does not refuse the login.
    async fn with_todays_hash(
        &self,
        mut user: user::Model,
        password: SecretString,
        checked: Checked,
    ) -> user::Model {
        let is_old = |hash: &String| checked == Checked::RightAsTyped || needs_rehash(hash);
        let Some(old) = user.password_hash.clone().filter(is_old) else {
            return user;
        };
        match self.replace_hash(user.id, old, password).await {
            Ok(Some(new)) => user.password_hash = Some(new),
            Ok(None) => {}
            Err(err) => tracing::warn!(user.id = %user.id, error = %err, "an old password hash stays"),
        }
        user
    }

    async fn replace_hash(
        &self,
        user: UserId,
        old: String,
        password: SecretString,
    ) -> Result<Option<String>> {
        let new = self.0.passwords.hash(Purpose::Login, password).await?;
        let replaced = user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(new.clone()))
            .filter(user::Column::Id.eq(user))
            // Does not overwrite a password that was changed in the meantime.
            .filter(user::Column::PasswordHash.eq(old))
            .exec(&*self.0.db.writer().await?)
            .await?;
        Ok((replaced.rows_affected == 1).then_some(new))
    }
}

/// So much earlier, or at the beginning of time.
fn before(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let time = TimeDelta::from_std(time).ok();
    time.and_then(|time| at.checked_sub_signed(time)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
