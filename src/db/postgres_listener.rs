//! One connection that listens to notifications of PostgreSQL.

use sea_orm::{
    DbErr,
    sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use super::failed;

/// See the module. It never connects again by itself: make a new one after an error, because what was sent meanwhile is
/// lost.
pub struct Listener(PgListener);

impl Listener {
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
    pub async fn next(&mut self) -> Result<String, DbErr> {
        match self.0.try_recv().await.map_err(failed)? {
            Some(notification) => Ok(notification.payload().to_owned()),
            None => Err(super::refused("the connection that listens was lost")),
        }
    }
}
