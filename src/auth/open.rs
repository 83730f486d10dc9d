//! Logins without proof, for wire forms that an operator has opened to everyone who can reach the server.

use chrono::{SubsecRound, TimeDelta};
use entity::user;

use super::{
    Auth, Device,
    session::{self, NewSession},
};
use crate::{
    error::{Entity, Error, Result},
    identity::Caller,
};

/// Maximum duration of such a login. It also ends with its connection.
const LASTS: TimeDelta = TimeDelta::days(1);

impl Auth {
    /// Opens a session for one connection of this user. No token belongs to it.
    ///
    /// # Errors
    /// `not_found` if the account was deleted or its password changed since `user` was read.
    pub async fn open(&self, user: &user::Model, device: &Device) -> Result<Caller> {
        let now = self.0.clock.now().trunc_subsecs(0);
        let expires_at = now + LASTS;
        let new = NewSession { now, expires_at, device, by_password: false };
        let opened = session::open(&self.0.db, user, new).await?;
        let (session, user) = opened.ok_or(Error::NotFound(Entity::User))?;
        Ok(Caller::signed_in(user, session, expires_at, device.address))
    }
}
