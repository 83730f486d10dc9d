//! Tickets: bought with a token, valid for one connection and for 30 seconds. The connection belongs to the
//! session of that token, and ends when the token expires.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use entity::{session, ticket, user};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, sea_query::Expr,
};
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, secret_text};
use crate::{
    error::{AuthError, Error, Result},
    identity::Caller,
};

const LIFE: TimeDelta = TimeDelta::seconds(30);
/// Maximum number of tickets that one session may have bought within 30 seconds, used or not: as many as a
/// user may have connections by default. It also limits the size of the table.
const AT_ONCE: u64 = 20;

/// A new ticket. It is returned only once: the database stores only its digest.
#[derive(Debug)]
pub struct NewTicket {
    pub ticket: SecretString,
    pub expires_at: DateTime<Utc>,
}

impl Auth {
    /// A ticket for one connection of the caller.
    ///
    /// # Errors
    /// `rate_limited` if the session bought too many tickets in the last 30 seconds; `token_revoked` if it
    /// has ended.
    pub async fn buy_ticket(&self, caller: &Caller) -> Result<NewTicket> {
        let secret = secret_text::new()?;
        let now = self.0.clock.now();
        let expires_at = (now + LIFE).min(caller.expires_at);

        let transaction = self.0.db.begin().await?;
        // Locks the session, so that concurrent purchases are counted one after the other.
        let open = session::open_of(caller.user)
            .filter(session::Column::Id.eq(caller.session))
            .lock_exclusive()
            .one(&*transaction)
            .await?;
        if open.is_none() {
            return Err(Error::Unauthenticated(AuthError::TokenRevoked));
        }
        let bought = ticket::Entity::find()
            .filter(ticket::Column::SessionId.eq(caller.session))
            .filter(ticket::Column::ExpiresAt.gt(now))
            .count(&*transaction)
            .await?;
        if bought >= AT_ONCE {
            return Err(Error::rate_limited(LIFE.to_std().unwrap_or_default()));
        }
        let row = ticket::ActiveModel {
            digest: Set(secret_text::digest(secret.expose_secret())),
            user_id: Set(caller.user),
            session_id: Set(caller.session),
            token_expires_at: Set(caller.expires_at),
            expires_at: Set(expires_at),
            used_at: Set(None),
        };
        ticket::Entity::insert(row).exec_without_returning(&*transaction).await?;
        transaction.commit().await?;
        Ok(NewTicket { ticket: secret, expires_at })
    }

    /// The caller who bought this ticket. The attempt consumes the ticket, whether it succeeds or not. Of
    /// several concurrent attempts, at most one succeeds.
    pub(super) async fn use_ticket(&self, ticket: &str, address: IpAddr) -> Result<Caller> {
        let used = || Error::Unauthenticated(AuthError::TicketUsed);
        if !secret_text::is_possible(ticket) {
            return Err(used());
        }
        let (digest, now) = (secret_text::digest(ticket), self.0.clock.now());
        let consumed = ticket::Entity::update_many()
            .col_expr(ticket::Column::UsedAt, Expr::value(now))
            .filter(ticket::Column::Digest.eq(digest.clone()))
            .filter(ticket::Column::UsedAt.is_null())
            .filter(ticket::Column::ExpiresAt.gt(now))
            .exec(&*self.0.db.writer().await?)
            .await?;
        if consumed.rows_affected != 1 {
            return Err(used());
        }
        let row = ticket::Entity::find_by_id(digest).one(self.0.db.reader()).await?.ok_or_else(used)?;
        let (session, user): (session::Model, user::Model) =
            self.live_session(row.session_id, row.user_id).await?;
        self.0.uses.note(session.id, address);
        Ok(Caller::signed_in(user, session.id, row.token_expires_at, address))
    }
}
