//! The looks: when a node looks at what, and its beats.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    GATHERING, LEAVING, Node,
    notices::{self, Position},
    presence, receipts, rooms,
    rung::Rung,
    sql, typing,
};
use crate::{chat::Core, config::Bus, error::Result};

/// A node that has not beaten for this long, or for four looks, may be gone already.
const FRESH: Duration = Duration::from_secs(2);
/// While the bell works, one of so many looks is at all rooms.
const SELDOM: u64 = 4;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// What the other nodes have rung for.
    Rung,
    /// What this node has to tell the others. If its users have come or gone, it beats.
    Own,
    /// Everything. The node beats.
    All,
}

/// Beats and looks until the server has stored everything and closes its connections: until then the other nodes have to
/// look for what it stores.
pub(super) async fn run(core: Arc<Core>) {
    let mut has_failed = false;
    let mut looks = Looks::default();
    let (mut next, mut own) = (Instant::now(), None);
    loop {
        let kind = tokio::select! {
            () = core.shutdown.closing() => break,
            () = tokio::time::sleep_until(next) => Look::All,
            () = tokio::time::sleep_until(own.unwrap_or(next)) => Look::Own,
            () = core.cluster.bell.news.notified() => Look::Rung,
            () = core.cluster.own_news.notified(), if own.is_none() => {
                own = Some(Instant::now() + GATHERING);
                continue;
            }
        };
        if kind == Look::All {
            next = Instant::now() + core.settings.cluster.look_every;
        }
        if kind != Look::Rung {
            own = None;
        }
        let looked = tokio::time::timeout(core.db.patience(), looks.look(&core, kind)).await;
        let failed = match &looked {
            Ok(Ok(())) => None,
            Ok(Err(err)) => Some(format!("{err:?}")),
            Err(_) => Some("the database did not answer in time".to_owned()),
        };
        // An outage lasts for many looks.
        if let Some(error) = failed.as_deref().filter(|_| !has_failed) {
            tracing::warn!(error, "could not look at what other nodes have stored");
        }
        has_failed = failed.is_some();
    }
    drop(tokio::time::timeout(LEAVING, leave(&core)).await);
}

/// What is kept from one look to the next.
#[derive(Default)]
struct Looks {
    position: Option<Position>,
    /// The number of looks at everything.
    count: u64,
    /// A look has failed: what it was rung for is found by a look at everything.
    owes_all: bool,
    /// The other nodes that were alive.
    known: BTreeSet<Uuid>,
}

impl Looks {
    async fn look(&mut self, core: &Arc<Core>, kind: Look) -> Result<()> {
        let owes_all = std::mem::replace(&mut self.owes_all, true);
        let looked_at_all = self.look_now(core, kind, owes_all).await?;
        self.owes_all = owes_all && !looked_at_all;
        Ok(())
    }

    /// Returns whether it was at all rooms.
    async fn look_now(&mut self, core: &Arc<Core>, kind: Look, owes_all: bool) -> Result<bool> {
        let cluster = &core.cluster;
        let was_shared = cluster.is_shared();
        let mut news = Rung::default();
        if was_shared && kind != Look::Rung {
            news.presences = presence::write(core).await?;
            news.notices = receipts::tell(core).await?;
        }
        if kind == Look::Own && !news.presences {
            if !news.is_empty() {
                cluster.bell.ring(news);
            }
            return Ok(false);
        }
        let rung = cluster.bell.take_heard();
        typing::tell(core, rung.typing).await?;
        receipts::follow(core, core.rooms.resident_among(rung.receipts)).await?;
        if kind == Look::Rung && !rung.presences && self.position.is_some() {
            let mut rooms = rung.rooms;
            if rung.notices {
                rooms.extend(notices::follow(core, &mut self.position).await?);
            }
            rooms::follow(core, &core.rooms.resident_among(rooms)).await?;
            return Ok(false);
        }
        let Beat { others, is_new, hears_less } = beat(core).await?;
        if is_new || others.is_empty() || owes_all {
            // Nobody has read what this node has written, or PostgreSQL has lost it in a crash, or it was not written.
            cluster.elsewhere.alone();
            self.position = None;
        }
        let alive: BTreeSet<Uuid> = others.iter().map(|other| other.id).collect();
        // A node that has gone may have stored something just before, and not told it.
        let everything =
            (kind == Look::All && (cluster.bell.take_missed() || owes_all)) || !self.known.is_subset(&alive);
        self.known = alive;
        if others.len() != cluster.others.swap(others.len(), Ordering::Relaxed) {
            tracing::info!(nodes = others.len() + 1, "nodes on this database");
        }
        if others.is_empty() {
            cluster.receipts.take();
        } else if !news.is_empty() {
            cluster.bell.ring(news);
        }
        cluster.bell.keep(|node| node == cluster.id || self.known.contains(&node));
        presence::follow(core, &others).await?;
        if others.is_empty() {
            cluster.fitness.alone();
        }
        if others.is_empty() && !was_shared && !everything {
            return Ok(true);
        }
        self.count += u64::from(kind == Look::All);
        let (hears_all, is_seldom) =
            (cluster.bell.hears_all(others.len()), self.count.is_multiple_of(SELDOM));
        let looks_at_all = (kind == Look::All && (!hears_all || is_seldom))
            || everything
            || !was_shared
            || self.position.is_none();
        // The other nodes note whose receipts have moved only if they do not hear all; this node alone may be deaf.
        let is_deaf = core.settings.cluster.bus != Bus::Off && !hears_all;
        cluster.fitness.note_deaf(hears_less);
        cluster.fitness.log();
        if everything || (kind == Look::All && is_deaf && is_seldom) {
            receipts::follow(core, core.rooms.all()).await?;
        }
        let mut changed = notices::follow(core, &mut self.position).await?;
        changed.extend(rung.rooms);
        let rooms = if looks_at_all { core.rooms.all() } else { core.rooms.resident_among(changed) };
        rooms::follow(core, &rooms).await?;
        Ok(looks_at_all)
    }
}

/// What a beat has found.
struct Beat {
    /// The other nodes that are alive.
    others: Vec<Node>,
    /// The others did not know this one.
    is_new: bool,
    /// One of the others hears more nodes over the bus than this one.
    hears_less: bool,
}

/// Notes that this node is alive.
async fn beat(core: &Core) -> Result<Beat> {
    let settings = &core.settings.cluster;
    let presence = core.cluster.elsewhere.version();
    let fresh = (settings.look_every * 4).max(FRESH).as_secs_f64();
    let hears = (settings.bus != Bus::Off).then(|| core.cluster.bell.heard());
    let values = [
        core.cluster.id.into(),
        env!("CARGO_PKG_VERSION").into(),
        settings.lease.as_secs_f64().into(),
        presence.into(),
        fresh.into(),
        hears.into(),
    ];
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::BEAT, values);
    let writer = core.db.writer().await?;
    let before = core.clock.now();
    let rows = writer.query_all_raw(asked).await?;
    let after = core.clock.now();
    let mut found = Beat { others: Vec::new(), is_new: false, hears_less: false };
    for row in rows {
        let (id, presence) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        found.others.push(Node { id, presence, is_fresh: row.try_get_by_index(3)? });
        found.is_new = row.try_get_by_index(2)?;
        found.hears_less |= hears.is_some() && row.try_get_by_index::<Option<i32>>(4)? > hears;
        core.cluster.fitness.note_clock(before, row.try_get_by_index(5)?, after);
    }
    Ok(found)
}

/// The others need not wait for the end of the lease.
async fn leave(core: &Core) -> Result<()> {
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::LEAVE, [core.cluster.id.into()]);
    core.db.writer().await?.execute_raw(asked).await?;
    Ok(())
}
