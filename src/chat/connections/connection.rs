//! One live connection of a user, on any gateway: its user, the rooms that it is subscribed to, and its
//! gateway's [`Outlet`].

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use entity::UserId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};

use crate::{
    backlog::Backlog,
    chat::{
        changes::DeviceSync,
        connections::{
            ConnectionId, Opening,
            options::{News, TypingPlace},
        },
        event::Envelope,
        room::Room,
    },
    clock::Clock,
    counts::{Counted, Counts},
    error::{AuthError, Error, Result},
    identity::Caller,
};

pub use super::options::{ConnectOptions, DeviceCursor};

/// The connection's queue is full, or the connection is gone. It has missed an event and must not be written
/// to again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagging;

/// How an event was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitted {
    AsUsual,
    /// Without a request for the acknowledgement that its client would send: too many are pending.
    Unrequested,
}

/// How a connection is written to and closed; made by its gateway. No method waits.
pub trait Outlet: Send + Sync + 'static {
    /// The gateway's name, under which connections are counted.
    fn gateway(&self) -> &'static str;

    /// The bytes that were written and that the TCP connection has not taken yet.
    fn backlog(&self) -> &Arc<Backlog>;

    /// Writes one event after all earlier ones, or fails for good. [`Outlet::flush`] sends it.
    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<Emitted, Lagging>;

    /// Sends what was written, if that does not happen by itself. It may take a system call, so it is called without
    /// a lock; what is written before leaves together.
    fn flush(&self) {}

    /// How long nothing was read from the client, if that is longer than the interval of the pings that a
    /// client answers. `None` for a client that is heard.
    fn silence(&self) -> Option<Duration> {
        None
    }

    /// Whether so many acknowledgements are pending that further messages should wait for some of them. A
    /// message that is written now might be [`Emitted::Unrequested`], and the receipt would wait for a later
    /// one.
    fn is_pressed(&self) -> bool {
        false
    }

    /// Whether its client is told what changes in the user's rooms: [`crate::chat::event::Event::RoomChanged`].
    fn follows_rooms(&self) -> bool {
        false
    }

    /// Passes acknowledgements that have arrived, and that a task would pass on in a moment, to the core now. Returns
    /// whether its client acknowledges beside its events; `false` if it does so by events, or not at all.
    fn take_acks(&self, _connection: &Arc<Connection>) -> bool {
        false
    }

    /// Ends the connection by the server's decision: its client does not reconnect by itself.
    fn end(&self);

    /// Ends the connection because its login has ended, after the event that says so. Some clients show that
    /// only when they reconnect and are refused; their gateway makes them reconnect.
    fn log_out(&self) {
        self.end();
    }

    /// Disconnects so that the client reconnects by itself and catches up.
    fn disconnect(&self);
}

/// Pages of missed messages that are read and sent to one connection at the same time. Together they stay
/// well below the limit of what may wait for it.
const PAGES_AT_ONCE: usize = 2;

/// See the module. [`crate::chat::Chat::connect`] makes it, and [`crate::chat::Chat::remove`] ends it.
pub struct Connection {
    pub id: ConnectionId,
    user: UserId,
    clock: Clock,
    /// Changes when the token is refreshed. The user never changes.
    caller: RwLock<Arc<Caller>>,
    /// When its login expires, in Unix milliseconds. It is outside the lock because it is checked before
    /// every event.
    expires_at: AtomicI64,
    pub(super) outlet: Box<dyn Outlet>,
    /// For a device that replays changes.
    device_sync: Option<Box<DeviceSync>>,
    /// What its client is to be told once it is open.
    pub(in crate::chat) news: Mutex<Option<News>>,
    /// The rooms that it is subscribed to. This keeps them in memory.
    pub(in crate::chat) rooms: Mutex<Vec<Arc<Room>>>,
    /// Where its client has said that the user is typing, and not yet that this is over. It is bounded by
    /// `presence`.
    pub(in crate::chat) typing: Mutex<BTreeSet<TypingPlace>>,
    /// Permits for missed messages under way to it.
    pub(in crate::chat) under_way: Semaphore,
    /// Permits to read and send a page of missed messages.
    pub(in crate::chat) pages: Semaphore,
    /// Notified when the client acknowledges something; a catch-up waits for it between pages.
    pub(in crate::chat) acknowledged: Notify,
    /// When it was opened, or zero. It may be written to only after the gateway's own answer to the connect.
    opened: AtomicU64,
    /// The connection is gone; either side may have ended it.
    over: AtomicBool,
    /// Notified when `over` is set.
    gone: Notify,
    /// Its login has ended, or a newer connection has displaced it: no more events are handled or written.
    pub(super) ended: AtomicBool,
    /// A newer connection of its user has displaced it.
    pub(super) displaced: AtomicBool,
    /// It has missed an event and is being disconnected. Its client reconnects.
    pub(super) is_disconnected: AtomicBool,
    _counted: Counted,
}

impl Connection {
    pub(in crate::chat) fn new(
        caller: Caller,
        outlet: Box<dyn Outlet>,
        under_way: usize,
        options: &ConnectOptions,
        clock: Clock,
        counts: &Counts,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: ConnectionId::next(),
            user: caller.user,
            clock,
            expires_at: AtomicI64::new(caller.expires_at.timestamp_millis()),
            caller: RwLock::new(Arc::new(caller)),
            _counted: counts.connection(outlet.gateway()),
            outlet,
            device_sync: options.changes.is_some().then(|| Box::new(DeviceSync::new(options))),
            news: Mutex::default(),
            rooms: Mutex::default(),
            typing: Mutex::default(),
            under_way: Semaphore::new(under_way),
            pages: Semaphore::new(PAGES_AT_ONCE),
            acknowledged: Notify::new(),
            opened: AtomicU64::new(0),
            over: AtomicBool::new(false),
            gone: Notify::new(),
            ended: AtomicBool::new(false),
            displaced: AtomicBool::new(false),
            is_disconnected: AtomicBool::new(false),
        })
    }

    /// Its user, as in the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.caller.read().clone()
    }

    pub fn user(&self) -> UserId {
        self.user
    }

    /// See [`ConnectOptions::changes`].
    pub(in crate::chat) fn device_sync(&self) -> Option<&DeviceSync> {
        self.device_sync.as_deref()
    }

    pub(in crate::chat) fn open(&self) {
        self.opened.store(Opening::next().0, Ordering::SeqCst);
    }

    pub(in crate::chat) fn is_open(&self) -> bool {
        self.opened.load(Ordering::SeqCst) != 0
    }

    /// Whether it was open at that moment.
    pub(in crate::chat) fn opened_by(&self, at: Opening) -> bool {
        (1..at.0).contains(&self.opened.load(Ordering::SeqCst))
    }

    pub(in crate::chat) fn set_caller(&self, caller: Caller) {
        let expires_at = caller.expires_at.timestamp_millis();
        *self.caller.write() = Arc::new(caller);
        self.expires_at.store(expires_at, Ordering::SeqCst);
    }

    /// Changes the first name that its user is shown with.
    pub(in crate::chat) fn rename(&self, first_name: Arc<str>) {
        let mut caller = self.caller.write();
        let renamed = Caller { first_name, ..Caller::clone(&caller) };
        *caller = Arc::new(renamed);
    }

    /// Checks that its login is still valid, before every event that is handled or written. This also checks
    /// the token's expiry, because the task in [`super::expiry`] notices it a little later.
    ///
    /// # Errors
    /// `token_revoked` or `token_expired`.
    pub fn check_login(&self) -> Result<()> {
        if self.is_ended() {
            Err(Error::Unauthenticated(AuthError::TokenRevoked))
        } else if self.has_expired(self.now()) {
            Err(Error::expired(self.caller.read().expires_at))
        } else {
            Ok(())
        }
    }

    fn has_expired(&self, now: i64) -> bool {
        self.expires_at.load(Ordering::SeqCst) <= now
    }

    /// The time, in Unix milliseconds.
    pub(in crate::chat) fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Whether it has been ended: its login has ended, or a newer connection has displaced it.
    pub(in crate::chat) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until the connection is gone.
    pub async fn over(&self) {
        let gone = self.gone.notified();
        if !self.is_over() {
            gone.await;
        }
    }

    pub(in crate::chat) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether the server has disconnected it, and only the TCP connection has still to end.
    pub fn is_disconnected(&self) -> bool {
        self.is_disconnected.load(Ordering::SeqCst)
    }

    /// Marks it as gone. Returns whether this is the first call. The caller then removes it from the hub and
    /// the rooms.
    pub(in crate::chat) fn mark_gone(&self) -> bool {
        let first = !self.over.swap(true, Ordering::SeqCst);
        self.gone.notify_waiters();
        first
    }

    /// Writes an event to a connection for which [`Connection::may_receive`] is true. If it fails, the connection
    /// is too slow: the caller must disconnect it, and it catches up when it reconnects. The caller must call
    /// [`Connection::flush`] when it holds no lock any more.
    pub(in crate::chat) fn emit(self: &Arc<Self>, envelope: &Envelope) -> Result<Emitted, Lagging> {
        self.outlet.emit(self, envelope)
    }

    /// See [`Outlet::flush`].
    pub(in crate::chat) fn flush(&self) {
        self.outlet.flush();
    }

    /// Waits until fewer than `bytes` bytes wait for it, or it is gone.
    pub(in crate::chat) async fn backlog_below(&self, bytes: usize) {
        self.outlet.backlog().below(bytes).await;
    }

    /// The bytes that wait for the client.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.outlet.backlog().waiting()
    }

    /// See [`Outlet::take_acks`].
    pub fn take_acks(self: &Arc<Self>) -> bool {
        self.outlet.take_acks(self)
    }

    /// See [`Outlet::is_pressed`].
    pub(in crate::chat) fn is_pressed(&self) -> bool {
        self.outlet.is_pressed()
    }

    /// See [`Outlet::follows_rooms`].
    pub(super) fn follows_rooms(&self) -> bool {
        self.outlet.follows_rooms()
    }

    /// Writes an event that is not a room's message. Does nothing before the connection is open. If the queue
    /// is full, disconnects it. Returns whether the event was written.
    pub(super) fn notify(self: &Arc<Self>, envelope: &Envelope) -> bool {
        self.notify_all(std::iter::once(envelope))
    }

    /// The same for several events, which leave together. Returns whether all were written.
    pub(super) fn notify_all<'a>(self: &Arc<Self>, events: impl IntoIterator<Item = &'a Envelope>) -> bool {
        let mut have_received = true;
        for envelope in events {
            if !self.may_receive() {
                have_received = false;
            } else if self.outlet.emit(self, envelope).is_err() {
                self.disconnect("its queue is full");
                return false;
            }
        }
        self.flush();
        have_received
    }

    /// Whether it may be written to: it is open, not gone, and its login is valid.
    pub(in crate::chat) fn may_receive(&self) -> bool {
        self.may_receive_at(self.now())
    }

    /// The same, by a look at the clock that serves many connections.
    pub(in crate::chat) fn may_receive_at(&self, now: i64) -> bool {
        let is_closed = self.is_ended() || self.is_disconnected() || self.is_over();
        self.is_open() && !is_closed && !self.has_expired(now)
    }

    /// See [`Outlet::silence`].
    pub(super) fn silence(&self) -> Option<Duration> {
        self.outlet.silence()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod silent {
    use std::net::Ipv4Addr;

    use chrono::{DateTime, Utc};
    use entity::SessionId;

    use super::*;
    use crate::{
        backlog::{Backlogs, Limits},
        counts::Count,
        identity::Account,
    };

    /// Accepts every event and drops it.
    struct Silent(Arc<Backlog>, Option<Duration>);

    impl Outlet for Silent {
        fn gateway(&self) -> &'static str {
            "test"
        }
        fn backlog(&self) -> &Arc<Backlog> {
            &self.0
        }
        fn emit(&self, _: &Arc<Connection>, _: &Envelope) -> Result<Emitted, Lagging> {
            Ok(Emitted::AsUsual)
        }
        fn silence(&self) -> Option<Duration> {
            self.1
        }
        fn end(&self) {}
        fn disconnect(&self) {}
    }

    impl Connection {
        /// A connection of this user for unit tests, without a gateway.
        pub fn silent(user: UserId) -> Arc<Self> {
            Self::silent_for(user, None)
        }

        /// The same, with this [`Outlet::silence`].
        pub fn silent_for(user: UserId, silence: Option<Duration>) -> Arc<Self> {
            let account = Account::new(user, "ada".into(), None, false);
            let until = DateTime::<Utc>::MAX_UTC;
            let caller = Caller::signed_in(account, SessionId::new(), until, Ipv4Addr::LOCALHOST.into());
            let backlogs = Backlogs::new(Limits { one: 1, all: 1 }, Count::default());
            let outlet = Silent(backlogs.backlog(), silence);
            let options = ConnectOptions::default();
            Self::new(caller, Box::new(outlet), 1, &options, Clock::real(), &Counts::default())
        }
    }
}
