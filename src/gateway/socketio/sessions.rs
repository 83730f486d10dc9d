//! What is done with sessions below the library. It has no call to cut one off: a websocket's TCP line is cut,
//! and a polling session is sent the packet with which a client would close it. And it has to be kept from
//! ending a session whose poll comes at the very moment of its upgrade.

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
    gateway::line::{CountedFrames, EarlyBytes, Line},
    shutdown::Shutdown,
};

/// Websockets that may be tried for one session at a time.
const ATTEMPTS: usize = 4;
/// How long the engine may take to begin the upgrade that it was handed, on the busiest machine.
const BEGINNING: Duration = Duration::from_secs(1);

type Engine = BoxCloneSyncService<Request<Body>, (), Infallible>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Known>);

struct Known {
    engine: Engine,
    shutdown: Shutdown,
    /// The lock is held for a look only, never while the engine runs.
    table: Mutex<Table>,
}

/// Sessions that began by polling, by their id. Entries of sessions that are gone are removed when the table has
/// doubled, so it never has more than twice as many entries as there were sessions and requests.
#[derive(Default)]
struct Table {
    sessions: HashMap<String, Session>,
    sweep_at: usize,
}

#[derive(Default)]
struct Session {
    /// What waits for it.
    backlog: Weak<Backlog>,
    /// The websockets that it may have been upgraded to.
    lines: Vec<Line>,
    /// When the latest of them was tried.
    latest: Option<Instant>,
    /// Polls that the engine was handed and has not looked at yet.
    entering: usize,
    /// Notified when there are none.
    entered: Arc<Notify>,
}

impl Session {
    fn is_upgraded(&self) -> bool {
        self.lines.iter().any(Line::is_open)
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

/// A poll on its way into the engine, until it has been polled once.
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
    /// `engine` is what answers the requests of sessions.
    pub fn new<S>(engine: S, shutdown: Shutdown) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let engine = BoxCloneSyncService::new(engine.map_response(drop));
        Self(Arc::new(Known { engine, shutdown, table: Mutex::default() }))
    }

    /// A session that polls was opened.
    pub fn opened(&self, sid: &str, backlog: &Arc<Backlog>) {
        self.0.table.lock().session(sid).backlog = Arc::downgrade(backlog);
    }

    /// What waits for a session that began by polling.
    pub fn backlog(&self, sid: &str) -> Option<Arc<Backlog>> {
        self.0.table.lock().sessions.get(sid)?.backlog.upgrade()
    }

    /// Notes the line that a session's websocket comes in on, before the engine has it. Returns when the polls
    /// that were entering the engine are in.
    ///
    /// # Errors
    /// See [`Line::switch`].
    pub async fn upgrading(&self, sid: &str, line: &Line) -> Result<(), EarlyBytes> {
        let entered = {
            let mut table = self.0.table.lock();
            let session = table.session(sid);
            let backlog = session.backlog.upgrade().unwrap_or_else(|| line.backlog().clone());
            line.switch(backlog, CountedFrames::SocketIo)?;
            session.latest = Some(Instant::now());
            // Whether the engine takes it is not known yet, so an earlier one may be the one that counts.
            session.lines.retain(Line::is_open);
            if session.lines.len() >= ATTEMPTS {
                line.cut();
                return Ok(());
            }
            session.lines.push(line.clone());
            session.entered.clone()
        };
        loop {
            // Created before the look, so that it also gets a notification between the two.
            let all = entered.notified();
            if self.0.table.lock().sessions.get(sid).is_none_or(|session| session.entering == 0) {
                return Ok(());
            }
            all.await;
        }
    }

    /// Lets a poll enter the engine, unless its session's upgrade may be about to begin. Its answer is to be
    /// kept until the engine was polled once.
    ///
    /// The engine asks first whether the session is upgrading, and then takes its queue, or ends the session
    /// where somebody has that: an upgrade that begins between the two ends it. So no upgrade goes in while a
    /// poll is between them, and no poll while an upgrade that was noted may be beginning.
    pub fn enter<'a>(&'a self, sid: &'a str) -> Option<Entering<'a>> {
        let mut table = self.0.table.lock();
        let session = table.session(sid);
        if session.latest.is_some_and(|latest| latest.elapsed() < BEGINNING) {
            return None;
        }
        session.entering += 1;
        Some(Entering { sessions: self, sid })
    }

    /// Sessions whose websocket came later, as far as it is open.
    pub fn upgraded(&self) -> usize {
        self.0.table.lock().sessions.values().filter(|session| session.is_upgraded()).count()
    }

    /// Cuts a session off, whatever its transport; `first` is its websocket, where it began with one.
    /// What it answers can be waited for, where something is left to wait for.
    pub fn cut(&self, sid: &str, is_websocket: bool, first: Option<&Line>) -> Option<JoinHandle<()>> {
        let lines = match self.0.table.lock().sessions.get_mut(sid) {
            Some(session) => std::mem::take(&mut session.lines),
            None => Vec::new(),
        };
        lines.iter().chain(first).for_each(Line::cut);
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
        gateway::line::{LineListener, Lines},
    };

    fn sessions() -> Sessions {
        let engine = tower::service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
        Sessions::new(engine, Shutdown::new())
    }

    async fn line() -> (TcpStream, crate::gateway::line::LineStream, Line) {
        line_with(b"GET / HTTP/1.1\r\n\r\n").await
    }

    /// A line on which this was read, and its client.
    async fn line_with(request: &[u8]) -> (TcpStream, crate::gateway::line::LineStream, Line) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backlogs = Backlogs::new(Limits { one: 1_000, all: 1_000 }, Count::default());
        let lines = Lines::new(Duration::from_secs(60));
        let listener = LineListener { listener, open: Count::default(), backlogs, lines };
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
            // An upgrade that came to nothing leaves a session that polls.
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
