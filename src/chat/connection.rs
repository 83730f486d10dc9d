//! One live connection of a user, whatever the gateway: who it is, which rooms it listens to, and
//! the way out through its gateway's [`Outlet`].

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

use super::{
    caller::Caller,
    event::{Envelope, Event},
    roster::Roster,
};
use crate::{
    backlog::Backlog,
    clock::Clock,
    counts::{Counted, Counts},
    error::{Error, Result, Why},
};

/// Names a connection inside this process. A Socket.IO id is also the engine's session id, which
/// must never reach another user, so the core has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    fn next() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(1);
        Self(COUNTER.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment among those at which connections opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Opening(u64);

static OPENINGS: AtomicU64 = AtomicU64::new(1);

impl Opening {
    /// Behind all connections that are open.
    pub fn now() -> Self {
        Self(OPENINGS.load(Ordering::SeqCst))
    }

    fn next() -> Self {
        Self(OPENINGS.fetch_add(1, Ordering::SeqCst))
    }
}

/// The connection's queue is full, or it is gone: it has missed something and must not be written
/// to again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagging;

/// A connection's way out, made by its gateway. Nothing here waits.
pub trait Outlet: Send + Sync + 'static {
    /// What its gateway is called where connections are counted.
    fn gateway(&self) -> &'static str;

    /// The bytes that were written and that the connection below has not taken.
    fn backlog(&self) -> &Arc<Backlog>;

    /// Writes one event behind all earlier ones, or fails for good.
    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging>;

    /// Whether so many acknowledgements are waited for that the next messages had better wait for some
    /// of them: what is written now might go out without asking for one, and leave a hole in the receipt.
    fn is_pressed(&self) -> bool {
        false
    }

    /// Ends the connection by the server's decision: its client does not come back by itself.
    fn end(&self);

    /// Ends the connection because its login is over, after the event that says so. A wire whose
    /// clients only show that when they come back, and are refused, has them come back.
    fn log_out(&self) {
        self.end();
    }

    /// Cuts the connection so that its client comes back by itself and catches up.
    fn cut(&self);
}

/// What a client may ask for when it connects (protocol.md part 3, `auth`).
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Per room: the seq up to which the client has everything.
    pub since: Vec<(RoomId, entity::Seq)>,
    /// Whether what was missed is sent first.
    pub catch_up: bool,
    /// Whether, beyond the connections a user may have, the oldest that was let in like this is
    /// closed instead of this one being refused.
    pub gives_way: bool,
}

impl ConnectOptions {
    /// For wires on which nothing is replayed.
    pub fn live_only() -> Self {
        Self { catch_up: false, ..Self::default() }
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { since: Vec::new(), catch_up: true, gives_way: false }
    }
}

/// Pages of missed messages that are read and sent to one connection at the same time. Together they stay well
/// within what may wait for it.
const PAGES_AT_ONCE: usize = 2;

/// See the module. Made by [`super::Chat::connect`], ended by [`super::Chat::disconnect`].
pub struct Connection {
    pub id: ConnectionId,
    user: UserId,
    clock: Clock,
    /// Changes when the token is refreshed; the user never does.
    caller: RwLock<Arc<Caller>>,
    /// The end of its login in Unix milliseconds: looked at before every event, so beside the lock.
    expires_at: AtomicI64,
    outlet: Box<dyn Outlet>,
    /// It may be closed for a newer one of its user.
    pub(super) gives_way: bool,
    /// Messages that its user has missed are sent to it.
    catches_up: bool,
    /// The rooms it listens to; keeps their rosters resident.
    pub(super) rosters: Mutex<Vec<Arc<Roster>>>,
    /// Rooms in which it is behind, each with a catch-up task.
    pub(super) behind: Mutex<BTreeSet<RoomId>>,
    /// The missed messages that may be under way to it.
    pub(super) under_way: Semaphore,
    /// Turns to read and send a page of what was missed.
    pub(super) pages: Semaphore,
    /// Told whenever the client acknowledges something; a catch-up waits for it between pages.
    pub(super) acknowledged: Notify,
    /// When it was opened: it may be written to after the gateway's own answer to the connect. Zero before.
    opened: AtomicU64,
    /// It is gone, by whichever side.
    over: AtomicBool,
    /// Told when it is.
    ending: Notify,
    /// Its login has ended: nothing more may be done with it.
    ended: AtomicBool,
    /// It has missed something and is on its way out: its client comes back.
    cut: AtomicBool,
    _counted: Counted,
}

impl Connection {
    pub(super) fn new(
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
            rosters: Mutex::default(),
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

    /// Who is on it, by the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.caller.read().clone()
    }

    pub fn user(&self) -> UserId {
        self.user
    }

    /// See [`ConnectOptions::catch_up`].
    pub(super) fn catches_up(&self) -> bool {
        self.catches_up
    }

    pub(super) fn open(&self) {
        self.opened.store(Opening::next().0, Ordering::SeqCst);
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened.load(Ordering::SeqCst) != 0
    }

    /// Whether it was open at that moment.
    pub(super) fn opened_by(&self, at: Opening) -> bool {
        (1..at.0).contains(&self.opened.load(Ordering::SeqCst))
    }

    pub(super) fn set_caller(&self, caller: Caller) {
        let expires_at = caller.expires_at.timestamp_millis();
        *self.caller.write() = Arc::new(caller);
        self.expires_at.store(expires_at, Ordering::SeqCst);
    }

    /// Its user is shown under another first name from now on.
    pub(super) fn rename(&self, first_name: Arc<str>) {
        let mut caller = self.caller.write();
        let renamed = Caller { first_name, ..Caller::clone(&caller) };
        *caller = Arc::new(renamed);
    }

    /// Whether its login still stands; asked before every event is handled or written. The token's end is
    /// looked at here, too: until it is noticed that it has come ([`super::expiry`]), some time passes.
    ///
    /// # Errors
    /// `token_revoked` or `token_expired`.
    pub fn check_login(&self) -> Result<()> {
        if self.is_ended() {
            Err(Error::Unauthenticated(Why::TokenRevoked))
        } else if self.has_expired() {
            Err(Error::expired(self.caller.read().expires_at))
        } else {
            Ok(())
        }
    }

    fn has_expired(&self) -> bool {
        self.expires_at.load(Ordering::SeqCst) <= self.clock.now().timestamp_millis()
    }

    /// Whether its login was ended, by whatever but the time.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits for its end.
    pub async fn over(&self) {
        let ending = self.ending.notified();
        if !self.is_over() {
            ending.await;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether it was cut off and only waits for the line below to go.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Marks it as gone, the first time; the hub and the rooms let go of it afterwards.
    pub(super) fn close(&self) -> bool {
        let first = !self.over.swap(true, Ordering::SeqCst);
        self.ending.notify_waiters();
        first
    }

    /// Writes an event to a connection that [`Connection::hears`]. One that is too slow for it is to be cut
    /// off, and catches up when it is back.
    pub(super) fn emit(self: &Arc<Self>, envelope: &Envelope) -> Result<(), Lagging> {
        self.outlet.emit(self, envelope)
    }

    /// Waits until fewer than so many bytes wait for it, or it is gone.
    pub(super) async fn backlog_below(&self, bytes: usize) {
        self.outlet.backlog().below(bytes).await;
    }

    /// The bytes that wait for the client.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.outlet.backlog().waiting()
    }

    /// See [`Outlet::is_pressed`].
    pub(super) fn is_pressed(&self) -> bool {
        self.outlet.is_pressed()
    }

    /// Writes an event that stands by itself (not a room's message). Before the connection is open
    /// there is nobody to hear it; a full queue cuts the connection. Answers whether it was written.
    pub(super) fn tell(self: &Arc<Self>, envelope: &Envelope) -> bool {
        if !self.hears() {
            return false;
        }
        let heard = self.outlet.emit(self, envelope).is_ok();
        if !heard {
            self.cut("its queue is full");
        }
        heard
    }

    /// Whether it may be written to: open, and its login stands.
    pub(super) fn hears(&self) -> bool {
        self.is_open() && !self.is_ended() && !self.is_cut() && !self.is_over() && !self.has_expired()
    }

    /// Cuts it off, so that its client comes back and catches up. One whose login is over goes with a
    /// goodbye instead: it would come back in vain.
    pub fn cut(self: &Arc<Self>, reason: &'static str) {
        match self.check_login() {
            Err(Error::Unauthenticated(Why::TokenExpired(_))) => return self.end("the token expired"),
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

    /// Ends it after a last word: its login is over. One that is not open yet is ended by
    /// [`Connection::end_late`].
    pub(super) fn end(self: &Arc<Self>, reason: &str) {
        if !self.ended.swap(true, Ordering::SeqCst) && self.is_open() {
            self.say_goodbye(reason);
        }
    }

    /// Closes it for a newer one of its user, without a word; its client does not come back.
    pub(super) fn give_way(&self) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            tracing::info!(connection.id = %self.id, user.id = %self.user(), "closed a connection for a newer one");
            self.outlet.end();
        }
    }

    /// Ends one whose login ended while it came in.
    pub(super) fn end_late(self: &Arc<Self>) {
        self.say_goodbye("the login of this token has ended");
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
        chat::caller::Account,
        counts::Count,
    };

    /// Takes every event and sends it nowhere.
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
        /// A connection of this user for unit tests, on no wire.
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
