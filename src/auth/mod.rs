//! Who somebody is: credentials in, a [`Caller`] out. A login opens a session in the database, every
//! access token belongs to one, and ending the session ends its tokens at once. What a caller may do is
//! left to `chat`, where a credential stands in a request to the gateways.

mod access_token;
mod inspect;
mod session;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use entity::{SessionId, UserId, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};

use self::access_token::{Claims, Verdict};
pub use self::{
    access_token::Keys,
    inspect::{Inspection, Signature},
};
use crate::{
    chat::caller::{Caller, Ended, SessionWatch},
    clock::Clock,
    db::Db,
    error::{Error, Result, Why},
    limits::Failures,
    password::{Passwords, needs_rehash},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    passwords: Passwords,
    failures: Failures,
    keys: Keys,
    settings: AuthSettings,
    watch: Arc<dyn SessionWatch>,
}

#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// How long an access token is valid; its life is counted in whole seconds.
    pub token_ttl: Duration,
}

/// What a client may show to say who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token of ours.
    Token(SecretString),
}

/// A session and a token of it.
#[derive(Clone)]
pub struct SignIn {
    pub token: SecretString,
    /// When the token ends: its `exp`, to the second.
    pub expires_at: DateTime<Utc>,
    pub user: user::Model,
    pub session: SessionId,
}

/// Without the token, and without the row, which holds a password hash.
impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("user", &self.user.id)
            .field("session", &self.session)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Auth {
    /// `watch` hears of every session that ends before its time.
    pub fn new(
        db: Db,
        clock: Clock,
        passwords: Passwords,
        failures: Failures,
        keys: Keys,
        settings: AuthSettings,
        watch: Arc<dyn SessionWatch>,
    ) -> Self {
        Self(Arc::new(Inner { db, clock, passwords, failures, keys, settings, watch }))
    }

    /// A new session for whoever knows the password. A wrong password, an unknown user and a deleted
    /// one are refused alike, after the same time; too many of them from one address, without a look.
    pub async fn login(&self, address: IpAddr, username: &str, password: SecretString) -> Result<SignIn> {
        let account = format!("login {}", user::username_key(username));
        let attempt = self.0.failures.attempt(&account, address)?;
        match self.known_by_password(username, password).await {
            Ok(Some(user)) => {
                attempt.succeeded();
                self.sign_in(&user).await
            }
            Ok(None) => Err(Error::Unauthenticated(Why::WrongLogin)),
            Err(err) => {
                attempt.withdraw();
                Err(err)
            }
        }
    }

    /// A new session without a password. Refused as `WrongLogin` when the account was deleted, or its
    /// password changed, since `user` was read: whoever ends a user's sessions ends this one too.
    pub async fn sign_in(&self, user: &user::Model) -> Result<SignIn> {
        let (now, expires_at) = self.new_life();
        match session::open(&self.0.db, user, now, expires_at).await? {
            Some((session, user)) => self.issue(session, user, now, expires_at),
            None => Err(Error::Unauthenticated(Why::WrongLogin)),
        }
    }

    /// A new token in the caller's session, so that one logout ends the old token and the new one.
    pub async fn refresh(&self, caller: &Caller) -> Result<SignIn> {
        let (now, expires_at) = self.new_life();
        let (row, user) = self.live_session(caller.session, caller.user).await?;
        // Never earlier than it was: an older token may end later, if the setting was shortened.
        let until = row.expires_at.max(expires_at);
        if !session::prolong(&self.0.db, row.id, until).await? {
            return Err(Error::Unauthenticated(Why::TokenRevoked));
        }
        self.issue(row.id, user, now, expires_at)
    }

    /// Ends the caller's session.
    pub async fn logout(&self, caller: &Caller) -> Result<()> {
        self.revoke(caller.session, "you logged out").await
    }

    /// Ends a session: its tokens are refused from here on, its connections told `reason`. Ending an
    /// ended one is no error.
    pub async fn revoke(&self, session: SessionId, reason: &'static str) -> Result<()> {
        session::revoke(&self.0.db, session, self.0.clock.now()).await?;
        self.0.watch.ended(Ended::Session(session), reason);
        Ok(())
    }

    /// Ends all sessions of a user, but for `spare`.
    pub async fn end_all(&self, user: UserId, spare: Option<SessionId>, reason: &'static str) -> Result<()> {
        session::revoke_all(&self.0.db, user, spare, self.0.clock.now()).await?;
        self.0.watch.ended(Ended::User { user, spare }, reason);
        Ok(())
    }

    /// Who shows this.
    pub async fn credential(&self, found: Credential, address: IpAddr) -> Result<Caller> {
        match found {
            Credential::Token(token) => self.authenticate(token.expose_secret(), address).await,
        }
    }

    /// Whose access token this is, if its session lives. One query.
    pub async fn authenticate(&self, token: &str, address: IpAddr) -> Result<Caller> {
        let claims = match self.0.keys.verify(token, self.0.clock.now()) {
            Verdict::Valid(claims) => claims,
            Verdict::Expired(at) => {
                let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
                return Err(Error::Unauthenticated(Why::TokenExpired(at)));
            }
            Verdict::Invalid => return Err(Error::Unauthenticated(Why::TokenInvalid)),
        };
        let expires_at = claims.expires_at().ok_or(Error::Unauthenticated(Why::TokenInvalid))?;
        let (row, user) = self.live_session(claims.sid, claims.uid).await?;
        Ok(Caller {
            user: user.id,
            username: user.username.into(),
            is_admin: user.is_admin,
            session: row.id,
            expires_at,
            address,
        })
    }

    /// Which of these sessions have ended, wherever that was done, or belong to a deleted user.
    pub async fn ended_among(&self, sessions: Vec<SessionId>) -> Result<Vec<SessionId>> {
        session::ended_among(&self.0.db, sessions).await
    }

    async fn live_session(
        &self,
        session: SessionId,
        user: UserId,
    ) -> Result<(entity::session::Model, user::Model)> {
        session::live(&self.0.db, session, user).await?.ok_or(Error::Unauthenticated(Why::TokenRevoked))
    }

    async fn known_by_password(&self, username: &str, password: SecretString) -> Result<Option<user::Model>> {
        let user = if could_be_a_username(username) {
            user::named(username).one(self.0.db.reader()).await?
        } else {
            None
        };
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let right = self.0.passwords.verify(password.clone(), hash).await?;
        match user.filter(|_| right) {
            Some(user) => Ok(Some(self.with_todays_hash(user, password).await)),
            None => Ok(None),
        }
    }

    /// Now that the password is known, replaces a hash of other parameters than today's. Failing to is
    /// no reason to refuse the login.
    async fn with_todays_hash(&self, mut user: user::Model, password: SecretString) -> user::Model {
        let Some(old) = user.password_hash.clone().filter(|hash| needs_rehash(hash)) else {
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
        let new = self.0.passwords.hash(password).await?;
        let replaced = user::Entity::update_many()
            .col_expr(user::Column::PasswordHash, Expr::value(new.clone()))
            .filter(user::Column::Id.eq(user))
            // Not over a password that was changed meanwhile.
            .filter(user::Column::PasswordHash.eq(old))
            .exec(self.0.db.writer())
            .await?;
        Ok((replaced.rows_affected == 1).then_some(new))
    }

    /// Now, and when a token that is issued now ends. Whole seconds, as in a token.
    fn new_life(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let now = self.0.clock.now().trunc_subsecs(0);
        let ttl = i64::try_from(self.0.settings.token_ttl.as_secs()).unwrap_or(i64::MAX);
        let end = TimeDelta::try_seconds(ttl).and_then(|ttl| now.checked_add_signed(ttl));
        (now, end.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    fn issue(
        &self,
        session: SessionId,
        user: user::Model,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<SignIn> {
        let claims = Claims::new(&self.0.keys, &user, session, now, expires_at);
        let token = self.0.keys.sign(&claims)?;
        Ok(SignIn { token, expires_at, user, session })
    }
}

/// Whether to ask the database at all: PostgreSQL has an error, and not a no, for U+0000.
fn could_be_a_username(text: &str) -> bool {
    text.len() <= 1024 && !text.chars().any(char::is_control)
}
