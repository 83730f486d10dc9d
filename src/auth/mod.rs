//! Who somebody is: credentials in, a [`Caller`] out. A login opens a session in the database, every
//! access token belongs to one, and ending the session ends its tokens at once. So it is with tokens of
//! other issuers, whose session is opened when they are first shown, and with tickets, which belong to
//! the session of the token that bought them. What a caller may do is left to `chat`, where a credential
//! stands in a request to the gateways.

mod access_token;
mod fetch;
mod first_sight;
mod inspect;
mod issuer;
mod jwks;
mod key_set;
mod open;
mod session;
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
    chat::caller::{Caller, Ended, Newcomers, SessionWatch},
    clock::Clock,
    db::Db,
    error::{Denial, Error, Result, Why},
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
    core: Core,
    live_users: session::LiveUsers,
}

/// How passwords are looked at, and how often.
pub struct PasswordCheck {
    pub passwords: Passwords,
    pub failures: Failures,
}

/// Whose tokens are believed.
#[derive(Debug)]
pub struct Signers {
    pub keys: Keys,
    pub issuers: Issuers,
}

/// What `auth` asks of the core and tells it.
#[derive(Clone)]
pub struct Core {
    /// Hears of every session that ends before its time.
    pub watch: Arc<dyn SessionWatch>,
    pub newcomers: Arc<dyn Newcomers>,
}

#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// How long an access token is valid; its life is counted in whole seconds.
    pub token_ttl: Duration,
}

/// What a client may show to say who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token: ours, or that of an issuer we believe.
    Token(SecretString),
    /// Bought with a token, for one connection.
    Ticket(SecretString),
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
    pub fn new(
        db: Db,
        clock: Clock,
        shutdown: &Shutdown,
        check: PasswordCheck,
        signers: Signers,
        settings: AuthSettings,
        core: Core,
    ) -> Self {
        let PasswordCheck { passwords, failures } = check;
        let Signers { keys, issuers } = signers;
        let live_users = session::live_users(&db, shutdown);
        Self(Arc::new(Inner { db, clock, passwords, failures, keys, issuers, settings, core, live_users }))
    }

    /// A new session for whoever knows the password. A wrong password, an unknown user and a deleted
    /// one are refused alike, after the same time; too many of them from one address, without a look.
    pub async fn login(&self, address: IpAddr, username: &str, password: SecretString) -> Result<SignIn> {
        let user = self.check_password(address, username, password).await?;
        self.sign_in(&user.ok_or(Error::Unauthenticated(Why::WrongLogin))?).await
    }

    /// Whether the caller knows their own password. A wrong one counts like a wrong login.
    ///
    /// # Errors
    /// `rate_limited` after too many wrong ones.
    pub async fn confirm_password(&self, caller: &Caller, password: SecretString) -> Result<bool> {
        let user = self.check_password(caller.address, &caller.username, password).await?;
        Ok(user.is_some_and(|user| user.id == caller.user))
    }

    /// The user of that name and password. Only a wrong one counts as a failure of that address.
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
    ///
    /// # Errors
    /// `forbidden` to who came with an issuer's token: how long that login lasts is the issuer's to say.
    pub async fn refresh(&self, caller: &Caller) -> Result<SignIn> {
        if caller.by_issuer {
            return Err(Error::Forbidden(Denial::NotOurLogin));
        }
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
        self.0.core.watch.ended(Ended::Session(session), reason);
        Ok(())
    }

    /// Who shows this. A ticket is used up by it.
    pub async fn credential(&self, found: Credential, address: IpAddr) -> Result<Caller> {
        match found {
            Credential::Token(token) => self.authenticate(token.expose_secret(), address).await,
            // Boxed, like the other way that few take: every connect would make room for it.
            Credential::Ticket(ticket) => Box::pin(self.use_ticket(ticket.expose_secret(), address)).await,
        }
    }

    /// Whose access token this is, if its session lives. One query, unless it is an issuer's and was never
    /// seen before: then its user is made, if need be, and its session opened.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `token_revoked`; `unavailable` where the issuer of the token has to
    /// be asked for its keys and does not answer.
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
            Verdict::Invalid => return Err(Error::Unauthenticated(Why::TokenInvalid)),
        };
        let expires_at = claims.expires_at().ok_or(Error::Unauthenticated(Why::TokenInvalid))?;
        let user = self.0.live_users.ask(claims.sid).await?.filter(|user| user.id == claims.uid);
        let user = user.ok_or(Error::Unauthenticated(Why::TokenRevoked))?;
        Ok(Caller::signed_in(user, claims.sid, expires_at, address))
    }

    async fn authenticate_theirs(&self, issuer: &Issuer, token: &str, address: IpAddr) -> Result<Caller> {
        let Inner { db, clock, core, .. } = &*self.0;
        let vouched = issuer.verify(token, clock.now()).await?;
        let found = match first_sight::seen(db, vouched.session).await? {
            Some(found) => Some(found),
            None => {
                first_sight::welcome(db, &core.newcomers, &vouched, clock.now()).await?;
                first_sight::seen(db, vouched.session).await?
            }
        };
        let (row, user) = found
            .filter(|(row, user)| row.revoked_at.is_none() && user.deleted_at.is_none())
            .ok_or(Error::Unauthenticated(Why::TokenRevoked))?;
        Ok(Caller { by_issuer: true, ..Caller::signed_in(user, row.id, vouched.expires_at, address) })
    }

    /// Asks every issuer for its keys, so that those which it withdrew stop counting.
    pub async fn refresh_keys(&self) {
        self.0.issuers.refresh().await;
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
            .exec(&*self.0.db.writer().await?)
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
