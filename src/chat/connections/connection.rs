//! One live connection of a user, on any gateway: its user, the rooms that it is subscribed to, and its
//! gateway's [`Outlet`].

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use entity::{RoomId, UserId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};

use crate::{
    backlog::Backlog,
    clock::Clock,
    counts::{Counted, Counts},
    error::{AuthError, Error, Result},
};
use crate::{
    chat::{
        connections::ConnectionId,
        event::{Envelope, Event},
        room::Room,
    },
    identity::Caller,
};

/// A point in the order in which connections opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chat) struct Opening(u64);

static OPENINGS: AtomicU64 = AtomicU64::new(1);

impl Opening {
    /// After all connections that are open now.
    pub fn now() -> Self {
        Self(OPENINGS.load(Ordering::SeqCst))
    }

    fn next() -> Self {
        Self(OPENINGS.fetch_add(1, Ordering::SeqCst))
    }
}

/// The connection's queue is full, or the connection is gone. It has missed an event and must not be written
/// to again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagging;

/// How a connection is written to and closed; made by its gateway. No method waits.
pub trait Outlet: Send + Sync + 'static {
    /// The gateway's name, under which connections are counted.
    fn gateway(&self) -> &'static str;

    /// The bytes that were written and that the TCP connection has not taken yet.
    fn backlog(&self) -> &Arc<Backlog>;

    /// Writes one event after all earlier ones, or fails for good.
    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging>;

    /// Whether so many acknowledgements are pending that further messages should wait for some of them. A
    /// message that is written now might be sent without asking for an acknowledgement, and leave a hole in
    /// the receipt.
    fn is_pressed(&self) -> bool {
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
    fn cut(&self);
}

/// What a client may request when it connects (docs/events.md, `auth`).
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Per room: the seq up to which the client has everything.
    pub since: Vec<(RoomId, entity::Seq)>,
    /// Whether the server sends missed messages first.
    pub catch_up: bool,
    /// What happens if the user has too many connections. If set, the oldest connection that also has it set
    /// is closed. If not, this connection is refused.
    pub gives_way: bool,
}

impl ConnectOptions {
    /// For gateways that send no missed messages.
    pub fn live_only() -> Self {
        Self { catch_up: false, ..Self::default() }
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { since: Vec::new(), catch_up: true, gives_way: false }
    }
}

/// Pages of missed messages that are read and sent to one connection at the same time. Together they stay
/// well below the limit of what may wait for it.
const PAGES_AT_ONCE: usize = 2;

/// See the module. [`crate::chat::Chat::connect`] makes it, and [`crate::chat::Chat::disconnect`] ends it.
pub struct Connection {
    pub id: ConnectionId,
    user: UserId,
    clock: Clock,
    /// Changes when the token is refreshed. The user never changes.
    caller: RwLock<Arc<Caller>>,
    /// When its login expires, in Unix milliseconds. It is outside the lock because it is checked before
    /// every event.
    expires_at: AtomicI64,
    outlet: Box<dyn Outlet>,
    /// See [`ConnectOptions::gives_way`].
    pub(in crate::chat) gives_way: bool,
    /// See [`ConnectOptions::catch_up`].
    catches_up: bool,
    /// The rooms that it is subscribed to. This keeps them in memory.
    pub(in crate::chat) rooms: Mutex<Vec<Arc<Room>>>,
    /// The rooms in which it is catching up, each with a task.
    pub(in crate::chat) behind: Mutex<BTreeSet<RoomId>>,
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
    /// Notified when it is.
    ending: Notify,
    /// Its login has ended: no more events are handled or written.
    ended: AtomicBool,
    /// It has missed an event and is being disconnected. Its client reconnects.
    cut: AtomicBool,
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
            gives_way: options.gives_way,
            catches_up: options.catch_up,
            rooms: Mutex::default(),
            behind: Mutex::default(),
            under_way: Semaphore::new(under_way),
            pages: Semaphore::new(PAGES_AT_ONCE),
            acknowledged: Notify::new(),
            opened: AtomicU64::new(0),
            over: AtomicBool::new(false),
            ending: Notify::new(),
            ended: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        })
    }

    /// Its user, as in the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.caller.read().clone()
    }

    pub fn user(&self) -> UserId {
        self.user
    }

    /// See [`ConnectOptions::catch_up`].
    pub(in crate::chat) fn catches_up(&self) -> bool {
        self.catches_up
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
        } else if self.has_expired() {
            Err(Error::expired(self.caller.read().expires_at))
        } else {
            Ok(())
        }
    }

    fn has_expired(&self) -> bool {
        self.expires_at.load(Ordering::SeqCst) <= self.clock.now().timestamp_millis()
    }

    /// Whether its login was ended for any reason except expiry.
    pub(in crate::chat) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until the connection is gone.
    pub async fn over(&self) {
        let ending = self.ending.notified();
        if !self.is_over() {
            ending.await;
        }
    }

    pub(in crate::chat) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether the server has disconnected it, and only the TCP connection has still to end.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Marks it as gone. Returns whether this is the first call. The caller then removes it from the hub and
    /// the rooms.
    pub(in crate::chat) fn close(&self) -> bool {
        let first = !self.over.swap(true, Ordering::SeqCst);
        self.ending.notify_waiters();
        first
    }

    /// Writes an event to a connection for which [`Connection::hears`] is true. If it fails, the connection
    /// is too slow: the caller must disconnect it, and it catches up when it reconnects.
    pub(in crate::chat) fn emit(self: &Arc<Self>, envelope: &Envelope) -> Result<(), Lagging> {
        self.outlet.emit(self, envelope)
    }

    /// Waits until fewer than `bytes` bytes wait for it, or it is gone.
    pub(in crate::chat) async fn backlog_below(&self, bytes: usize) {
        self.outlet.backlog().below(bytes).await;
    }

    /// The bytes that wait for the client.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.outlet.backlog().waiting()
    }

    /// See [`Outlet::is_pressed`].
    pub(in crate::chat) fn is_pressed(&self) -> bool {
        self.outlet.is_pressed()
    }

    /// Writes an event that is not a room's message. Does nothing before the connection is open. If the queue
    /// is full, disconnects it. Returns whether the event was written.
    pub(in crate::chat) fn notify(self: &Arc<Self>, envelope: &Envelope) -> bool {
        if !self.may_receive() {
            return false;
        }
        let heard = self.outlet.emit(self, envelope).is_ok();
        if !heard {
            self.cut("its queue is full");
        }
        heard
    }

    /// Whether it may be written to: it is open, not gone, and its login is valid.
    pub(in crate::chat) fn may_receive(&self) -> bool {
        self.is_open() && !self.is_ended() && !self.is_cut() && !self.is_over() && !self.has_expired()
    }

    /// Disconnects it, so that its client reconnects and catches up. If its login has ended, it gets a last
    /// event instead, because reconnecting would fail.
    pub fn cut(self: &Arc<Self>, reason: &'static str) {
        match self.check_login() {
            Err(Error::Unauthenticated(AuthError::TokenExpired(_))) => return self.end("The token expired"),
            Err(_) => return,
            Ok(()) => {}
        }
        if self.cut.swap(true, Ordering::SeqCst) || self.is_over() {
            return;
        }
        metrics::counter!("parlor_connections_cut_total", "reason" => reason).increment(1);
        tracing::info!(connection.id = %self.id, user.id = %self.user(), "cut a connection: {reason}");
        self.outlet.cut();
    }

    /// Ends it after a last event, because its login has ended. A connection that is not open yet is ended by
    /// [`Connection::end_late`].
    pub(in crate::chat) fn end(self: &Arc<Self>, reason: &str) {
        if !self.ended.swap(true, Ordering::SeqCst) && self.is_open() {
            self.say_goodbye(reason);
        }
    }

    /// Closes it, without an event, because a newer connection of its user replaces it. Its client does not
    /// reconnect.
    pub(in crate::chat) fn give_way(&self) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            tracing::info!(connection.id = %self.id, user.id = %self.user(), "closed a connection for a newer one");
            self.outlet.end();
        }
    }

    /// Ends a connection whose login ended while it connected.
    pub(in crate::chat) fn end_late(self: &Arc<Self>) {
        self.say_goodbye("The login of this token has ended");
    }

    fn say_goodbye(self: &Arc<Self>, reason: &str) {
        let last_word = Event::TokenExpired { reason: reason.to_owned() };
        if self.outlet.emit(self, &Envelope::new(last_word)).is_ok() {
            self.outlet.log_out();
        } else {
            self.outlet.cut();
        }
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
    struct Silent(Arc<Backlog>);

    impl Outlet for Silent {
        fn gateway(&self) -> &'static str {
            "test"
        }
        fn backlog(&self) -> &Arc<Backlog> {
            &self.0
        }
        fn emit(&self, _: &Arc<Connection>, _: &Envelope) -> Result<(), Lagging> {
            Ok(())
        }
        fn end(&self) {}
        fn cut(&self) {}
    }

    impl Connection {
        /// A connection of this user for unit tests, without a gateway.
        pub fn silent(user: UserId) -> Arc<Self> {
            let account = Account::new(user, "ada".into(), None, false);
            let until = DateTime::<Utc>::MAX_UTC;
            let caller = Caller::signed_in(account, SessionId::new(), until, Ipv4Addr::LOCALHOST.into());
            let outlet = Silent(Backlogs::new(Limits { one: 1, all: 1 }, Count::default()).backlog());
            let options = ConnectOptions::default();
            Self::new(caller, Box::new(outlet), 1, &options, Clock::real(), &Counts::default())
        }
    }
}
