//! Readiness: whether the database reads and stores.
//!
//! A full disk, a read-only standby and a lock that another program holds all allow reads, so the check makes
//! a real commit. Anyone may ask at any rate: one answer serves all for a moment.

use std::time::Duration;

use entity::room;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, sea_query::Expr};
use tokio::{sync::Mutex, time::Instant};

use super::{Chat, Core};
use crate::error::{Error, Result, Unavailable};

/// How long an answer is valid.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take. Probes do not wait for long either.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The last answer.
pub(super) struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    pub fn new() -> Self {
        Self(Mutex::default())
    }
}

impl Chat {
    /// Checks that messages can be read and stored.
    ///
    /// # Errors
    /// `unavailable` for any problem. The log has the cause.
    pub async fn is_ready(&self) -> Result<()> {
        // Locked during the check: requests that arrive meanwhile get the same answer.
        let mut last = self.core.readiness.0.lock().await;
        let fresh = last.filter(|(at, _)| at.elapsed() < FRESH);
        let is_ready = match fresh {
            Some((_, is_ready)) => is_ready,
            None => {
                let asked = tokio::time::timeout(PROBE_TIMEOUT, reads_and_stores(&self.core)).await;
                let is_ready = match asked {
                    Ok(Ok(())) => true,
                    Ok(Err(err)) => {
                        tracing::error!(error = ?err, "not ready: the database does not do what it should");
                        false
                    }
                    Err(_) => {
                        tracing::error!("not ready: the database did not answer within {PROBE_TIMEOUT:?}");
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
        if is_ready { Ok(()) } else { Err(Error::Unavailable(Unavailable::Database)) }
    }
}

/// Stores the time, because SQLite writes nothing if nothing changes. Uses the path by which messages are
/// stored.
async fn reads_and_stores(core: &Core) -> Result<()> {
    core.db.ping().await?;
    let hot_path = core.db.hot_path();
    let moved = room::Entity::update_many()
        .col_expr(room::Column::ActiveAt, Expr::value(core.clock.now()))
        .filter(room::COLUMN.id.eq(core.rooms.lobby().id))
        .build(hot_path.backend());
    Ok(hot_path.execute(moved).await?)
}
