//! The core: what each user may do, in which order messages are stored, and which connections receive them.
//! It knows no transport, no wire format and no token.
//!
//! [`Chat`] is the one handle. Its parts, by folder and file:
//! - `users`: register, find, list, change and delete accounts; `profiles`: which profiles a list contains; `by_name`:
//!   the parts of lists that are in the order of a name, and their search
//! - `groups`: create, join, leave, change, delete and list groups. `public_list`: notifies everyone of changes
//!   in the list of groups; `quotas`: how many groups a user may make and how many members a user may add
//! - `messages`: send messages; `history`: read them; `page_size`: where a page of messages ends;
//!   `conversations`: the list of a user's rooms; `unread`: what is unread in them
//! - `extras`: what messages are sent with beyond their content; `threads`: reads and follows threads
//! - `changes`: what is done to messages after they were sent, and its replay; `tombstone`: empties a deleted message
//! - `receipts`: delivered and read receipts, merged in memory and saved in batches
//! - `views`: each user's own settings of a room
//! - `presence`: online, offline, typing
//! - `session_watch`: what `auth` notifies the core of
//! - `joined`: which rooms a client has joined, for dialects in which a client receives only those
//! - `cluster`: other nodes on the same database: which are alive, and what they have stored
//! - `readiness`: whether the database reads and writes; `retry`: asks it again after a lost answer
//! - `connections`: the connections of all users. `hub`: all of them, by user; `connection`: one of them; `ending`: disconnects it;
//!   `lifecycle`: connect, open, refresh, disconnect; `expiry`: the ends of tokens; `publish`: writes an event
//!   to its audience; `options`: what a client may request; `news`: what a reconnect tells besides messages
//! - `room`: a live room. Its parts in memory: `members`, `receipts`, `subscriptions`, `recent`, `unread_marks`. `fanout`:
//!   writes messages to the subscriptions; `changes`: publishes changes of messages; `delivery`: acknowledgements move receipts; `views`: who has marked it as unread; `registry`: the rooms in memory;
//!   `create`: finds rooms, and makes direct rooms and the lobby; `membership`: changes of the members;
//!   `permissions`: what a role may do; `watermark`: the rules of receipts; `catch_up`: sends what a connection has missed,
//!   from `replay_cache` (messages) and `changed_pages` (changes), which read it once for all connections
//! - `writer`: stores messages. `scheduler`: which messages share a commit; `fast_path`: the common commit;
//!   `transaction`: the commit for all other cases; `changes`: numbers and commits changes of messages
//! - `model`: what operations return; `event`: what connections receive; `sql`: SQL text of the measured
//!   reads
//!
//! The path of one message: `messages` finds the [`room`] and checks that the sender is a member. The
//! [`writer`] gives the message a seq and commits it together with the other waiting messages. The room
//! publishes it to all subscribers, and only then the sender gets the answer.

pub mod connections;
pub mod event;
pub mod model;

mod by_name;
mod changes;
mod cluster;
mod conversations;
mod extras;
mod groups;
mod history;
mod joined;
mod messages;
mod page_size;
mod presence;
mod profiles;
mod readiness;
mod receipts;
mod retry;
mod room;
mod session_watch;
mod sql;
mod threads;
mod tombstone;
mod unread;
mod users;
mod views;
mod writer;

use std::{sync::Arc, time::Duration};

use sea_orm::{ColumnTrait, EntityTrait, QuerySelect, prelude::DateTimeUtc};

pub use self::{
    changes::{ChangesQuery, DeleteMessages, EditMessage, React, ReactionsQuery},
    conversations::ListRooms,
    extras::{Extras, Forward},
    groups::{GroupChange, GroupRef, ListGroups, NewGroup},
    history::HistoryQuery,
    joined::{ClientKey, KEPT_FOR as JOINED_ROOMS_KEPT_FOR},
    messages::{Draft, Place},
    room::Reply,
    threads::{ListThreads, ReadThreads},
    users::{ListUsers, NewUser, UserChange},
    views::ViewChange,
};
use crate::{
    clock::Clock,
    config::{ClusterConfig, Config, LimitsConfig, MessagesConfig, PresenceConfig, WriterConfig},
    counts::Counts,
    db::Db,
    error::Result,
    limits::Guesses,
    password::Passwords,
    shutdown::Shutdown,
};

/// The sections of the configuration that the core uses.
#[derive(Clone, Debug)]
pub struct ChatSettings {
    pub limits: LimitsConfig,
    pub messages: MessagesConfig,
    pub writer: WriterConfig,
    pub presence: PresenceConfig,
    pub cluster: ClusterConfig,
    /// How long before a token expires its connection is warned.
    pub expiring_notice: Duration,
}

impl ChatSettings {
    pub fn of(config: &Config) -> Self {
        Self {
            limits: config.limits.clone(),
            messages: config.messages.clone(),
            writer: config.writer.clone(),
            presence: config.presence.clone(),
            cluster: config.cluster.clone(),
            expiring_notice: config.auth.expiring_notice,
        }
    }

    /// The most messages of a catch-up that may be under way to one connection. It is well below what the
    /// connection's queue holds and what may stay unacknowledged, so that a catch-up exceeds neither.
    fn under_way(&self) -> usize {
        (self.limits.outgoing_packets.min(self.limits.unacknowledged) / 2).clamp(1, 2_000)
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Chat {
    core: Arc<Core>,
}

/// What the operations work with. The first fields are for all of them. Each of the others belongs to one folder
/// or file, and only that one sees inside it.
struct Core {
    db: Db,
    clock: Clock,
    shutdown: Shutdown,
    counts: Counts,
    settings: ChatSettings,
    passwords: Passwords,
    hub: connections::hub::Hub,
    connecting: connections::Connecting,
    rooms: room::Rooms,
    writer: writer::Writer,
    page_turns: history::PageTurns,
    receipts: receipts::ReceiptSaver,
    views: views::Views,
    presence: presence::PresenceUpdates,
    leaving_clients: joined::LeavingClients,
    cluster: cluster::Cluster,
    groups: groups::Groups,
    readiness: readiness::Readiness,
}

/// The numbers of live objects of the core, for metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauges {
    pub users_online: usize,
    pub connections: usize,
    pub rooms_resident: usize,
    /// Subscriptions to rooms: a connection counts once for each of its rooms.
    pub subscriptions: usize,
    pub drafts_waiting: usize,
    /// Other nodes on the same database that are alive.
    pub other_nodes: usize,
    /// What other nodes store is noticed at once.
    pub bus_works: bool,
    /// Tasks that send a connection the messages that it has missed in one room.
    pub catch_ups: usize,
    /// `response` events whose acknowledgement is pending.
    pub acknowledgements: usize,
    /// Requests that have begun and will be carried out, whatever their clients do.
    pub commands: usize,
    pub tasks: usize,
}

/// The latest time of a message, so that the next one is not before it even if the clock was set back meanwhile.
async fn latest_activity(db: &Db) -> Result<Option<DateTimeUtc>> {
    let latest = entity::room::Entity::find()
        .select_only()
        .column_as(entity::room::Column::ActiveAt.max(), "latest")
        .into_tuple::<Option<DateTimeUtc>>()
        .one(db.reader())
        .await?;
    Ok(latest.flatten())
}

impl Chat {
    /// Starts the core's tasks. The tables must exist.
    pub async fn start(
        db: Db,
        clock: Clock,
        shutdown: Shutdown,
        passwords: Passwords,
        guesses: Guesses,
        counts: Counts,
        settings: ChatSettings,
    ) -> Result<Self> {
        if let Some(told) = latest_activity(&db).await? {
            clock.not_before(told);
        }
        let rooms = room::Rooms::open(&db, &clock, &shutdown).await?;
        let (writer, scheduler) = writer::Writer::new(&db, &settings.writer);
        let core = Arc::new(Core {
            hub: connections::hub::Hub::new(clock.clone()),
            connecting: connections::Connecting::new(&db, &shutdown),
            rooms,
            writer,
            page_turns: history::PageTurns::new(),
            receipts: receipts::ReceiptSaver::new(),
            views: views::Views::new(),
            presence: presence::PresenceUpdates::default(),
            leaving_clients: joined::LeavingClients::default(),
            cluster: cluster::Cluster::new(),
            groups: groups::Groups::new(&clock, &settings, guesses),
            readiness: readiness::Readiness::new(),
            db,
            clock,
            shutdown,
            counts,
            settings,
            passwords,
        });
        writer::start(&core, scheduler);
        core.shutdown.spawn(room::replay_cache::run(core.clone()));
        core.shutdown.spawn(receipts::run(core.clone()));
        core.shutdown.spawn(views::run(core.clone()));
        core.shutdown.spawn(connections::expiry::run(core.clone()));
        core.shutdown.spawn(presence::run(core.clone()));
        core.shutdown.spawn(groups::public_list::run(core.clone()));
        if !core.db.is_sqlite() {
            cluster::start(&core).await?;
        }
        Ok(Self { core })
    }

    pub fn gauges(&self) -> Gauges {
        let rooms = self.core.rooms.all();
        Gauges {
            users_online: self.core.hub.online_count(),
            connections: self.core.hub.connection_count(),
            rooms_resident: rooms.len(),
            subscriptions: rooms.iter().map(|room| room.subscriber_count()).sum(),
            drafts_waiting: self.core.writer.waiting(),
            other_nodes: self.core.cluster.others(),
            bus_works: self.core.cluster.bus_works(),
            catch_ups: self.core.counts.catch_ups.now(),
            acknowledgements: self.core.counts.acknowledgements.now(),
            commands: self.core.shutdown.commands(),
            tasks: self.core.shutdown.running(),
        }
    }

    /// How long the way over the bus takes, to this node itself; zero without a bus that works.
    pub fn bus_loopback(&self) -> Duration {
        self.core.cluster.bus_loopback()
    }

    /// By how much this node's clock is ahead of the database's; zero for a node alone.
    pub fn clock_skew(&self) -> chrono::TimeDelta {
        self.core.cluster.fitness.skew()
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
        self.core.writer.drain().await;
        // Clients are acknowledging the messages that were just delivered.
        tokio::time::sleep(self.core.settings.writer.receipts_tick).await;
        receipts::flush(&self.core).await?;
        // Notifying senders of deliveries has moved further marks.
        receipts::flush(&self.core).await?;
        views::tell(&self.core).await?;
        presence::save_all_seen(&self.core).await
    }
}
