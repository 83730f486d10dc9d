//! The core: what each user may do, in which order messages are stored, and which connections receive them.
//! It knows no transport, no wire format and no token.
//!
//! [`Chat`] is the one handle. Its parts, by folder and file:
//! - `users`: register, find, list, change and delete accounts; `profiles`: which profiles a list contains
//! - `groups`: create, join, leave, change, delete and list groups
//! - `messages`: send messages and read history; `conversations`: the list of a user's rooms; `page_size`:
//!   where a page of messages ends
//! - `receipts`: delivered and read receipts, merged in memory and saved in batches
//! - `presence`: online, offline, typing
//! - `public_list`: notifies everyone of changes in the list of groups; `quotas`: how many groups a user may
//!   make and how many members a user may add
//! - `joined`: which rooms a socket has joined, for dialects in which a socket receives only those
//! - `readiness`: whether the database reads and writes
//! - `connections`: the connections of all users. `hub`: all of them, by user; `connection`: one of them;
//!   `lifecycle`: connect, open, refresh, disconnect; `expiry`: the ends of tokens; `broadcast`: writes
//!   events to many connections
//! - `room`: a live room. `registry`: the rooms in memory; `create`: finds rooms, and makes direct rooms and
//!   the lobby; `membership`: changes of the members; `permissions`: what a role may do; `fanout`: the
//!   subscriptions; `catch_up` and `replay_cache`: messages that a connection has missed; `recent`: the
//!   newest messages; `receipts` and `watermark`: how far members have received and read
//! - `writer`: stores messages. `scheduler`: which messages share a commit; `fast_path`: the common commit;
//!   `transaction`: the commit for all other cases
//! - `model`: what operations return; `event`: what connections receive; `sql`: SQL text of the measured
//!   reads
//!
//! The path of one message: `messages` finds the [`room`] and checks that the sender is a member. The
//! [`writer`] gives the message a seq and commits it together with the other waiting messages. The room
//! publishes it to all subscribers, and only then the sender gets the answer.

pub mod connections;
pub mod event;
pub mod model;

mod conversations;
mod groups;
mod joined;
mod messages;
mod page_size;
mod presence;
mod profiles;
mod public_list;
mod quotas;
mod readiness;
mod receipts;
mod room;
mod sql;
mod users;
mod writer;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use self::{
    conversations::ListRooms,
    groups::{GroupChange, GroupRef, ListGroups, NewGroup},
    messages::{Draft, HistoryQuery, Place},
    room::Reply,
    users::{ListUsers, NewUser, UserChange},
};
use crate::{
    clock::Clock,
    config::{Config, LimitsConfig, PresenceConfig, WriterConfig},
    counts::Counts,
    db::Db,
    error::Result,
    limits::Failures,
    password::Passwords,
    shutdown::Shutdown,
};

/// The sections of the configuration that the core uses.
#[derive(Clone, Debug)]
pub struct ChatSettings {
    pub limits: LimitsConfig,
    pub writer: WriterConfig,
    pub presence: PresenceConfig,
    /// How long before a token expires its connection is warned.
    pub expiring_notice: Duration,
}

impl ChatSettings {
    pub fn of(config: &Config) -> Self {
        Self {
            limits: config.limits.clone(),
            writer: config.writer.clone(),
            presence: config.presence.clone(),
            expiring_notice: config.auth.expiring_notice,
        }
    }

    /// The most messages of a catch-up that may be under way to one connection. It is well below what the
    /// connection's queue holds and what may stay unacknowledged, so that a catch-up exceeds neither.
    fn under_way(&self) -> usize {
        (self.limits.outgoing_packets.min(self.limits.unacknowledged) / 2).clamp(1, 2_000)
    }
}

/// Pages of history that are read at the same time. Others wait for their turn; the database's connections would
/// make them wait in any case.
const PAGES_AT_ONCE: usize = 16;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Chat {
    core: Arc<Core>,
}

struct Core {
    db: Db,
    clock: Clock,
    shutdown: Shutdown,
    counts: Counts,
    readiness: readiness::Readiness,
    passwords: Passwords,
    failures: Failures,
    settings: ChatSettings,
    hub: connections::hub::Hub,
    rooms: room::registry::RoomRegistry,
    rooms_of: connections::lifecycle::RoomsOf,
    writer: writer::Writer,
    /// Pages of history that are read at the same time: their rows are in memory until they are rendered.
    page_reads: Semaphore,
    /// The tasks behind the writer.
    writers: TaskTracker,
    replay_cache: room::replay_cache::ReplayCache,
    receipts: receipts::Receipts,
    expiry: connections::expiry::Expiry,
    presence_updates: presence::PresenceUpdates,
    public_list: public_list::PublicList,
    quotas: quotas::Quotas,
    /// The room that every user is in.
    lobby: Arc<room::Room>,
}

/// The numbers of live objects of the core, for metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauges {
    pub users_online: usize,
    pub connections: usize,
    pub rooms_resident: usize,
    /// Subscriptions to rooms: a connection counts once for each of its rooms.
    pub listeners: usize,
    pub drafts_waiting: usize,
    /// Tasks that send a connection the messages that it has missed in one room.
    pub catch_ups: usize,
    /// `response` events whose acknowledgement is pending.
    pub acknowledgements: usize,
    pub tasks: usize,
}

impl Chat {
    /// Starts the core's tasks. The tables must exist.
    pub async fn start(
        db: Db,
        clock: Clock,
        shutdown: Shutdown,
        passwords: Passwords,
        failures: Failures,
        counts: Counts,
        settings: ChatSettings,
    ) -> Result<Self> {
        let rooms = room::registry::RoomRegistry::new(&db, &shutdown);
        let lobby = room::create::open_lobby(&db, &clock, &rooms).await?;
        // SQLite writes through one connection; more commits would only wait for each other.
        let lanes = if db.is_sqlite() { 1 } else { 4 };
        let (writer, lanes) = writer::Writer::new(lanes, settings.writer.queue, settings.writer.batch);
        let core = Arc::new(Core {
            hub: connections::hub::Hub::new(clock.clone(), settings.limits.connections_per_user),
            replay_cache: room::replay_cache::ReplayCache::new(),
            rooms_of: connections::lifecycle::rooms_of(&db, &shutdown),
            receipts: receipts::Receipts::new(),
            expiry: connections::expiry::Expiry::new(),
            presence_updates: presence::PresenceUpdates::default(),
            public_list: public_list::PublicList::default(),
            quotas: quotas::Quotas::new(&clock, &settings),
            db,
            clock,
            shutdown,
            passwords,
            failures,
            settings,
            rooms,
            counts,
            readiness: readiness::Readiness::new(),
            writer,
            page_reads: Semaphore::new(PAGES_AT_ONCE),
            writers: TaskTracker::new(),
            lobby,
        });
        core.shutdown.spawn(core.writers.track_future(writer::run(core.clone(), lanes)));
        core.shutdown.spawn(room::replay_cache::run(core.clone()));
        core.shutdown.spawn(receipts::run(core.clone()));
        core.shutdown.spawn(connections::expiry::run(core.clone()));
        core.shutdown.spawn(presence::run(core.clone()));
        core.shutdown.spawn(public_list::run(core.clone()));
        Ok(Self { core })
    }

    pub fn gauges(&self) -> Gauges {
        let rooms = self.core.rooms.all();
        Gauges {
            users_online: self.core.hub.online_count(),
            connections: self.core.hub.connection_count(),
            rooms_resident: rooms.len(),
            listeners: rooms.iter().map(|room| room.subscriber_count()).sum(),
            drafts_waiting: self.core.writer.waiting(),
            catch_ups: self.core.counts.catch_ups.now(),
            acknowledgements: self.core.counts.acknowledgements.now(),
            tasks: self.core.shutdown.running(),
        }
    }

    /// The counts of live objects, for code that creates them.
    pub fn counts(&self) -> &Counts {
        &self.core.counts
    }

    /// The logins that connections here belong to.
    pub fn live_sessions(&self) -> Vec<entity::SessionId> {
        self.core.hub.sessions()
    }

    /// The most bytes of a message's content, for gateways that parse one.
    pub fn content_bytes(&self) -> usize {
        self.core.settings.limits.content_bytes
    }

    /// Waits until the writer has stored all queued messages. Then saves the last receipts, and when everyone
    /// connected here was last seen. Call it after [`Shutdown::settle`].
    pub async fn drain(&self) -> Result<()> {
        self.core.writers.close();
        self.core.writers.wait().await;
        // Clients are acknowledging the messages that were just delivered.
        tokio::time::sleep(self.core.settings.writer.receipts_tick).await;
        receipts::flush(&self.core).await?;
        // Notifying senders of deliveries has moved further marks.
        receipts::flush(&self.core).await?;
        presence::save_all_seen(&self.core).await
    }
}
