//! Authentication: turns credentials into a [`Caller`]. A login opens a session in the database. Every access
//! token belongs to a session, and ending the session ends its tokens at once. Tokens of other issuers also
//! belong to a session, which is opened when the token is first used. Tickets belong to the session of the
//! token that bought them. `chat` decides what a caller may do. The gateways read the credential from a
//! request.

mod access_token;
mod device;
mod fetch;
mod first_admin;
mod inspect;
mod issuer;
mod jwks;
mod key_set;
mod login;
mod logins;
mod open;
mod provision;
mod secret_text;
mod session;
mod sql;
#[cfg(test)]
mod tests;
mod ticket;
mod uses;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use entity::{SessionId, UserId, user};
use secrecy::{ExposeSecret, SecretString};

pub use self::{
    access_token::Keys,
    device::Device,
    first_admin::{NewAdminLink, UsedAdminLink},
    inspect::{Inspection, Signature},
    issuer::{IssuerSettings, Issuers},
    logins::Login,
    ticket::NewTicket,
};
use self::{
    access_token::{Claims, Verdict},
    issuer::Issuer,
    session::NewSession,
};
use crate::{
    clock::Clock,
    db::Db,
    error::{AuthError, Error, Forbidden, Result},
    identity::{Caller, Ended, SessionWatch},
    limits::Guesses,
    password::Passwords,
    shutdown::Shutdown,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    passwords: Passwords,
    guesses: Guesses,
    keys: Keys,
    issuers: Issuers,
    settings: AuthSettings,
    watch: Arc<dyn SessionWatch>,
    live_users: session::LiveUsers,
    uses: uses::Uses,
}

/// How passwords are verified, and how often.
pub struct PasswordCheck {
    pub passwords: Passwords,
    pub guesses: Guesses,
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
    /// How long a session of ours lasts at most, however often its token is renewed.
    pub session_ttl: Duration,
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
    /// How long that is from now.
    pub lasts: TimeDelta,
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
        let PasswordCheck { passwords, guesses } = check;
        let Signers { keys, issuers } = signers;
        let live_users = session::live_users(&db, shutdown);
        let uses = uses::Uses::new(clock.clone());
        let inner = Inner { db, clock, passwords, guesses, keys, issuers, settings, watch, live_users, uses };
        Self(Arc::new(inner))
    }

    /// Opens a session without a password. Refused as `WrongLogin` if the account was deleted or its password
    /// changed since `user` was read, because such a change ends all sessions of the user.
    pub async fn sign_in(&self, user: &user::Model, device: &Device) -> Result<SignIn> {
        refuse_disabled(user)?;
        self.open_session(user, device, false).await
    }

    async fn open_session(&self, user: &user::Model, device: &Device, by_password: bool) -> Result<SignIn> {
        let now = self.0.clock.now().trunc_subsecs(0);
        let expires_at = self.expiry(now, now);
        let new = NewSession { now, expires_at, device, by_password };
        match session::open(&self.0.db, user, new).await? {
            Some((session, user)) => self.issue(session, user, now, expires_at),
            None => Err(Error::Unauthenticated(AuthError::WrongLogin)),
        }
    }

    /// Issues a new token in the caller's session, so that one logout ends the old token and the new one.
    ///
    /// # Errors
    /// `forbidden` if the caller used an issuer's token: the issuer decides how long that login lasts.
    /// `token_expired` if the session is too old.
    pub async fn refresh(&self, caller: &Caller) -> Result<SignIn> {
        if caller.by_issuer {
            return Err(Error::Forbidden(Forbidden::NotOurLogin));
        }
        let (row, user) = self.live_session(caller.session, caller.user).await?;
        let now = self.0.clock.now().trunc_subsecs(0);
        let expires_at = self.expiry(now, row.created_at);
        if expires_at <= now {
            return Err(Error::expired(expires_at));
        }
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
    pub async fn credential(&self, found: Credential, device: &Device) -> Result<Caller> {
        match found {
            Credential::Token(token) => self.authenticate(token.expose_secret(), device).await,
            // Boxed, like the other rare branch. Otherwise the future of every connect would have room for
            // it.
            Credential::Ticket(ticket) => {
                Box::pin(self.use_ticket(ticket.expose_secret(), device.address)).await
            }
        }
    }

    /// The caller with this access token, if its session has not ended. Takes one query. A token of another
    /// issuer that is new here takes more: its session is opened, and its user is created if necessary.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `token_revoked`. `unavailable` if the issuer has to be asked for its
    /// keys and does not answer.
    pub async fn authenticate(&self, token: &str, device: &Device) -> Result<Caller> {
        let caller = match self.0.issuers.named_by(token) {
            None => self.authenticate_ours(token, device.address).await?,
            Some(issuer) => Box::pin(self.authenticate_theirs(issuer, token, device)).await?,
        };
        self.0.uses.note(caller.session, device.address);
        Ok(caller)
    }

    async fn authenticate_ours(&self, token: &str, address: IpAddr) -> Result<Caller> {
        let claims = match self.0.keys.verify(token, self.0.clock.now()) {
            Verdict::Valid(claims) => claims,
            Verdict::Expired(at) => return Err(Error::expired(at)),
            Verdict::Invalid => return Err(Error::Unauthenticated(AuthError::TokenInvalid)),
        };
        let expires_at = claims.expires_at().ok_or(Error::Unauthenticated(AuthError::TokenInvalid))?;
        let live = self.0.live_users.ask(claims.sid).await?.filter(|live| live.account.id == claims.uid);
        let live = live.ok_or(Error::Unauthenticated(AuthError::TokenRevoked))?;
        // Tokens are issued so that they end with the session, unless the setting was changed since.
        let ends_at = self.end_of(live.opened_at);
        if self.0.keys.is_over(ends_at, self.0.clock.now()) {
            return Err(Error::expired(ends_at));
        }
        Ok(Caller::signed_in(live.account, claims.sid, expires_at.min(ends_at), address))
    }

    async fn authenticate_theirs(&self, issuer: &Issuer, token: &str, device: &Device) -> Result<Caller> {
        let Inner { db, clock, .. } = &*self.0;
        let vouched = issuer.verify(token, clock.now()).await?;
        let found = match provision::seen(db, vouched.session).await? {
            Some(found) => Some(found),
            None => {
                let changed = provision::welcome(db, &vouched, device, clock.now()).await?;
                if let Some((user, details)) = changed
                    && self.0.watch.introduced(user, details).await
                {
                    provision::note(db, &vouched).await?;
                }
                provision::seen(db, vouched.session).await?
            }
        };
        let (row, user) = found
            .filter(|(row, user)| row.revoked_at.is_none() && is_usable(user))
            .ok_or(Error::Unauthenticated(AuthError::TokenRevoked))?;
        let caller = Caller::signed_in(user, row.id, vouched.expires_at, device.address);
        Ok(Caller { by_issuer: true, ..caller })
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

    /// Saves when and where sessions were last used.
    pub async fn save_uses(&self) -> Result<()> {
        self.0.uses.save(&self.0.db).await
    }

    /// When a token expires that is issued now, in a session that was opened then. In whole seconds, as in a
    /// token.
    fn expiry(&self, now: DateTime<Utc>, opened_at: DateTime<Utc>) -> DateTime<Utc> {
        after(now, self.0.settings.token_ttl).min(self.end_of(opened_at)).trunc_subsecs(0)
    }

    /// When a session of ours ends that was opened then.
    fn end_of(&self, opened_at: DateTime<Utc>) -> DateTime<Utc> {
        after(opened_at, self.0.settings.session_ttl)
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
        Ok(SignIn { token, expires_at, lasts: expires_at - now, user, session })
    }
}

/// Whether the account may sign in.
fn is_usable(user: &user::Model) -> bool {
    user.deleted_at.is_none() && user.disabled_at.is_none()
}

/// The reason is for those alone who could sign in otherwise.
fn refuse_disabled(user: &user::Model) -> Result<()> {
    match user.disabled_at {
        Some(_) => Err(Error::Unauthenticated(AuthError::Disabled)),
        None => Ok(()),
    }
}

/// So much later, or at the end of time.
fn after(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let end = TimeDelta::try_seconds(seconds).and_then(|time| at.checked_add_signed(time));
    end.unwrap_or(DateTime::<Utc>::MAX_UTC)
}
