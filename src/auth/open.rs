//! Logins without any proof, for wire forms that an operator has opened to whoever reaches the server.

use std::net::IpAddr;

use chrono::{SubsecRound, TimeDelta};
use entity::user;

use super::{Auth, session};
use crate::{
    chat::caller::Caller,
    error::{Error, Noun, Result},
};

/// How long such a login lasts; the connection it was made for ends with it.
const LASTS: TimeDelta = TimeDelta::days(1);

impl Auth {
    /// A session of its own for one connection of this user. No token belongs to it.
    ///
    /// # Errors
    /// `not_found` when the account was deleted, or its password changed, since `user` was read.
    pub async fn open(&self, user: &user::Model, address: IpAddr) -> Result<Caller> {
        let now = self.0.clock.now().trunc_subsecs(0);
        let expires_at = now + LASTS;
        let opened = session::open(&self.0.db, user, now, expires_at).await?;
        let (session, user) = opened.ok_or(Error::NotFound(Noun::User))?;
        Ok(Caller::signed_in(user, session, expires_at, address))
    }
}
