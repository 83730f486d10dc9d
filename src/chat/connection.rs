//! One live connection of a user, whatever the gateway: who it is, which rooms it listens to, and
//! the way out through its gateway's [`Outlet`].

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use entity::{RoomId, UserId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    caller::Caller,
    event::{Envelope, Event},
    roster::Roster,
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

/// The connection's queue is full, or it is gone: it has missed something and must not be written
/// to again.
#[derive(Clone, Copy, Debug)]
pub struct Lagging;

/// A connection's way out, made by its gateway. Nothing here waits.
pub trait Outlet: Send + Sync + 'static {
    /// Writes one event behind all earlier ones, or fails for good.
    fn emit(&self, connection: &Arc<Connection>, envelope: &Envelope) -> Result<(), Lagging>;

    /// Ends the connection by the server's decision: its client does not come back by itself.
    fn end(&self);

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
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { since: Vec::new(), catch_up: true }
    }
}

/// See the module. Made by [`super::Chat::connect`], ended by [`super::Chat::disconnect`].
pub struct Connection {
    pub id: ConnectionId,
    /// Changes when the token is refreshed; the user never does.
    caller: RwLock<Arc<Caller>>,
    outlet: Box<dyn Outlet>,
    /// The rooms it listens to; keeps their rosters resident.
    pub(super) rosters: Mutex<Vec<Arc<Roster>>>,
    /// Rooms in which it is behind, each with a catch-up task.
    pub(super) behind: Mutex<BTreeSet<RoomId>>,
    /// The missed messages that may be under way to it.
    pub(super) under_way: Semaphore,
    /// Told whenever the client acknowledges something; a catch-up waits for it between pages.
    pub(super) acknowledged: Notify,
    /// Set when it may be written to: after the gateway's own answer to the connect.
    pub(super) open: AtomicBool,
    /// Cancelled when it has ended, by whichever side.
    over: CancellationToken,
    /// Its login has ended: nothing more may be done with it.
    ended: AtomicBool,
    /// It has missed something and is on its way out: its client comes back.
    cut: AtomicBool,
    closed: AtomicBool,
}

impl Connection {
    pub(super) fn new(caller: Caller, outlet: Box<dyn Outlet>, under_way: usize) -> Arc<Self> {
        Arc::new(Self {
            id: ConnectionId::next(),
            caller: RwLock::new(Arc::new(caller)),
            outlet,
            rosters: Mutex::default(),
            behind: Mutex::default(),
            under_way: Semaphore::new(under_way),
            acknowledged: Notify::new(),
            open: AtomicBool::new(false),
            over: CancellationToken::new(),
            ended: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Who is on it, by the newest token.
    pub fn caller(&self) -> Arc<Caller> {
        self.caller.read().clone()
    }

    pub fn user(&self) -> UserId {
        self.caller.read().user
    }

    pub(super) fn set_caller(&self, caller: Caller) {
        *self.caller.write() = Arc::new(caller);
    }

    /// Whether its login still stands; asked before every event is handled.
    pub fn is_live(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }

    /// Waits for its end.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Whether it was cut off and only waits for the line below to go.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Marks it as gone, the first time; the hub and the rooms let go of it afterwards.
    pub(super) fn close(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::SeqCst);
        self.over.cancel();
        first
    }

    /// Writes an event; one that is too slow for it is cut off and catches up when it is back.
    pub(super) fn emit(self: &Arc<Self>, envelope: &Envelope) -> Result<(), Lagging> {
        if self.hears() { self.outlet.emit(self, envelope) } else { Err(Lagging) }
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
    fn hears(&self) -> bool {
        self.open.load(Ordering::SeqCst) && self.is_live() && !self.is_cut() && !self.is_over()
    }

    /// Cuts it off, so that its client comes back and catches up.
    pub fn cut(&self, reason: &'static str) {
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
        if !self.ended.swap(true, Ordering::SeqCst) && self.open.load(Ordering::SeqCst) {
            self.say_goodbye(reason);
        }
    }

    /// Ends one whose login ended while it came in.
    pub(super) fn end_late(self: &Arc<Self>) {
        self.say_goodbye("the login of this token has ended");
    }

    fn say_goodbye(self: &Arc<Self>, reason: &str) {
        let last_word = Event::TokenExpired { reason: reason.to_owned() };
        if self.outlet.emit(self, &Envelope::new(last_word)).is_ok() {
            self.outlet.end();
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
