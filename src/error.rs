//! The one vocabulary of failure. It knows codes and public sentences; each gateway has one place
//! that maps them to its wire, and nothing here knows HTTP or Socket.IO.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{DbErr, RuntimeErr, SqlErr};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was refused. Nothing was changed, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot mean anything.
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: Cow<'static, str> },
    #[error("{0}")]
    Unauthenticated(Why),
    #[error("{0}")]
    Forbidden(Denial),
    /// Absent, or private and the caller is not in it.
    #[error("there is no such {0}")]
    NotFound(Noun),
    #[error("{0}")]
    Conflict(Clash),
    #[error("{what} may have at most {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    #[error("too many for now; try again in {} s", retry_after.as_secs_f64().ceil().max(1.0))]
    RateLimited { retry_after: Duration },
    /// The server cannot do it now; the same request may work later.
    #[error("{0}")]
    Unavailable(Busy),
    /// A fault of the server's. The cause goes to the log, never to a client.
    #[error("something went wrong on the server")]
    Internal(#[source] anyhow::Error),
}

/// What is wrong with a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("wrong username or password")]
    WrongLogin,
    #[error("a token is needed")]
    TokenMissing,
    #[error("the token is not valid")]
    TokenInvalid,
    #[error("the token expired at {0}")]
    TokenExpired(String),
    #[error("the login of this token has ended")]
    TokenRevoked,
    #[error("the ticket is used up or expired")]
    TicketUsed,
    #[error("a ticket opens a connection and nothing else; a token is needed here")]
    TicketMisplaced,
}

/// What is not allowed, to a caller who is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("your role does not allow that")]
    Role,
    #[error("that is somebody else's")]
    NotYours,
    #[error("you are not a member of this room")]
    NotAMember,
    #[error("wrong password for this room")]
    WrongPassword,
    /// Where nobody is to learn which of the two it was.
    #[error("there is no room of this name and password")]
    WrongRoomOrPassword,
    #[error("this login was made elsewhere and is renewed there")]
    NotOurLogin,
    #[error("sign-up is switched off")]
    SignupOff,
    #[error("this origin is not allowed")]
    Origin,
    #[error("You own as many groups as one user may. Delete one first.")]
    TooManyGroups,
}

/// What was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Noun {
    #[error("user")]
    User,
    #[error("group")]
    Group,
    #[error("room")]
    Room,
    #[error("message")]
    Message,
    #[error("event")]
    Event,
    #[error("page")]
    Page,
}

/// What is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    #[error("this username is taken")]
    UsernameTaken,
    #[error("a group of this name exists")]
    GroupNameTaken,
}

/// What is in the way for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    #[error("the database cannot be reached")]
    Database,
    #[error("too many messages are waiting to be stored")]
    WriterFull,
    #[error("too many passwords are waiting to be checked")]
    Hashing,
    #[error("the issuer of this token cannot be asked for its keys")]
    Issuer,
    #[error("too many events of this connection are waiting")]
    Inbox,
    #[error("this connection has fallen behind and is being closed; come back")]
    Reconnecting,
    #[error("the server is going down")]
    Draining,
}

impl Error {
    /// The stable code of protocol.md part 1.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "bad_request",
            Self::Unauthenticated(why) => match why {
                Why::WrongLogin => "unauthorized",
                Why::TokenMissing => "token_missing",
                Why::TokenInvalid | Why::TicketMisplaced => "token_invalid",
                Why::TokenExpired(_) => "token_expired",
                Why::TokenRevoked => "token_revoked",
                Why::TicketUsed => "ticket_used",
            },
            Self::Forbidden(denial) => match denial {
                Denial::NotAMember => "not_a_member",
                Denial::WrongPassword | Denial::WrongRoomOrPassword => "wrong_password",
                Denial::Role
                | Denial::NotYours
                | Denial::NotOurLogin
                | Denial::SignupOff
                | Denial::Origin
                | Denial::TooManyGroups => "forbidden",
            },
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::TooLarge { .. } => "too_large",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// When it makes sense to ask again, where the server can tell.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unavailable(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// A request that cannot mean anything, by the field that is to blame.
    pub fn invalid(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    /// A token whose end has come.
    pub fn expired(at: DateTime<Utc>) -> Self {
        Self::Unauthenticated(Why::TokenExpired(at.to_rfc3339_opts(SecondsFormat::Millis, true)))
    }

    /// A fault whose cause is a plain sentence.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(anyhow::anyhow!("{cause}"))
    }
}

impl From<DbErr> for Error {
    fn from(err: DbErr) -> Self {
        if is_outage(&err) {
            tracing::warn!(error = %err, "the database did not answer");
            return Self::Unavailable(Busy::Database);
        }
        Self::Internal(anyhow::Error::new(err))
    }
}

impl<E: Into<Error>> From<sea_orm::TransactionError<E>> for Error
where
    E: std::fmt::Display + std::fmt::Debug,
{
    fn from(err: sea_orm::TransactionError<E>) -> Self {
        match err {
            sea_orm::TransactionError::Connection(err) => err.into(),
            sea_orm::TransactionError::Transaction(err) => err.into(),
        }
    }
}

/// Whether the database was out of reach, full or busy, rather than asked something wrong.
fn is_outage(err: &DbErr) -> bool {
    let runtime = match err {
        DbErr::ConnectionAcquire(_) => return true,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return false,
    };
    let RuntimeErr::SqlxError(err) = runtime else {
        return false;
    };
    use sea_orm::SqlxError as Sqlx;
    match &**err {
        Sqlx::Io(_) | Sqlx::Tls(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed => true,
        Sqlx::Database(db) => db.code().is_some_and(|code| is_outage_code(&code)),
        _ => false,
    }
}

/// Whether the database itself refused a statement, which has changed nothing then. Any other error
/// leaves open whether it was carried out.
pub fn is_refusal(err: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = err else {
        return false;
    };
    matches!(&**cause, sea_orm::SqlxError::Database(_)) && !is_outage(err)
}

/// SQLite result codes (busy, locked, I/O, full, cannot open, read-only) and PostgreSQL's classes 08
/// (connection), 53 (resources), 57P (shutting down), 57014 (statement timeout), 25006 (read-only), 25P03 (idle in a
/// transaction), 40 (serialisation).
fn is_outage_code(code: &str) -> bool {
    if let Ok(sqlite) = code.parse::<u32>()
        && code.len() < 5
    {
        return matches!(sqlite & 0xff, 5 | 6 | 8 | 10 | 13 | 14);
    }
    code.starts_with("08")
        || code.starts_with("53")
        || code.starts_with("57P")
        || code.starts_with("40")
        || matches!(code, "25006" | "25P03" | "57014")
}

/// Names the clash where it can happen: `.insert(db).await.on_unique(Clash::UsernameTaken)?`.
pub trait OnUnique<T> {
    fn on_unique(self, clash: Clash) -> Result<T>;
}

impl<T> OnUnique<T> for Result<T, DbErr> {
    fn on_unique(self, clash: Clash) -> Result<T> {
        self.map_err(|err| match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Error::Conflict(clash),
            _ => err.into(),
        })
    }
}
