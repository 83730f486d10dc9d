//! Handles sessions below the library, which has no call to disconnect one. For a websocket, this closes the
//! TCP connection. For a polling session, it sends the packet with which a client would close the session. It
//! also prevents the engine from ending a session when a poll arrives at the moment of its upgrade.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use axum::body::Body;
use http::Request;
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    backlog::Backlog,
    gateway::tcp::{EarlyBytes, FrameFilter, TcpHandle},
    shutdown::Shutdown,
};

/// The most websockets that may be tried for one session at a time.
const ATTEMPTS: usize = 4;
/// The longest time that the engine needs to begin an upgrade, on a very busy machine.
const BEGINNING: Duration = Duration::from_secs(1);

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

/// Sessions that began by polling, by their id. Entries of ended sessions are removed when the table has
/// doubled, so it never has more than twice as many entries as there were sessions and requests.
#[derive(Default)]
struct Table {
    sessions: HashMap<String, Session>,
    sweep_at: usize,
}

#[derive(Default)]
struct Session {
    /// The bytes that wait for the session.
    backlog: Weak<Backlog>,
    /// The websockets that the session may have been upgraded to.
    lines: Vec<TcpHandle>,
    /// When the latest of them was tried.
    latest: Option<Instant>,
    /// Polls that were passed to the engine and that it has not looked at yet.
    entering: usize,
    /// Notified when there are none.
    entered: Arc<Notify>,
}

impl Session {
    fn is_upgraded(&self) -> bool {
        self.lines.iter().any(TcpHandle::is_open)
    }

    fn is_known(&self) -> bool {
        self.entering > 0 || self.backlog.strong_count() > 0 || self.is_upgraded()
    }
}

impl Table {
    fn session(&mut self, sid: &str) -> &mut Session {
        if self.sessions.len() > self.sweep_at {
            self.sessions.retain(|_, session| session.is_known());
            self.sessions.shrink_to(256);
            self.sweep_at = (self.sessions.len() * 2).max(256);
        }
        self.sessions.entry(sid.to_owned()).or_default()
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

impl Sessions {
    /// `engine` answers the requests of sessions.
    pub fn new<S>(engine: S, shutdown: Shutdown) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let engine = BoxCloneSyncService::new(engine.map_response(drop));
        Self(Arc::new(OpenSessions { engine, shutdown, table: Mutex::default() }))
    }

    /// A polling session was opened.
    pub fn opened(&self, sid: &str, backlog: &Arc<Backlog>) {
        self.0.table.lock().session(sid).backlog = Arc::downgrade(backlog);
    }

    /// The bytes that wait for a session that began by polling.
    pub fn backlog(&self, sid: &str) -> Option<Arc<Backlog>> {
        self.0.table.lock().sessions.get(sid)?.backlog.upgrade()
    }

    /// Records the TCP connection of a session's websocket before the engine gets it. Returns when all polls
    /// that were entering the engine have entered.
    ///
    /// # Errors
    /// See [`TcpHandle::switch`].
    pub async fn upgrading(&self, sid: &str, line: &TcpHandle) -> Result<(), EarlyBytes> {
        let entered = {
            let mut table = self.0.table.lock();
            let session = table.session(sid);
            let backlog = session.backlog.upgrade().unwrap_or_else(|| line.backlog().clone());
            line.switch(backlog, FrameFilter::SocketIo)?;
            session.latest = Some(Instant::now());
            // Whether the engine accepts this websocket is not known yet, so an earlier one may be the valid
            // one.
            session.lines.retain(TcpHandle::is_open);
            if session.lines.len() >= ATTEMPTS {
                line.cut();
                return Ok(());
            }
            session.lines.push(line.clone());
            session.entered.clone()
        };
        loop {
            // Created before the check, so that it also gets a notification between the two.
            let all = entered.notified();
            if self.0.table.lock().sessions.get(sid).is_none_or(|session| session.entering == 0) {
                return Ok(());
            }
            all.await;
        }
    }

    /// Lets a poll enter the engine, unless an upgrade of its session may be about to begin. Keep the
    /// returned value until the engine has polled the future once.
    ///
    /// The engine first asks whether the session is upgrading. Then it takes the session's queue, or ends the
    /// session if somebody else has the queue. So an upgrade that begins between these two steps ends the
    /// session. For this reason, no upgrade starts while a poll is between the steps, and no poll enters
    /// while a recorded upgrade may be beginning.
    pub fn enter<'a>(&'a self, sid: &'a str) -> Option<Entering<'a>> {
        let mut table = self.0.table.lock();
        let session = table.session(sid);
        if session.latest.is_some_and(|latest| latest.elapsed() < BEGINNING) {
            return None;
        }
        session.entering += 1;
        Some(Entering { sessions: self, sid })
    }

    /// The number of sessions that were upgraded to a websocket that is still open.
    pub fn upgraded(&self) -> usize {
        self.0.table.lock().sessions.values().filter(|session| session.is_upgraded()).count()
    }

    /// Disconnects a session with any transport. `first` is its websocket, if the session began with one.
    /// Returns a task to wait for, if the disconnect takes time.
    pub fn cut(&self, sid: &str, is_websocket: bool, first: Option<&TcpHandle>) -> Option<JoinHandle<()>> {
        let lines = match self.0.table.lock().sessions.get_mut(sid) {
            Some(session) => std::mem::take(&mut session.lines),
            None => Vec::new(),
        };
        lines.iter().chain(first).for_each(TcpHandle::cut);
        if is_websocket {
            return None;
        }
        let close = Request::post(format!("/socket.io/?EIO=4&transport=polling&sid={sid}"))
            .body(Body::from("1"))
            .inspect_err(|err| tracing::error!(error = %err, "could not make a close packet"))
            .ok()?;
        let engine = self.0.engine.clone();
        Some(self.0.shutdown.spawn(async move {
            let Ok(()) = engine.oneshot(close).await;
        }))
    }
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

    async fn line() -> (TcpStream, crate::gateway::tcp::TcpConnection, TcpHandle) {
        line_with(b"GET / HTTP/1.1\r\n\r\n").await
    }

    /// A TCP connection on which this request was read, and its client.
    async fn line_with(request: &[u8]) -> (TcpStream, crate::gateway::tcp::TcpConnection, TcpHandle) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backlogs = Backlogs::new(Limits { one: 1_000, all: 1_000 }, Count::default());
        let lines = OpenConnections::new(Duration::from_secs(60));
        let listener = TcpAcceptor { listener, open: Count::default(), backlogs, lines };
        let (client, (mut stream, line)) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut client = client.unwrap();
        client.write_all(request).await.unwrap();
        stream.read_exact(&mut vec![0; request.len()]).await.unwrap();
        (client, stream, line)
    }

    #[tokio::test]
    async fn no_poll_goes_in_where_an_upgrade_may_be_about_to_begin() {
        let sessions = sessions();
        let (_client, _stream, line) = line().await;
        let enters = |sid| sessions.enter(sid).is_some();

        assert!(enters("one"));
        sessions.upgrading("one", &line).await.unwrap();
        assert!(!enters("one"));
        assert!(enters("another"), "whose session is not upgraded");
        while !enters("one") {
            // An upgrade that failed leaves a polling session.
            tokio::time::sleep(BEGINNING / 10).await;
        }
    }

    #[tokio::test]
    async fn an_upgrade_waits_for_the_polls_that_are_going_in_and_holds_up_no_other_session() {
        let sessions = sessions();
        let (_client, _stream, line) = line().await;
        let (first, second) = (sessions.enter("one").unwrap(), sessions.enter("one").unwrap());
        let mut upgrade = pin!(sessions.upgrading("one", &line));
        assert!(futures_util::poll!(upgrade.as_mut()).is_pending());
        assert!(sessions.enter("one").is_none(), "no poll may come between");
        assert!(sessions.enter("another").is_some());
        drop(first);
        assert!(futures_util::poll!(upgrade.as_mut()).is_pending());
        drop(second);
        upgrade.await.unwrap();
        assert_eq!(sessions.upgraded(), 1);
    }

    #[tokio::test]
    async fn only_a_request_whose_frames_can_be_found_becomes_a_websocket() {
        for (request, is_taken) in [
            ("GET / HTTP/1.1\r\n\r\nfirst frames", true),
            ("POST / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n", false),
        ] {
            let (_client, _stream, line) = line_with(request.as_bytes()).await;
            assert_eq!(sessions().upgrading("one", &line).await.is_ok(), is_taken, "{request:?}");
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
