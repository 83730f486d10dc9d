//! PostgreSQL's notifications. They are sent in statements of their own, after the commits that they are about: in the
//! transaction of a commit they would take a lock that all commits wait for.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sha2::{Digest, Sha256};

use super::{Broken, Driver, Listener, sql};
use crate::{
    config::DatabaseUrl,
    db::{Db, NotificationListener},
};

/// See the module.
pub struct Postgres {
    db: Db,
    channel: String,
    /// Where to listen, if not where everything else is asked.
    listens_at: Option<DatabaseUrl>,
}

impl Postgres {
    /// PostgreSQL cuts the names of channels off when it listens, and refuses long ones when it notifies.
    const LONGEST_NAME: usize = 63;

    pub fn new(db: Db, channel: String, listens_at: Option<DatabaseUrl>) -> Self {
        let is_short = channel.len() <= Self::LONGEST_NAME;
        let hashed = || Sha256::digest(&channel)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let channel = if is_short { channel } else { hashed() };
        Self { db, channel, listens_at }
    }
}

impl Driver for Postgres {
    type Listener = NotificationListener;

    /// PostgreSQL takes less than 8,000.
    const LONGEST: usize = 7_500;

    async fn send(&self, frames: Vec<String>) -> Result<(), Broken> {
        let values = [self.channel.as_str().into(), frames.into()];
        let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::NOTIFY, values);
        let writer = self.db.writer().await.map_err(Broken::new)?;
        writer.execute_raw(asked).await.map_err(Broken::new)?;
        Ok(())
    }

    async fn listen(&self) -> Result<NotificationListener, Broken> {
        self.db.listen(&self.channel, self.listens_at.as_ref()).await.map_err(Broken::new)
    }
}

impl Listener for NotificationListener {
    async fn next(&mut self) -> Result<String, Broken> {
        self.next_payload().await.map_err(Broken::new)
    }
}
