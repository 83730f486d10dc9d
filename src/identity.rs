//! The identity of a user, as `auth` determines it and `chat` uses it. Every operation of the core has a
//! [`Caller`] as its first parameter.

use std::{
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{SessionId, UserId, user};
use uuid::Uuid;

/// The names of a user: the unique username, and the first name that people see, which is the username if the
/// user has given none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub username: Arc<str>,
    pub first_name: Arc<str>,
}

impl Person {
    pub fn new(username: String, first_name: Option<String>) -> Self {
        let username: Arc<str> = username.into();
        let first_name = first_name.map_or_else(|| username.clone(), Arc::from);
        Self { username, first_name }
    }

    /// A user whose row is gone.
    pub fn nobody() -> Self {
        Self::new(String::new(), None)
    }
}

/// A user whose credential was checked. Only `auth` makes one, except for [`Caller::visitor`] and
/// [`Caller::operator`].
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: UserId,
    pub username: Arc<str>,
    /// The name that people see: the username if the user has given no first name.
    pub first_name: Arc<str>,
    /// May read and change other users' accounts.
    pub is_admin: bool,
    /// The login that the credential belongs to.
    pub session: SessionId,
    /// The credential is another issuer's token, which only that issuer renews.
    pub by_issuer: bool,
    /// When the credential expires.
    pub expires_at: DateTime<Utc>,
    /// The caller's address. Wrong passwords are counted by it.
    pub address: IpAddr,
}

/// The parts of an account that a caller has.
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
    /// A user who signed in with this login, until its credential expires.
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

    /// A caller who has not signed in: no user's ids and no rights, to read what anyone may see.
    pub fn visitor(address: IpAddr) -> Self {
        Self { username: "".into(), first_name: "".into(), is_admin: false, address, ..Self::operator() }
    }

    /// The person who runs the `parlor` program with access to the database. They could change the rows
    /// themselves, so they need no login. The operator is an admin without a user and a session, so it is in
    /// no room and can send nothing. For the command line only; a gateway must not use it.
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

/// The logins whose connections must end now.
#[derive(Clone, Debug)]
pub enum Ended {
    /// One login: it was logged out or revoked.
    Session(SessionId),
    /// All logins of a user: the account was deleted, or its password was changed. A password change spares
    /// the login that made it.
    User { user: UserId, spare: Option<SessionId> },
}

/// What an issuer has changed about a user; `None` for what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerDetails {
    pub first_name: Option<String>,
    pub email: Option<String>,
}

/// `auth` notifies it when logins end, so that their connections end, too, and when an issuer renames a user.
pub trait SessionWatch: Send + Sync {
    fn ended(&self, ended: Ended, reason: &'static str);

    /// The issuer of a user says something new about the user. Returns whether that was taken over.
    fn introduced(
        &self,
        user: UserId,
        details: IssuerDetails,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}
