//! The core: who may do what, in which order, and who hears of it. It knows no transport, no wire
//! shape and no token.
//!
//! [`Chat`] is the one handle. Its operations, by file:
//! - `users`: register, find, list, change, delete; `newcomers`: accounts of people whom an issuer vouches for
//! - `groups`: create, join, leave, change, delete, list; `membership` does what they have in common,
//!   `rooms` opens direct rooms and the lobby
//! - `messages`: send, history; `conversations`: the list of a user's rooms
//! - `catch_up`: sends a connection what it has missed; `missed` keeps that for the next one
//! - `receipts`: delivered and read, merged in memory and saved in batches
//! - `presence`: online, offline, typing
//! - `public_list`: tells everyone which groups there are to join; `quotas`: how many groups and members a
//!   user may add; `fanout` writes to many connections
//! - `joined`: which rooms a socket had joined, for wires where it hears only those
//! - `readiness`: whether the database reads and writes
//! - `connect`: a connection's life, from its first moment until everyone was told it has gone
//!
//! One message: `messages` finds the room and asks its [`roster`] whether the caller is in it, the
//! [`writer`] gives it a seq and commits it with whatever else has gathered, the roster publishes
//! it to all who listen, and only then its sender is answered.

pub mod caller;
pub mod connection;
pub mod event;
pub mod nouns;
pub mod text;

mod catch_up;
mod connect;
mod conversations;
mod expiry;
mod fanout;
mod groups;
mod hub;
mod joined;
mod members;
mod membership;
mod messages;
mod missed;
mod newcomers;
mod page;
mod presence;
mod profiles;
mod public_list;
mod quotas;
mod readiness;
mod receipts;
mod rooms;
mod roster;
mod rosters;
mod rows;
mod users;
mod watermark;
mod writer;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use self::{
    conversations::ListRooms,
    groups::{GroupChange, GroupRef, ListGroups, NewGroup},
    messages::{Draft, HistoryQuery, Place},
    roster::Reply,
    users::{ListUsers, NewUser, UserChange},
};
use crate::{
    clock::Clock, counts::Counts, db::Db, error::Result, limits::Failures, password::Passwords,
    shutdown::Shutdown,
};

/// The limits and paces of the core; where they come from is not its business.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most bytes of a message's content.
    pub content_bytes: usize,
    /// Most bytes of a user's profile.
    pub profile_bytes: usize,
    /// Most members of a group.
    pub group_members: usize,
    /// Most groups that one user owns.
    pub groups_owned: usize,
    /// Most groups that one user makes within an hour.
    pub groups_per_hour: usize,
    /// Most people that one user adds to groups within an hour.
    pub members_added_per_hour: usize,
    /// How often at most everyone is told of changes of the public list of groups.
    pub list_interval: Duration,
    /// Most connections of one user.
    pub connections_per_user: usize,
    /// Most missed messages under way to one connection; well below what its queue holds and
    /// what it may leave unacknowledged, so that catching up exceeds neither.
    pub under_way: usize,
    /// Most drafts that wait for the writer; one more is refused as `unavailable`.
    pub writer_queue: usize,
    /// Most messages in one commit.
    pub writer_batch: usize,
    /// How long moved receipts gather before they are saved.
    pub receipts_tick: Duration,
    /// Up to so many users online, everyone hears of everyone's presence.
    pub everyone_up_to: usize,
    /// How long a user without connections counts as online.
    pub presence_grace: Duration,
    /// How long before its end a token's connection is warned.
    pub expiring_notice: Duration,
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
    settings: Settings,
    hub: hub::Hub,
    rosters: rosters::Rosters,
    rooms_of: connect::RoomsOf,
    writer: writer::Writer,
    /// Pages of history that are read at the same time: their rows are in memory until they are rendered.
    page_reads: Semaphore,
    /// The tasks behind the writer.
    writers: TaskTracker,
    missed: missed::Missed,
    receipts: receipts::Receipts,
    expiry: expiry::Expiry,
    signs: presence::Signs,
    public_list: public_list::PublicList,
    quotas: quotas::Quotas,
    /// The one room that everyone is in.
    lobby: Arc<roster::Roster>,
}

/// What of the core is alive, for metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauges {
    pub users_online: usize,
    pub connections: usize,
    pub rooms_resident: usize,
    /// Connections listening to rooms, each counted once a room.
    pub listeners: usize,
    pub drafts_waiting: usize,
    /// Tasks sending a connection what it missed of one room.
    pub catch_ups: usize,
    /// `response` events whose acknowledgement is waited for.
    pub acknowledgements: usize,
    pub tasks: usize,
}

impl Chat {
    /// Starts the core's tasks; the tables must exist.
    pub async fn start(
        db: Db,
        clock: Clock,
        shutdown: Shutdown,
        passwords: Passwords,
        failures: Failures,
        counts: Counts,
        settings: Settings,
    ) -> Result<Self> {
        let rosters = rosters::Rosters::new(&db, &shutdown);
        let lobby = rooms::open_lobby(&db, &clock, &rosters).await?;
        // SQLite writes through one connection; more commits would only wait for each other.
        let lanes = if db.is_sqlite() { 1 } else { 4 };
        let (writer, lanes) = writer::Writer::new(lanes, settings.writer_queue, settings.writer_batch);
        let core = Arc::new(Core {
            hub: hub::Hub::new(clock.clone(), settings.connections_per_user),
            missed: missed::Missed::new(),
            rooms_of: connect::rooms_of(&db, &shutdown),
            receipts: receipts::Receipts::new(),
            expiry: expiry::Expiry::new(),
            signs: presence::Signs::default(),
            public_list: public_list::PublicList::default(),
            quotas: quotas::Quotas::new(&clock, &settings),
            db,
            clock,
            shutdown,
            passwords,
            failures,
            settings,
            rosters,
            counts,
            readiness: readiness::Readiness::new(),
            writer,
            page_reads: Semaphore::new(PAGES_AT_ONCE),
            writers: TaskTracker::new(),
            lobby,
        });
        core.shutdown.spawn(core.writers.track_future(writer::run(core.clone(), lanes)));
        core.shutdown.spawn(missed::run(core.clone()));
        core.shutdown.spawn(receipts::run(core.clone()));
        core.shutdown.spawn(expiry::run(core.clone()));
        core.shutdown.spawn(presence::run(core.clone()));
        core.shutdown.spawn(public_list::run(core.clone()));
        Ok(Self { core })
    }

    pub fn gauges(&self) -> Gauges {
        let rosters = self.core.rosters.all();
        Gauges {
            users_online: self.core.hub.online_count(),
            connections: self.core.hub.connection_count(),
            rooms_resident: rosters.len(),
            listeners: rosters.iter().map(|roster| roster.listener_count()).sum(),
            drafts_waiting: self.core.writer.waiting(),
            catch_ups: self.core.counts.catch_ups.now(),
            acknowledgements: self.core.counts.acknowledgements.now(),
            tasks: self.core.shutdown.running(),
        }
    }

    /// What is alive, for those who bear it.
    pub fn counts(&self) -> &Counts {
        &self.core.counts
    }

    /// The logins that connections here belong to.
    pub fn live_sessions(&self) -> Vec<entity::SessionId> {
        self.core.hub.sessions()
    }

    /// The most bytes of a message's content, for gateways that parse one.
    pub fn content_bytes(&self) -> usize {
        self.core.settings.content_bytes
    }

    /// Waits until the writer has stored what was queued, and saves the last things: receipts, and
    /// when everyone here was last seen. Call it after [`Shutdown::settle`].
    pub async fn drain(&self) -> Result<()> {
        self.core.writers.close();
        self.core.writers.wait().await;
        // What was just delivered is being acknowledged.
        tokio::time::sleep(self.core.settings.receipts_tick).await;
        receipts::flush(&self.core).await?;
        // Telling deliveries moved marks of its own.
        receipts::flush(&self.core).await?;
        presence::save_all_seen(&self.core).await
    }
}
