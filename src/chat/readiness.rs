//! Whether the database does what everything here needs of it: reads, and stores.
//!
//! A full disk, a read-only standby and a lock that somebody else holds all let reads through, so asking
//! takes a real commit. Anybody may ask at any rate: one answer serves all for a moment.

use std::time::Duration;

use entity::room;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, sea_query::Expr};
use tokio::{sync::Mutex, time::Instant};

use super::{Chat, Core};
use crate::error::{Busy, Error, Result};

/// How long an answer serves.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take; probes do not wait for long either.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last answer.
pub(super) struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    pub fn new() -> Self {
        Self(Mutex::default())
    }
}

impl Chat {
    /// Whether messages can be read and stored.
    ///
    /// # Errors
    /// `unavailable`, whatever is wrong; what it is stands in the log.
    pub async fn is_ready(&self) -> Result<()> {
        // Held while asking: who asks meanwhile gets the same answer.
        let mut last = self.core.readiness.0.lock().await;
        let fresh = last.filter(|(at, _)| at.elapsed() < FRESH);
        let is_ready = match fresh {
            Some((_, is_ready)) => is_ready,
            None => {
                let asked = tokio::time::timeout(PATIENCE, reads_and_stores(&self.core)).await;
                let is_ready = match asked {
                    Ok(Ok(())) => true,
                    Ok(Err(err)) => {
                        tracing::error!(error = ?err, "not ready: the database does not do what it should");
                        false
                    }
                    Err(_) => {
                        tracing::error!("not ready: the database did not answer within {PATIENCE:?}");
                        false
                    }
                };
                if is_ready && last.is_some_and(|(_, before)| !before) {
                    tracing::info!("ready again");
                }
                *last = Some((Instant::now(), is_ready));
                is_ready
            }
        };
        if is_ready { Ok(()) } else { Err(Error::Unavailable(Busy::Database)) }
    }
}

/// Stores the time (SQLite writes nothing where nothing changes), by the way that messages are stored.
async fn reads_and_stores(core: &Core) -> Result<()> {
    core.db.ping().await?;
    let steady = core.db.steady();
    let moved = room::Entity::update_many()
        .col_expr(room::Column::ActiveAt, Expr::value(core.clock.now()))
        .filter(room::COLUMN.id.eq(core.lobby.id))
        .build(steady.backend());
    Ok(steady.execute(moved).await?)
}
