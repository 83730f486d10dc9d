//! One connection that listens to notifications of PostgreSQL.

use sea_orm::{
    DbErr,
    sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use super::{failed, postgres::options};
use crate::config::DatabaseUrl;

/// See the module. It never connects again by itself: make a new one after an error, because what was sent meanwhile is
/// lost.
pub struct NotificationListener(PgListener);

impl NotificationListener {
    pub(super) async fn connect(options: PgConnectOptions, channel: &str) -> Result<Self, DbErr> {
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut listener = PgListener::connect_with(&one.connect_lazy_with(options)).await.map_err(failed)?;
        listener.eager_reconnect(false);
        listener.listen(channel).await.map_err(failed)?;
        Ok(Self(listener))
    }

    /// The payload of the next notification.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn next_payload(&mut self) -> Result<String, DbErr> {
        match self.0.try_recv().await.map_err(failed)? {
            Some(notification) => Ok(notification.payload().to_owned()),
            None => Err(super::refused("the connection that listens was lost")),
        }
    }
}

/// The same login and database at another address, unless the address names others.
pub(super) fn elsewhere(named: &PgConnectOptions, address: &DatabaseUrl) -> Result<PgConnectOptions, DbErr> {
    let there = options(address)?;
    if address.expose().contains('@') {
        return Ok(there);
    }
    let same = named.clone().host(there.get_host()).port(there.get_port());
    Ok(match there.get_database() {
        Some(database) => same.database(database),
        None => same,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_login_takes_that_of_the_pooler() {
        let named = options(&"postgres://ada:secret@pooler:6432/chat".into()).expect("valid");
        for (address, user, host, port, database) in [
            ("postgres://db", "ada", "db", 5432, "chat"),
            ("postgres://db:5433/other", "ada", "db", 5433, "other"),
            ("postgres://bob:secret@db/own", "bob", "db", 5432, "own"),
        ] {
            let there = elsewhere(&named, &address.into()).expect(address);
            assert_eq!((there.get_username(), there.get_host()), (user, host), "{address}");
            assert_eq!((there.get_port(), there.get_database()), (port, Some(database)), "{address}");
        }
    }
}
