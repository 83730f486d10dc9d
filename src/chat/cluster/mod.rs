//! Other nodes: processes that serve the same PostgreSQL. What one of them stores, the others find there and deliver.
//!
//! Each node beats: it notes in the table `nodes` that it is alive, by the clock of the database. While other nodes
//! are alive, it looks at the database at intervals, and brings what it has in memory up to date:
//! - [`rooms`]: the rooms in memory, by their heads
//! - [`presence`]: who is online at the other nodes, by what they have written
//! - [`notices`]: everything else, by what they have noted; [`receipts`] are noted there, too. [`members`] loads rooms that
//!   are not in memory
//! - [`typing`]: over the bus alone
//!
//! A [`bell`] on the bus tells it where to look before the interval is over, and brings the messages themselves
//! ([`stored`]). A node that is alone only beats. The database decides everything: a look or a frame that comes late, or
//! twice, costs time and nothing else.

mod absent;
mod bell;
mod members;
mod notices;
mod presence;
mod receipts;
mod rooms;
mod sql;
mod stored;
mod typing;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use entity::{ChangeNumber, RoomId, Seq, UserId};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

pub(super) use self::presence::Elsewhere;
use self::{
    bell::{Bell, Rung},
    notices::{EndedLogins, Position},
    stored::Storing,
    typing::TypingNews,
};
use super::{
    Core,
    connections::options::TypingPlace,
    room::{Fresh, Room, watermark::Marks},
};
use crate::{
    bus::{Driver, Nats, Postgres, Redis},
    config::Bus,
    error::Result,
};

/// How long the deletion of the node's own row may take when it leaves.
const LEAVING: Duration = Duration::from_secs(1);

/// How long what this node has to tell is gathered: receipts move with every message.
const GATHERING: Duration = Duration::from_millis(200);
/// A node that has not beaten for this long, or for four looks, may be gone already.
const FRESH: Duration = Duration::from_secs(2);
/// While the bell works, one of so many looks is at all rooms.
const SELDOM: u64 = 4;

/// This node among the others.
pub(super) struct Cluster {
    id: Uuid,
    others: AtomicUsize,
    ended_logins: EndedLogins,
    /// Rooms whose receipts were saved here since the last look.
    receipts: receipts::MovedRooms,
    /// Who is online at other nodes.
    pub elsewhere: Elsewhere,
    bell: Bell,
    /// There is something to tell the others.
    own_news: Notify,
}

/// Another node that is alive.
#[derive(Clone, Copy, Debug)]
struct Node {
    id: Uuid,
    /// The version of what it has written of its users.
    presence: i64,
    /// It has beaten a moment ago.
    is_fresh: bool,
}

impl Cluster {
    pub fn new() -> Self {
        Self {
            id: Uuid::now_v7(),
            others: AtomicUsize::new(0),
            ended_logins: EndedLogins::default(),
            receipts: receipts::MovedRooms::default(),
            elsewhere: Elsewhere::default(),
            bell: Bell::default(),
            own_news: Notify::new(),
        }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The number of other nodes that are alive.
    pub fn others(&self) -> usize {
        self.others.load(Ordering::Relaxed)
    }

    /// These receipts of a room were saved here.
    pub fn receipts_moved(&self, room: RoomId, saved: impl Iterator<Item = (UserId, Marks)>) {
        if !self.is_shared() {
            return;
        }
        if self.bell.works() {
            self.bell.tell_marks(room, saved);
        }
        if !self.bell.hears_all(self.others()) {
            self.receipts.add(room);
            self.own_news.notify_one();
        }
    }

    /// A user of this node has come online, or gone, or has another number of connections.
    pub fn came_or_went(&self, user: UserId) {
        self.elsewhere.note(user);
        if self.is_shared() {
            self.own_news.notify_one();
        }
    }

    /// How many of the `here` connections that a user has at this node are too many, with those of the other nodes.
    pub fn surplus(&self, user: UserId, here: usize, limit: usize) -> usize {
        self.elsewhere.surplus(self.id, user, here, limit)
    }

    /// Tells the other nodes that a user of this one types, or has stopped.
    pub fn types(&self, user: UserId, place: &TypingPlace, typing: bool) {
        if self.is_shared() {
            self.bell.ring(Rung { typing: TypingNews::of(user, place, typing), ..Rung::default() });
        }
    }

    /// Tells the other nodes that something was stored in a room.
    pub fn stored_in(&self, room: RoomId) {
        if self.is_shared() {
            self.bell.ring(Rung { rooms: [room].into(), ..Rung::default() });
        }
    }

    /// Tells the other nodes of messages that were committed just now. `changed` is the newest change that was known
    /// before.
    pub fn stored(&self, room: &Room, fresh: &[Fresh], changed: ChangeNumber) {
        let version = room.version();
        self.bell.tell(fresh.iter().map(|fresh| Storing {
            message: fresh.message.clone(),
            written: fresh.origin.as_ref().and_then(|origin| origin.written.clone()),
            version,
            changed,
        }));
    }

    /// These rooms are in memory now, and may have been loaded just now.
    pub fn have_come(&self, rooms: &[Arc<Room>]) {
        if self.is_shared() {
            self.bell.have_come(rooms.iter().map(|room| room.id));
        }
    }

    /// Tells the other nodes that a notice was committed.
    pub fn noted(&self) {
        if self.is_shared() {
            self.bell.ring(Rung { notices: true, ..Rung::default() });
        }
    }

    /// Whether what other nodes store is noticed at once.
    pub fn bus_works(&self) -> bool {
        self.bell.works()
    }

    /// Whether other nodes may change the database at this moment.
    pub fn is_shared(&self) -> bool {
        self.others() > 0
    }
}

/// Starts the tasks of a node.
///
/// # Errors
/// The database does not say in which schema it is.
pub(super) async fn start(core: &Arc<Core>) -> Result<()> {
    core.shutdown.spawn(run(core.clone()));
    let settings = &core.settings.cluster;
    // Several installations may share a database, each in a schema of its own, and a bus.
    let schema = core.db.current_schema().await?.unwrap_or_default();
    let channel = format!("{}.{schema}", settings.name);
    match settings.bus {
        Bus::Off => {}
        Bus::Postgres => {
            ring_by(core, Postgres::new(core.db.clone(), channel, settings.listens_at().cloned()));
        }
        Bus::Nats => ring_by(core, Nats::new(settings.url.clone(), channel)),
        Bus::Redis => ring_by(core, Redis::new(settings.url.clone(), channel)),
    }
    Ok(())
}

fn ring_by(core: &Arc<Core>, driver: impl Driver) {
    let driver = Arc::new(driver);
    core.cluster.bell.begin();
    core.shutdown.spawn(bell::send(core.clone(), driver.clone()));
    core.shutdown.spawn(bell::listen(core.clone(), driver));
}

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
async fn run(core: Arc<Core>) {
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
        let (others, is_new) = beat(core).await?;
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

/// Notes that this node is alive. Returns the others that are, and whether they did not know this one.
async fn beat(core: &Core) -> Result<(Vec<Node>, bool)> {
    let lease = core.settings.cluster.lease.as_secs_f64();
    let presence = core.cluster.elsewhere.version();
    let fresh = (core.settings.cluster.look_every * 4).max(FRESH).as_secs_f64();
    let values = [
        core.cluster.id.into(),
        env!("CARGO_PKG_VERSION").into(),
        lease.into(),
        presence.into(),
        fresh.into(),
    ];
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::BEAT, values);
    let (mut others, mut is_new) = (Vec::new(), false);
    for row in core.db.writer().await?.query_all_raw(asked).await? {
        let (id, presence) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        others.push(Node { id, presence, is_fresh: row.try_get_by_index(3)? });
        is_new = row.try_get_by_index(2)?;
    }
    Ok((others, is_new))
}

impl Core {
    /// Delivers what other nodes have stored before messages of this node, which were committed just now. If it cannot,
    /// the connections catch up.
    pub(super) async fn follow_up_to(self: &Arc<Self>, room: &Arc<Room>, first: Seq) {
        // A database that no longer answers must not block the room for ever.
        match tokio::time::timeout(self.db.patience(), rooms::fill_gap(self, room, first)).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => {
                tracing::warn!(error = ?err, room.id = %room.id, "could not read what another node has stored");
            }
            Err(_) => {
                tracing::warn!(room.id = %room.id, "reading what another node has stored took too long")
            }
        }
    }
}

/// The others need not wait for the end of the lease.
async fn leave(core: &Core) -> Result<()> {
    let asked = Statement::from_sql_and_values(DbBackend::Postgres, sql::LEAVE, [core.cluster.id.into()]);
    core.db.writer().await?.execute_raw(asked).await?;
    Ok(())
}
