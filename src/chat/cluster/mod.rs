//! Other nodes: processes that serve the same PostgreSQL. What one of them stores, the others find there and deliver.
//!
//! Each node beats: it notes in the table `nodes` that it is alive, by the clock of the database. While other nodes
//! are alive, it looks at the database at intervals ([`looks`]), and brings what it has in memory up to date:
//! - [`rooms`]: the rooms in memory, by their heads
//! - [`presence`]: who is online at the other nodes, by what they have written
//! - [`notices`]: everything else, by what they have noted; [`receipts`] are noted there, too. [`members`] loads rooms that
//!   are not in memory
//! - [`typing`]: over the bus alone
//!
//! What is wrong with this node alone is in [`fitness`]. When it is stopped, it hands over its clients ([`handover`]).
//!
//! A [`bell`] on the bus tells it where to look before the interval is over, and brings the messages themselves
//! ([`stored`]) and their changes ([`changed`]). A node that is alone only beats. The database decides everything: a
//! look or a frame that comes late, or twice, costs time and nothing else.

mod absent;
mod bell;
mod changed;
mod fitness;
mod handover;
mod looks;
mod members;
mod notices;
mod presence;
mod receipts;
mod rooms;
mod rung;
mod sql;
mod stored;
mod typing;
mod unsent;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use entity::{ChangeNumber, RoomId, Seq, UserId};
use tokio::sync::Notify;
use uuid::Uuid;

pub(super) use self::presence::Elsewhere;
use self::{
    bell::Bell, changed::Changing, fitness::Fitness, notices::EndedLogins, rung::Rung, stored::Storing,
    typing::TypingNews, unsent::Told,
};
use super::{
    Core,
    connections::options::TypingPlace,
    model::MessageChange,
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
    pub fitness: Fitness,
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
            fitness: Fitness::default(),
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
        self.bell.tell(fresh.iter().map(|fresh| {
            Told::Stored(Storing {
                message: fresh.message.clone(),
                written: fresh.origin.as_ref().and_then(|origin| origin.written.clone()),
                version,
                changed,
            })
        }));
    }

    /// Tells the other nodes of changes that were committed just now.
    pub fn changed(&self, room: &Room, changes: &[Arc<MessageChange>]) {
        if self.is_shared() {
            let version = room.version();
            let changing = |change: &Arc<MessageChange>| Changing { change: change.clone(), version };
            self.bell.tell(changes.iter().map(changing).map(Told::Changed));
        }
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

    /// How long the way over the bus takes, to this node itself.
    pub fn bus_loopback(&self) -> Duration {
        self.bell.loopback()
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
    core.shutdown.spawn(looks::run(core.clone()));
    let settings = &core.settings.cluster;
    // Several installations may share a bus, and a database in which each has a schema of its own.
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

impl Core {
    /// A room that another node has told of, if it is in memory here.
    fn told_of(&self, room: RoomId) -> Option<Arc<Room>> {
        let live = self.rooms.resident(room);
        if live.is_none() {
            self.cluster.bell.is_absent(room, || self.rooms.resident(room).is_some());
        }
        live
    }

    /// A client names messages up to which it has received or read rooms. Another node may have stored them, and this one
    /// may not know them yet: the client may have them from there, or from the history. One statement asks for all rooms.
    pub(super) async fn know_up_to<'a>(
        self: &Arc<Self>,
        named: impl IntoIterator<Item = (&'a Arc<Room>, Seq)>,
    ) -> Result<()> {
        if !self.cluster.is_shared() {
            return Ok(());
        }
        let behind = named.into_iter().filter(|(room, seq)| *seq > room.published());
        let behind: BTreeMap<RoomId, Arc<Room>> = behind.map(|(room, _)| (room.id, room.clone())).collect();
        if !behind.is_empty() {
            rooms::follow(self, &behind.into_values().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

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
