//! Who asks. Every operation of the core takes a [`Caller`] first.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId};
use uuid::Uuid;

/// A user whose credential was checked. Made by `auth` alone, but for the two below.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: UserId,
    pub username: Arc<str>,
    /// May see and change other users' accounts.
    pub is_admin: bool,
    /// The login that the credential belongs to.
    pub session: SessionId,
    /// When the credential ends.
    pub expires_at: DateTime<Utc>,
    /// Where the caller comes from; wrong passwords are counted by it.
    pub address: IpAddr,
}

impl Caller {
    /// Somebody who has not signed in: nobody's ids and no rights, to be shown what anyone may see.
    pub fn visitor(address: IpAddr) -> Self {
        Self { username: "".into(), is_admin: false, address, ..Self::operator() }
    }

    /// Whoever runs the `parlor` program with the database at hand: they could change the rows
    /// themselves, so they need no login. An admin that is nobody: no user and no session has its
    /// ids, so it is in no room and can send nothing. For the command line alone; a gateway has no
    /// business with it.
    pub fn operator() -> Self {
        Self {
            user: UserId(Uuid::nil()),
            username: "operator".into(),
            is_admin: true,
            session: SessionId(Uuid::nil()),
            expires_at: DateTime::<Utc>::MAX_UTC,
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }
}

/// Which connections must end now, and what their users are told.
#[derive(Clone, Debug)]
pub enum Ended {
    /// One login: logged out or revoked.
    Session(SessionId),
    /// All of a user's logins: the account was deleted or its password changed. A password change
    /// spares the login that made it.
    User { user: UserId, spare: Option<SessionId> },
}

/// Told by `auth` when logins end, so that live connections end with them.
pub trait SessionWatch: Send + Sync {
    fn ended(&self, ended: Ended, reason: &'static str);
}
