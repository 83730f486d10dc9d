//! Handles sessions below the library, which has no call to disconnect one. For a websocket, this closes the
//! TCP connection. For a polling session, it sends the packet with which a client would close the session. It
//! also knows how far a session's upgrade is, so that no poll disturbs it.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::Instant,
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use super::{packets::TextReplacement, upgrade_stage::UpgradeStage};
use crate::{
    backlog::Backlog,
    gateway::tcp::{EarlyBytes, FrameFilter, TcpHandle},
    shutdown::Shutdown,
    sweep::SweepLength,
};

type Engine = BoxCloneSyncService<Request<Body>, (), Infallible>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<OpenSessions>);

struct OpenSessions {
    engine: Engine,
    shutdown: Shutdown,
    /// Held only for short lookups, never while the engine runs.
    table: Mutex<Table>,
}

/// How often entries of ended sessions are removed: each keeps parts of its session in memory.
const SWEEP: Duration = Duration::from_secs(5);

/// Sessions that began by polling, by their id. Entries of ended sessions are also removed when the table has
/// doubled, so it never has more than twice as many entries as there were sessions and requests.
#[derive(Default)]
struct Table {
    sessions: HashMap<String, Session>,
    sweep_at: SweepLength,
}

#[derive(Default)]
struct Session {
    /// The bytes that wait for the session.
    backlog: Weak<Backlog>,
    /// The websocket that the session is upgraded to, or that its client tries.
    websocket: Option<TcpHandle>,
    stage: watch::Sender<UpgradeStage>,
    /// When the latest request of the session arrived.
    requested: Option<Instant>,
    /// Polls that were passed to the engine and that it has not looked at yet.
    entering: usize,
    /// Notified when there are none.
    entered: Arc<Notify>,
    /// A message that is to be written in place of another, over whichever transport.
    replacement: Option<TextReplacement>,
}

impl Session {
    fn has_websocket(&self) -> bool {
        self.websocket.as_ref().is_some_and(TcpHandle::is_open)
    }

    fn is_known(&self) -> bool {
        self.entering > 0 || self.backlog.strong_count() > 0 || self.has_websocket()
    }
}

impl Table {
    fn session(&mut self, sid: &str) -> &mut Session {
        if self.sweep_at.is_exceeded(self.sessions.len()) {
            self.sweep();
        }
        self.sessions.entry(sid.to_owned()).or_default()
    }

    fn sweep(&mut self) {
        self.sessions.retain(|_, session| session.is_known());
        self.sessions.shrink_to(256);
        self.sweep_at.swept(self.sessions.len());
    }
}

/// A poll that is entering the engine, until the engine has polled its future once.
pub struct Entering<'a> {
    sessions: &'a Sessions,
    sid: &'a str,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        let mut table = self.sessions.0.table.lock();
        let Some(session) = table.sessions.get_mut(self.sid) else { return };
        session.entering -= 1;
        if session.entering == 0 {
            session.entered.notify_waiters();
        }
        if !session.is_known() {
            table.sessions.remove(self.sid);
        }
    }
}

/// A websocket that a client tries for its session. If it is dropped, the session continues with polling.
pub struct Probing {
    sessions: Sessions,
    sid: String,
    is_over: bool,
}

impl Probing {
    /// The probe has arrived.
    pub fn probed(&self) {
        self.sessions.goes_on(&self.sid, UpgradeStage::Probed);
    }

    /// The client upgrades the session. Returns when no poll is entering the engine.
    pub async fn switch(mut self) -> Switching {
        self.is_over = true;
        let (sessions, sid) = (self.sessions.clone(), std::mem::take(&mut self.sid));
        // From now on, so that the stage ends whatever happens.
        let switching = Switching { sessions, sid };
        loop {
            let entered = {
                let mut table = switching.sessions.0.table.lock();
                let Some(session) = table.sessions.get_mut(&switching.sid) else { break };
                session.stage.send_replace(UpgradeStage::Switching);
                if session.entering == 0 {
                    break;
                }
                session.entered.clone().notified_owned()
            };
            entered.await;
        }
        switching
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        if !self.is_over {
            let mut table = self.sessions.0.table.lock();
            if let Some(session) = table.sessions.get_mut(&self.sid) {
                session.websocket = None;
                session.stage.send_replace(UpgradeStage::Polling);
            }
        }
    }
}

/// The engine takes over a session's websocket, until this is dropped.
pub struct Switching {
    sessions: Sessions,
    sid: String,
}

impl Drop for Switching {
    fn drop(&mut self) {
        self.sessions.goes_on(&self.sid, UpgradeStage::Upgraded);
    }
}

/// Why a websocket is not opened for a session.
#[derive(Debug)]
pub enum NotTried {
    /// See [`TcpHandle::switch`].
    Early(EarlyBytes),
    /// The connection cannot become a websocket, there is no such session, or it has a websocket.
    Taken,
}

impl Sessions {
    /// Whether the session needs polls: it is not upgraded, and it is not about to be.
    pub fn needs_polls(&self, sid: &str) -> bool {
        let table = self.0.table.lock();
        let stage = table.sessions.get(sid).map(|session| *session.stage.borrow());
        matches!(stage, None | Some(UpgradeStage::Polling | UpgradeStage::Trying | UpgradeStage::Probed))
    }

    /// `engine` answers the requests of sessions.
    pub fn new<S>(engine: S, shutdown: Shutdown) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let engine = BoxCloneSyncService::new(engine.map_response(drop));
        Self(Arc::new(OpenSessions { engine, shutdown, table: Mutex::default() }))
    }

    /// Starts a task that serves a client until the server shuts down.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let begun = self.0.shutdown.clone();
        self.0.shutdown.spawn(async move {
            tokio::select! {
                () = task => {}
                () = begun.begun() => {}
            }
        });
    }

    /// Removes entries of ended sessions until the server shuts down.
    pub fn watch(&self) {
        let (sessions, shutdown) = (self.clone(), self.0.shutdown.clone());
        self.0.shutdown.spawn(async move {
            while !shutdown.begins_within(SWEEP).await {
                sessions.0.table.lock().sweep();
            }
        });
    }

    /// A polling session was opened.
    pub fn opened(&self, sid: &str, backlog: &Arc<Backlog>) {
        let mut table = self.0.table.lock();
        let session = table.session(sid);
        session.backlog = Arc::downgrade(backlog);
        session.requested = Some(Instant::now());
    }

    /// A request of a session has arrived that carries packets.
    pub fn requested(&self, sid: &str) {
        if let Some(session) = self.0.table.lock().sessions.get_mut(sid) {
            session.requested = Some(Instant::now());
        }
    }

    /// When something was last read from a session's client, over any transport. `first` is its websocket, if
    /// the session began with one. `None` if the client is gone.
    pub fn read_at(&self, sid: &str, first: Option<&TcpHandle>) -> Option<Instant> {
        let table = self.0.table.lock();
        let session = table.sessions.get(sid);
        let upgraded = session.and_then(|session| session.websocket.as_ref());
        let by_websocket = upgraded.into_iter().chain(first).filter_map(TcpHandle::read_at).max();
        by_websocket.max(session.and_then(|session| session.requested))
    }

    /// Whether there is such a session that began by polling. Others are never upgraded.
    pub fn is_polling(&self, sid: &str) -> bool {
        self.backlog(sid).is_some()
    }

    pub fn is_shutting_down(&self) -> bool {
        self.0.shutdown.has_begun()
    }

    /// The bytes that wait for a session that began by polling.
    pub fn backlog(&self, sid: &str) -> Option<Arc<Backlog>> {
        self.0.table.lock().sessions.get(sid)?.backlog.upgrade()
    }

    /// Replaces the next message of the session that is `expected`, over whichever transport it is written.
    /// `first` is the session's websocket, if the session began with one.
    pub fn replace(&self, sid: &str, first: Option<&TcpHandle>, replacement: TextReplacement) {
        let TextReplacement { expected, instead } = &replacement;
        if let Some(websocket) = first {
            return websocket.replace_text(expected, instead);
        }
        if let Some(session) = self.0.table.lock().sessions.get_mut(sid) {
            if let Some(tcp) = &session.websocket {
                tcp.replace_text(expected, instead);
            }
            session.replacement = Some(replacement);
        }
    }

    /// The packets of an answer to one of the session's polls, with the replacement if the packet is among
    /// them.
    pub fn replaced(&self, sid: &str, packets: Bytes) -> Bytes {
        let mut table = self.0.table.lock();
        let Some(session) = table.sessions.get_mut(sid) else { return packets };
        if let Some(replacement) = session.replacement.take() {
            match replacement.in_packets(&packets) {
                Some(replaced) => return replaced,
                None => session.replacement = Some(replacement),
            }
        }
        packets
    }

    /// The client of a polling session opens a websocket on this TCP connection. Call it before the answer.
    ///
    /// # Errors
    /// See [`NotTried`].
    pub fn probing(&self, sid: &str, tcp: &TcpHandle) -> Result<Probing, NotTried> {
        let mut table = self.0.table.lock();
        let session = table.sessions.get_mut(sid).ok_or(NotTried::Taken)?;
        let backlog = session.backlog.upgrade().ok_or(NotTried::Taken)?;
        if *session.stage.borrow() != UpgradeStage::Polling {
            return Err(NotTried::Taken);
        }
        tcp.switch(backlog, FrameFilter::SocketIo).map_err(NotTried::Early)?;
        if let Some(TextReplacement { expected, instead }) = &session.replacement {
            tcp.replace_text(expected, instead);
        }
        session.websocket = Some(tcp.clone());
        session.stage.send_replace(UpgradeStage::Trying);
        Ok(Probing { sessions: self.clone(), sid: sid.to_owned(), is_over: false })
    }

    /// The websocket that a session is upgraded to.
    pub fn upgraded_to(&self, sid: &str) -> Option<TcpHandle> {
        let table = self.0.table.lock();
        let session = table.sessions.get(sid)?;
        session.websocket.clone().filter(|_| *session.stage.borrow() == UpgradeStage::Upgraded)
    }

    fn goes_on(&self, sid: &str, stage: UpgradeStage) {
        if let Some(session) = self.0.table.lock().sessions.get(sid) {
            session.stage.send_replace(stage);
        }
    }

    /// Lets a poll enter the engine. Keep the returned value until the engine has polled the future once. The
    /// receiver tells how the upgrade of the session goes on.
    ///
    /// The engine first asks whether the session is upgrading. Then it takes the session's queue, or ends the
    /// session if somebody else has the queue. So an upgrade that begins or ends between these two steps ends
    /// the session. For this reason, the engine does not get a websocket while a poll is between the steps, and
    /// no poll enters while the engine takes over a websocket.
    ///
    /// # Errors
    /// The engine is taking over a websocket of the session: wait for the next stage.
    pub fn enter<'a>(
        &'a self,
        sid: &'a str,
    ) -> Result<(Entering<'a>, watch::Receiver<UpgradeStage>), watch::Receiver<UpgradeStage>> {
        let mut table = self.0.table.lock();
        let session = table.session(sid);
        let stage = session.stage.subscribe();
        if *stage.borrow() == UpgradeStage::Switching {
            return Err(stage);
        }
        session.entering += 1;
        session.requested = Some(Instant::now());
        Ok((Entering { sessions: self, sid }, stage))
    }

    /// Answers the first ping of a session that was opened by polling, before its client knows its id. The
    /// engine sends that ping at once; Socket.IO's own server sends its first one after the interval.
    pub async fn answer_first_ping(&self, sid: &str) {
        for (method, packets) in [(Method::GET, ""), (Method::POST, "3")] {
            if let Some(request) = request(method, sid, packets) {
                let Ok(()) = self.0.engine.clone().oneshot(request).await;
            }
        }
    }

    /// The number of sessions that were upgraded to a websocket that is still open.
    pub fn upgraded(&self) -> usize {
        let table = self.0.table.lock();
        let upgraded = table
            .sessions
            .values()
            .filter(|session| session.has_websocket() && *session.stage.borrow() == UpgradeStage::Upgraded);
        upgraded.count()
    }

    /// Disconnects a session with any transport. `first` is its websocket, if the session began with one.
    /// Returns a task to wait for, if the disconnect takes time.
    pub fn disconnect(
        &self,
        sid: &str,
        is_websocket: bool,
        first: Option<&TcpHandle>,
    ) -> Option<JoinHandle<()>> {
        let websocket =
            self.0.table.lock().sessions.get_mut(sid).and_then(|session| session.websocket.take());
        websocket.iter().chain(first).for_each(TcpHandle::abort);
        if is_websocket {
            return None;
        }
        let close = request(Method::POST, sid, "1")?;
        let engine = self.0.engine.clone();
        Some(self.0.shutdown.spawn(async move {
            let Ok(()) = engine.oneshot(close).await;
        }))
    }
}

/// A request of a polling client.
fn request(method: Method, sid: &str, packets: &'static str) -> Option<Request<Body>> {
    Request::builder()
        .method(method)
        .uri(format!("/socket.io/?EIO=4&transport=polling&sid={sid}"))
        .body(Body::from(packets))
        .inspect_err(|err| tracing::error!(error = %err, "could not make a request of a session"))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::Response;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        backlog::{Backlogs, Limits},
        counts::Count,
        gateway::tcp::{OpenConnections, TcpAcceptor},
    };

    fn sessions() -> Sessions {
        let engine = tower::service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
        Sessions::new(engine, Shutdown::new())
    }

    async fn tcp() -> (TcpStream, crate::gateway::tcp::TcpConnection, TcpHandle) {
        tcp_with(b"GET / HTTP/1.1\r\n\r\n").await
    }

    /// A TCP connection on which this request was read, and its client.
    async fn tcp_with(request: &[u8]) -> (TcpStream, crate::gateway::tcp::TcpConnection, TcpHandle) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backlogs = Backlogs::new(Limits { one: 1_000, all: 1_000 }, Count::default());
        let open_connections = OpenConnections::new(Duration::from_secs(60));
        let listener = TcpAcceptor {
            listener,
            open: Count::default(),
            most: 16,
            backlogs,
            open_connections,
            unread_timeout: Duration::from_secs(60),
        };
        let (client, (mut stream, tcp)) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut client = client.unwrap();
        client.write_all(request).await.unwrap();
        stream.read_exact(&mut vec![0; request.len()]).await.unwrap();
        (client, stream, tcp)
    }

    fn backlog() -> Arc<Backlog> {
        Backlogs::new(Limits { one: 1_000, all: 1_000 }, Count::default()).backlog()
    }

    #[tokio::test]
    async fn the_engine_gets_a_websocket_when_no_poll_is_going_in_and_none_goes_in_meanwhile() {
        let (sessions, backlog) = (sessions(), backlog());
        let (_client, _stream, tcp) = tcp().await;
        sessions.opened("one", &backlog);
        let (first, _) = sessions.enter("one").ok().unwrap();
        let (second, _) = sessions.enter("one").ok().unwrap();
        let probing = sessions.probing("one", &tcp).unwrap();
        let mut switch = pin!(probing.switch());
        assert!(futures_util::poll!(switch.as_mut()).is_pending());
        let mut stage = sessions.enter("one").err().expect("no poll may come between");
        assert!(sessions.enter("another").is_ok(), "no other session waits");
        drop(first);
        assert!(futures_util::poll!(switch.as_mut()).is_pending());
        drop(second);
        drop(switch.await);
        assert_eq!(*stage.borrow_and_update(), UpgradeStage::Upgraded);
        assert!(sessions.enter("one").is_ok(), "the engine refuses it");
        assert_eq!(sessions.upgraded(), 1);
    }

    #[tokio::test]
    async fn a_websocket_that_was_given_up_leaves_a_polling_session_that_may_try_another() {
        let (sessions, backlog) = (sessions(), backlog());
        let (_client, _stream, tcp) = tcp().await;
        let is_taken = |sid| matches!(sessions.probing(sid, &tcp), Err(NotTried::Taken));
        assert!(is_taken("one"), "there is no such session");
        sessions.opened("one", &backlog);
        let probing = sessions.probing("one", &tcp).unwrap();
        assert!(is_taken("one"));
        probing.probed();
        let (_entering, stage) = sessions.enter("one").ok().unwrap();
        assert_eq!(*stage.borrow(), UpgradeStage::Probed);
        drop(probing);
        assert_eq!((*stage.borrow(), sessions.upgraded()), (UpgradeStage::Polling, 0));
        let (_other_client, _other_stream, other) = tcp_with(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(sessions.probing("one", &other).is_ok());
    }

    #[tokio::test]
    async fn only_a_request_whose_frames_can_be_found_becomes_a_websocket() {
        for (request, is_taken) in [
            ("GET / HTTP/1.1\r\n\r\nfirst frames", true),
            ("POST / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n", false),
        ] {
            let (sessions, backlog) = (sessions(), backlog());
            sessions.opened("one", &backlog);
            let (_client, _stream, tcp) = tcp_with(request.as_bytes()).await;
            assert_eq!(sessions.probing("one", &tcp).is_ok(), is_taken, "{request:?}");
        }
    }

    #[test]
    fn sessions_that_are_gone_and_made_up_ids_leave_no_entries() {
        let sessions = sessions();
        let backlogs = Backlogs::new(Limits { one: 1_000, all: 1_000 }, Count::default());
        for number in 0..10_000 {
            sessions.opened(&number.to_string(), &backlogs.backlog());
            drop(sessions.enter(&format!("none {number}")));
        }
        assert!(sessions.0.table.lock().sessions.len() <= 512);
    }
}
