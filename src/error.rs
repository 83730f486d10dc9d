//! The errors of the whole server, with their codes and public messages. Each gateway has one place that maps
//! them to its protocol; nothing here knows HTTP or Socket.IO.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{DbErr, RuntimeErr, SqlErr};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was refused. Nothing was changed, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed or has an invalid value.
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: Cow<'static, str> },
    #[error("{0}")]
    Unauthenticated(AuthError),
    #[error("{0}")]
    Forbidden(Forbidden),
    /// It does not exist, or it is private and the caller is not a member.
    #[error("There is no such {0}")]
    NotFound(Entity),
    #[error("{0}")]
    Conflict(Conflict),
    #[error("The {what} may have at most {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    #[error("Too many requests; try again in {} s", retry_after.as_secs_f64().ceil().max(1.0))]
    RateLimited { retry_after: Duration },
    /// The server cannot do this now. The same request may succeed later.
    #[error("{0}")]
    Unavailable(Unavailable),
    /// A fault of the server. The cause goes to the log, never to a client.
    #[error("Something went wrong on the server")]
    Internal(#[source] anyhow::Error),
}

/// What is wrong with a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("Wrong username or password")]
    WrongLogin,
    #[error("This account is disabled")]
    Disabled,
    #[error("A token is needed")]
    TokenMissing,
    #[error("The token is not valid")]
    TokenInvalid,
    #[error("The token expired at {0}")]
    TokenExpired(String),
    #[error("The login of this token has ended")]
    TokenRevoked,
    #[error("The ticket is used or expired")]
    TicketUsed,
    #[error("A ticket opens a connection and nothing else; a token is needed here")]
    TicketMisplaced,
}

/// What a known caller is not allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("Your role does not allow this")]
    Role,
    #[error("This belongs to another user")]
    NotYours,
    #[error("The message is deleted")]
    Deleted,
    #[error("The time in which this is allowed is over")]
    WindowOver,
    #[error("You are not a member of this room")]
    NotAMember,
    #[error("Wrong password for this room")]
    WrongPassword,
    #[error("The current password is needed, and this is not it")]
    CurrentPassword,
    /// One message for both cases, so that a client cannot learn which part was wrong.
    #[error("There is no room with this name and password")]
    WrongRoomOrPassword,
    #[error("This login comes from another issuer, which renews it")]
    NotOurLogin,
    #[error("Sign-up is switched off")]
    SignupOff,
    #[error("This link is used or expired, or a newer one replaces it, or there is an admin")]
    AdminLink,
    #[error("You own the maximum number of groups. Delete one first.")]
    TooManyGroups,
}

/// What was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Entity {
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
    #[error("login")]
    Session,
}

/// What exists already, or as often as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("This username is taken")]
    UsernameTaken,
    #[error("This username looks like that of another user")]
    UsernameLooksTaken,
    #[error("A group with this name exists")]
    GroupNameTaken,
    #[error("A group with a name that looks the same exists")]
    GroupNameLooksTaken,
    #[error("This message has the maximum number of reactions")]
    TooManyReactions,
    #[error("This room has the maximum number of pinned messages")]
    TooManyPins,
}

/// What is temporarily unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("The database cannot be reached")]
    Database,
    #[error("Too many messages are waiting to be stored")]
    WriterFull,
    #[error("Too many passwords are waiting to be checked")]
    Hashing,
    #[error("The issuer of this token cannot be asked for its keys")]
    Issuer,
    #[error("Too many events of this connection are waiting")]
    Inbox,
    #[error("This connection is too slow and is being closed; reconnect")]
    Reconnecting,
    #[error("The server is shutting down")]
    Draining,
    #[error("Another node serves better than this one")]
    Unfit,
}

/// The most characters of a reason. Libraries quote the client's text in it, in a form that may be longer than the
/// text.
const LONGEST_REASON: usize = 200;

/// The text, or its beginning and an ellipsis.
pub fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_REASON) {
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// Every [`Error::code`]: what the schema lists, and what is counted.
pub const CODES: [&str; 16] = [
    "bad_request",
    "unauthorized",
    "token_missing",
    "token_invalid",
    "token_expired",
    "token_revoked",
    "ticket_used",
    "forbidden",
    "not_a_member",
    "wrong_password",
    "not_found",
    "conflict",
    "too_large",
    "rate_limited",
    "unavailable",
    "internal",
];

impl Error {
    /// The stable code of docs/events.md: one of [`CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "bad_request",
            Self::Unauthenticated(why) => match why {
                AuthError::WrongLogin | AuthError::Disabled => "unauthorized",
                AuthError::TokenMissing => "token_missing",
                AuthError::TokenInvalid | AuthError::TicketMisplaced => "token_invalid",
                AuthError::TokenExpired(_) => "token_expired",
                AuthError::TokenRevoked => "token_revoked",
                AuthError::TicketUsed => "ticket_used",
            },
            Self::Forbidden(denial) => match denial {
                Forbidden::NotAMember => "not_a_member",
                Forbidden::WrongPassword | Forbidden::WrongRoomOrPassword | Forbidden::CurrentPassword => {
                    "wrong_password"
                }
                Forbidden::Role
                | Forbidden::NotYours
                | Forbidden::Deleted
                | Forbidden::WindowOver
                | Forbidden::NotOurLogin
                | Forbidden::SignupOff
                | Forbidden::AdminLink
                | Forbidden::TooManyGroups => "forbidden",
            },
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::TooLarge { .. } => "too_large",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What refines the code, if anything does; as stable as the code.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Forbidden(Forbidden::Role) => Some("role"),
            Self::Forbidden(Forbidden::NotYours) => Some("not_yours"),
            Self::Forbidden(Forbidden::Deleted) => Some("deleted"),
            Self::Forbidden(Forbidden::WindowOver) => Some("window_over"),
            Self::Conflict(Conflict::TooManyReactions | Conflict::TooManyPins) => Some("limit_reached"),
            _ => None,
        }
    }

    /// After how long a retry makes sense, if the server knows it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unavailable(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// A malformed or invalid request, with the field that is wrong. A long reason is shortened.
    pub fn invalid(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = match reason.into() {
            Cow::Owned(reason) => Cow::Owned(shortened(reason)),
            borrowed => borrowed,
        };
        Self::Invalid { field, reason }
    }

    /// Too many requests, until `wait` has passed. At least one millisecond, so that no client tries again at once.
    pub fn rate_limited(wait: Duration) -> Self {
        Self::RateLimited { retry_after: wait.max(Duration::from_millis(1)) }
    }

    /// A token that has expired.
    pub fn expired(at: DateTime<Utc>) -> Self {
        Self::Unauthenticated(AuthError::TokenExpired(at.to_rfc3339_opts(SecondsFormat::Millis, true)))
    }

    /// A fault whose cause is given as a sentence.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(anyhow::anyhow!("{cause}"))
    }
}

impl From<DbErr> for Error {
    fn from(err: DbErr) -> Self {
        if is_outage(&err) {
            tracing::warn!(error = %cause(&err), "the database did not answer");
            return Self::Unavailable(Unavailable::Database);
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

/// What the database or the driver says about an error, once. The display of `DbErr` repeats it.
pub fn cause(err: &DbErr) -> String {
    let runtime = match err {
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        other => return other.to_string(),
    };
    use sea_orm::SqlxError as Sqlx;
    match runtime {
        RuntimeErr::SqlxError(err) => match &**err {
            Sqlx::Database(said) => said.message().to_owned(),
            Sqlx::Io(err) => err.to_string(),
            Sqlx::PoolTimedOut => "no connection became free in time".to_owned(),
            other => other.to_string(),
        },
        RuntimeErr::Internal(reason) => reason.clone(),
    }
}

/// Whether the database was unreachable, full or busy, as opposed to a wrong statement.
fn is_outage(err: &DbErr) -> bool {
    let runtime = match err {
        DbErr::ConnectionAcquire(_) => return true,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return false,
    };
    let RuntimeErr::SqlxError(said) = runtime else {
        return false;
    };
    use sea_orm::SqlxError as Sqlx;
    match &**said {
        Sqlx::Io(_) | Sqlx::Tls(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed => true,
        // What stands before the database takes connections, and hangs up, while the database is away.
        Sqlx::Protocol(_) => matches!(err, DbErr::Conn(_)),
        Sqlx::Database(db) => db.code().is_some_and(|code| is_outage_code(&code)),
        _ => false,
    }
}

/// Whether the database itself refused a statement. Then the statement has changed nothing. After any other
/// error the outcome is unknown.
pub fn is_refusal(err: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = err else {
        return false;
    };
    matches!(&**cause, sea_orm::SqlxError::Database(_)) && !is_outage(err)
}

/// SQLite result codes (busy, locked, I/O, full, cannot open, read-only) and PostgreSQL's classes 08
/// (connection), 53 (resources), 57P (shutting down), 57014 (statement timeout), 25006 (read-only), 25P03 (idle
/// in a transaction), 40 (serialisation).
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

/// Turns a violation of a unique constraint into a conflict:
/// `.insert(db).await.on_unique(Conflict::UsernameTaken)?`.
pub trait OnUnique<T> {
    fn on_unique(self, clash: Conflict) -> Result<T>;
}

impl<T> OnUnique<T> for Result<T, DbErr> {
    fn on_unique(self, clash: Conflict) -> Result<T> {
        self.map_err(|err| match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Error::Conflict(clash),
            _ => err.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::SqlxError;

    use super::*;

    #[test]
    fn every_code_is_in_the_list() {
        let errors = [
            Error::invalid("x", "y"),
            Error::Unauthenticated(AuthError::WrongLogin),
            Error::Unauthenticated(AuthError::TokenMissing),
            Error::Unauthenticated(AuthError::TokenInvalid),
            Error::Unauthenticated(AuthError::TokenExpired(String::new())),
            Error::Unauthenticated(AuthError::TokenRevoked),
            Error::Unauthenticated(AuthError::TicketUsed),
            Error::Forbidden(Forbidden::Role),
            Error::Forbidden(Forbidden::NotAMember),
            Error::Forbidden(Forbidden::WrongPassword),
            Error::NotFound(Entity::Page),
            Error::Conflict(Conflict::UsernameTaken),
            Error::TooLarge { what: "x", limit: 1 },
            Error::RateLimited { retry_after: Duration::ZERO },
            Error::Unavailable(Unavailable::Database),
            Error::internal("x"),
        ];
        assert_eq!(errors.map(|error| error.code()), CODES);
    }

    #[test]
    fn who_hangs_up_on_a_new_connection_is_an_outage_and_who_answers_something_strange_is_not() {
        let strange =
            || RuntimeErr::SqlxError(std::sync::Arc::new(SqlxError::Protocol("nothing came".into())));
        let error = Error::from(DbErr::Conn(strange()));
        assert!(matches!(error, Error::Unavailable(Unavailable::Database)));
        assert!(matches!(Error::from(DbErr::Query(strange())), Error::Internal(_)));
    }
}
