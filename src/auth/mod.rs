//! Authentication: turns credentials into a [`Caller`]. A login opens a session in the database. Every access
//! token belongs to a session, and ending the session ends its tokens at once. Tokens of other issuers also
//! belong to a session, which is opened when the token is first used. Tickets belong to the session of the
//! token that bought them. `chat` decides what a caller may do. The gateways read the credential from a
//! request.

mod access_token;
mod fetch;
mod inspect;
mod issuer;
mod jwks;
mod key_set;
mod open;
mod provision;
mod session;
mod sql;
#[cfg(test)]
mod tests;
mod ticket;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use entity::{SessionId, UserId, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};

pub use self::{
    access_token::Keys,
    inspect::{Inspection, Signature},
    issuer::{IssuerSettings, Issuers},
    ticket::NewTicket,
};
use self::{
    access_token::{Claims, Verdict},
    issuer::Issuer,
};
use crate::{
    clock::Clock,
    db::Db,
    error::{AuthError, Error, Forbidden, Result},
    identity::{Caller, Ended, SessionWatch},
    limits::Failures,
    password::{Passwords, needs_rehash},
    shutdown::Shutdown,
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
    issuers: Issuers,
    settings: AuthSettings,
    watch: Arc<dyn SessionWatch>,
    live_users: session::LiveUsers,
}

/// How passwords are verified, and how often.
pub struct PasswordCheck {
    pub passwords: Passwords,
    pub failures: Failures,
}

/// The keys and issuers whose tokens are accepted.
#[derive(Debug)]
pub struct Signers {
    pub keys: Keys,
    pub issuers: Issuers,
}

#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// How long an access token is valid, in whole seconds.
    pub token_ttl: Duration,
}

/// What a client presents to authenticate.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token: ours, or one of a configured issuer.
    Token(SecretString),
    /// A ticket, bought with a token, for one connection.
    Ticket(SecretString),
}

/// A session and one of its tokens.
#[derive(Clone)]
pub struct SignIn {
    pub token: SecretString,
    /// When the token expires: its `exp`, in whole seconds.
    pub expires_at: DateTime<Utc>,
    pub user: user::Model,
    pub session: SessionId,
}

/// Shows neither the token nor the row, which contains a password hash.
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
    pub fn new(
        db: Db,
        clock: Clock,
        shutdown: &Shutdown,
        check: PasswordCheck,
        signers: Signers,
        settings: AuthSettings,
        watch: Arc<dyn SessionWatch>,
    ) -> Self {
        let PasswordCheck { passwords, failures } = check;
        let Signers { keys, issuers } = signers;
        let live_users = session::live_users(&db, shutdown);
        Self(Arc::new(Inner { db, clock, passwords, failures, keys, issuers, settings, watch, live_users }))
    }

    /// Opens a session, given the password. A wrong password, an unknown user and a deleted user get the same
    /// refusal after the same time. After too many failures from one address, the password is not checked at
    /// all.
    pub async fn login(&self, address: IpAddr, username: &str, password: SecretString) -> Result<SignIn> {
        let user = self.check_password(address, username, password).await?;
        self.sign_in(&user.ok_or(Error::Unauthenticated(AuthError::WrongLogin))?).await
    }

    /// Whether this is the caller's own password. A wrong one counts like a failed login.
    ///
    /// # Errors
    /// `rate_limited` after too many wrong passwords.
    pub async fn confirm_password(&self, caller: &Caller, password: SecretString) -> Result<bool> {
        let user = self.check_password(caller.address, &caller.username, password).await?;
        Ok(user.is_some_and(|user| user.id == caller.user))
    }

    /// The user with this name and password. Only a wrong password counts as a failure of the address.
    async fn check_password(
        &self,
        address: IpAddr,
        username: &str,
        password: SecretString,
    ) -> Result<Option<user::Model>> {
        let key = format!("login {}", user::username_key(username));
        let attempt = self.0.failures.attempt(&key, address)?;
        let user = self.known_by_password(username, password).await;
        match &user {
            Ok(Some(_)) => attempt.succeeded(),
            Ok(None) => {}
            Err(_) => attempt.withdraw(),
        }
        user
    }

    /// Opens a session without a password. Refused as `WrongLogin` if the account was deleted or its password
    /// changed since `user` was read, because such a change ends all sessions of the user.
    pub async fn sign_in(&self, user: &user::Model) -> Result<SignIn> {
        let (now, expires_at) = self.new_life();
        match session::open(&self.0.db, user, now, expires_at).await? {
            Some((session, user)) => self.issue(session, user, now, expires_at),
            None => Err(Error::Unauthenticated(AuthError::WrongLogin)),
        }
    }

    /// Issues a new token in the caller's session, so that one logout ends the old token and the new one.
    ///
    /// # Errors
    /// `forbidden` if the caller used an issuer's token: the issuer decides how long that login lasts.
    pub async fn refresh(&self, caller: &Caller) -> Result<SignIn> {
        if caller.by_issuer {
            return Err(Error::Forbidden(Forbidden::NotOurLogin));
        }
        let (now, expires_at) = self.new_life();
        let (row, user) = self.live_session(caller.session, caller.user).await?;
        // Never earlier than before: an older token may expire later if the setting was shortened.
        let until = row.expires_at.max(expires_at);
        if !session::prolong(&self.0.db, row.id, until).await? {
            return Err(Error::Unauthenticated(AuthError::TokenRevoked));
        }
        self.issue(row.id, user, now, expires_at)
    }

    /// Ends the caller's session.
    pub async fn logout(&self, caller: &Caller) -> Result<()> {
        self.revoke(caller.session, "You logged out").await
    }

    /// Ends a session: its tokens are refused from now on, and its connections are closed with `reason`.
    /// Ending an ended session is not an error.
    pub async fn revoke(&self, session: SessionId, reason: &'static str) -> Result<()> {
        session::revoke(&self.0.db, session, self.0.clock.now()).await?;
        self.0.watch.ended(Ended::Session(session), reason);
        Ok(())
    }

    /// The caller with this credential. A ticket is consumed.
    pub async fn credential(&self, found: Credential, address: IpAddr) -> Result<Caller> {
        match found {
            Credential::Token(token) => self.authenticate(token.expose_secret(), address).await,
            // Boxed, like the other rare branch. Otherwise the future of every connect would have room for
            // it.
            Credential::Ticket(ticket) => Box::pin(self.use_ticket(ticket.expose_secret(), address)).await,
        }
    }

    /// The caller with this access token, if its session has not ended. Takes one query. A token of another
    /// issuer that is new here takes more: its session is opened, and its user is created if necessary.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `token_revoked`. `unavailable` if the issuer has to be asked for its
    /// keys and does not answer.
    pub async fn authenticate(&self, token: &str, address: IpAddr) -> Result<Caller> {
        match self.0.issuers.named_by(token) {
            None => self.authenticate_ours(token, address).await,
            Some(issuer) => Box::pin(self.authenticate_theirs(issuer, token, address)).await,
        }
    }

    async fn authenticate_ours(&self, token: &str, address: IpAddr) -> Result<Caller> {
        let claims = match self.0.keys.verify(token, self.0.clock.now()) {
            Verdict::Valid(claims) => claims,
            Verdict::Expired(at) => return Err(Error::expired(at)),
            Verdict::Invalid => return Err(Error::Unauthenticated(AuthError::TokenInvalid)),
        };
        let expires_at = claims.expires_at().ok_or(Error::Unauthenticated(AuthError::TokenInvalid))?;
        let user = self.0.live_users.ask(claims.sid).await?.filter(|user| user.id == claims.uid);
        let user = user.ok_or(Error::Unauthenticated(AuthError::TokenRevoked))?;
        Ok(Caller::signed_in(user, claims.sid, expires_at, address))
    }

    async fn authenticate_theirs(&self, issuer: &Issuer, token: &str, address: IpAddr) -> Result<Caller> {
        let Inner { db, clock, .. } = &*self.0;
        let vouched = issuer.verify(token, clock.now()).await?;
        let found = match provision::seen(db, vouched.session).await? {
            Some(found) => Some(found),
            None => {
                provision::welcome(db, &vouched, clock.now()).await?;
                provision::seen(db, vouched.session).await?
            }
        };
        let (row, user) = found
            .filter(|(row, user)| row.revoked_at.is_none() && user.deleted_at.is_none())
            .ok_or(Error::Unauthenticated(AuthError::TokenRevoked))?;
        Ok(Caller { by_issuer: true, ..Caller::signed_in(user, row.id, vouched.expires_at, address) })
    }

    /// Fetches the keys of all issuers, so that withdrawn keys become invalid.
    pub async fn refresh_keys(&self) {
        self.0.issuers.refresh().await;
    }

    /// Those of the sessions that have ended, on this node or elsewhere, or that belong to a deleted user.
    pub async fn ended_among(&self, sessions: Vec<SessionId>) -> Result<Vec<SessionId>> {
        session::ended_among(&self.0.db, sessions).await
    }

    async fn live_session(
        &self,
        session: SessionId,
        user: UserId,
    ) -> Result<(entity::session::Model, user::Model)> {
        session::live(&self.0.db, session, user).await?.ok_or(Error::Unauthenticated(AuthError::TokenRevoked))
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

    /// Replaces a hash made with other parameters than today's, now that the password is known. A failure
    /// does not refuse the login.
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
            // Does not overwrite a password that was changed in the meantime.
            .filter(user::Column::PasswordHash.eq(old))
            .exec(&*self.0.db.writer().await?)
            .await?;
        Ok((replaced.rows_affected == 1).then_some(new))
    }

    /// The current time, and when a token issued now expires; both in whole seconds, as in a token.
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

/// Whether to ask the database at all: for U+0000, PostgreSQL returns an error instead of no row.
fn could_be_a_username(text: &str) -> bool {
    text.len() <= 1024 && !text.chars().any(char::is_control)
}
