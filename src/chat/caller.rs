//! Who asks. Every operation of the core takes a [`Caller`] first.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId, user};
use uuid::Uuid;

use super::nouns::Person;

/// A user whose credential was checked. Made by `auth` alone, but for the two below.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: UserId,
    pub username: Arc<str>,
    /// What people are shown: the username where no first name was given.
    pub first_name: Arc<str>,
    /// May see and change other users' accounts.
    pub is_admin: bool,
    /// The login that the credential belongs to.
    pub session: SessionId,
    /// It came with another issuer's token, which only that issuer renews.
    pub by_issuer: bool,
    /// When the credential ends.
    pub expires_at: DateTime<Utc>,
    /// Where the caller comes from; wrong passwords are counted by it.
    pub address: IpAddr,
}

/// What a caller is known by of the account.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: UserId,
    pub person: Person,
    pub is_admin: bool,
}

impl Account {
    pub fn new(id: UserId, username: String, first_name: Option<String>, is_admin: bool) -> Self {
        Self { id, person: Person::new(username, first_name), is_admin }
    }
}

impl From<user::Model> for Account {
    fn from(user: user::Model) -> Self {
        Self::new(user.id, user.username, user.first_name, user.is_admin)
    }
}

impl Caller {
    /// A user who came in by this login, until its credential ends.
    pub fn signed_in(
        account: impl Into<Account>,
        session: SessionId,
        expires_at: DateTime<Utc>,
        address: IpAddr,
    ) -> Self {
        let Account { id, person: Person { username, first_name }, is_admin } = account.into();
        Self { user: id, username, first_name, is_admin, session, by_issuer: false, expires_at, address }
    }

    pub fn person(&self) -> Person {
        Person { username: self.username.clone(), first_name: self.first_name.clone() }
    }

    /// Somebody who has not signed in: nobody's ids and no rights, to be shown what anyone may see.
    pub fn visitor(address: IpAddr) -> Self {
        Self { username: "".into(), first_name: "".into(), is_admin: false, address, ..Self::operator() }
    }

    /// Whoever runs the `parlor` program with the database at hand: they could change the rows
    /// themselves, so they need no login. An admin that is nobody: no user and no session has its
    /// ids, so it is in no room and can send nothing. For the command line alone; a gateway has no
    /// business with it.
    pub fn operator() -> Self {
        Self {
            user: UserId(Uuid::nil()),
            username: "operator".into(),
            first_name: "operator".into(),
            is_admin: true,
            session: SessionId(Uuid::nil()),
            by_issuer: false,
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

/// What an issuer says of somebody who was never here. None of it was looked at.
#[derive(Clone, Debug)]
pub struct Introduction {
    pub username: String,
    pub first_name: Option<String>,
    pub email: Option<String>,
}

/// Asked by `auth` what the account of somebody new is to be; `auth` stores it, together with the
/// issuer's subject that it belongs to.
pub trait Newcomers: Send + Sync {
    /// A new account that may do nothing special and has no password. Its name is valid, and may be taken:
    /// each further `attempt`, counted from 0, has another.
    fn account(&self, introduction: &Introduction, attempt: u32) -> user::Model;
}
