//! Readiness: whether the database reads and stores.
//!
//! A full disk, a read-only standby and a lock that another program holds all allow reads, so the check makes
//! a real commit. Anyone may ask at any rate: one answer serves all for a moment.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use entity::{RoomId, probe, room};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, sea_query::Expr};
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use super::{Chat, Core};
use crate::error::{Error, Result, Unavailable};

/// How long an answer is valid.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take. Probes do not wait for long either.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Readiness {
    /// The last answer of the database.
    last: Mutex<Option<(Instant, bool)>>,
    /// The server is being stopped.
    leaves: AtomicBool,
}

impl Readiness {
    pub fn new() -> Self {
        Self { last: Mutex::default(), leaves: AtomicBool::new(false) }
    }

    /// From now on the answer is no.
    pub fn leave(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }
}

impl Chat {
    /// Checks that messages can be read and stored, and that this node serves its clients as well as the others would.
    ///
    /// # Errors
    /// `unavailable` for any problem. The log has the cause.
    pub async fn is_ready(&self) -> Result<()> {
        if self.core.readiness.leaves.load(Ordering::Relaxed) {
            return Err(Error::Unavailable(Unavailable::Draining));
        }
        if self.core.cluster.fitness.unfit().is_some() {
            return Err(Error::Unavailable(Unavailable::Unfit));
        }
        // Locked during the check: requests that arrive meanwhile get the same answer.
        let mut last = self.core.readiness.last.lock().await;
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

/// Stores the time, because SQLite writes nothing if nothing changes, by the path by which messages are stored. On
/// SQLite there is one node, and one row for all times.
async fn reads_and_stores(core: &Core) -> Result<()> {
    core.db.ping().await?;
    let (hot_path, now) = (core.db.hot_path(), core.clock.now());
    if core.db.is_sqlite() {
        return Ok(hot_path.execute(probe::write(Uuid::nil(), now, hot_path.backend())).await?);
    }
    // It changes no row, so it waits for no other node. It waits for whoever has locked the table, as each message does.
    let no_room = room::Entity::update_many()
        .col_expr(room::Column::ActiveAt, Expr::value(now))
        .filter(room::COLUMN.id.eq(RoomId(Uuid::nil())));
    hot_path.execute(no_room.build(hot_path.backend())).await?;
    Ok(hot_path.execute(probe::write(core.cluster.id(), now, hot_path.backend())).await?)
}
