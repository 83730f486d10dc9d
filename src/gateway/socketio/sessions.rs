//! What is done with sessions below the library. It has no call to cut one off: a websocket's TCP line is cut,
//! and a polling session is sent the packet with which a client would close it. And it has to be kept from
//! ending a session whose poll comes at the very moment of its upgrade.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use http::Request;
use parking_lot::RwLock;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{gateway::line::Line, shutdown::Shutdown};

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
    /// The websocket that a session was upgraded to, by session id. Entries whose line is gone are
    /// swept when as many again have come, so there are never more than twice the open lines.
    upgraded: RwLock<Upgraded>,
}

#[derive(Default)]
struct Upgraded {
    sessions: HashMap<String, Attempts>,
    sweep_at: usize,
}

struct Attempts {
    lines: Vec<Line>,
    latest: Instant,
}

impl Attempts {
    fn is_open(&self) -> bool {
        self.lines.iter().any(Line::is_open)
    }
}

impl Sessions {
    /// `engine` is what answers the requests of sessions.
    pub fn new<S>(engine: S, shutdown: Shutdown) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let engine = BoxCloneSyncService::new(engine.map_response(drop));
        Self(Arc::new(Known { engine, shutdown, upgraded: RwLock::default() }))
    }

    /// Takes note of the line that a session's websocket comes in on, before the engine has it.
    pub fn upgrading(&self, sid: &str, line: Line) {
        let mut upgraded = self.0.upgraded.write();
        let latest = Instant::now();
        let attempts =
            upgraded.sessions.entry(sid.to_owned()).or_insert_with(|| Attempts { lines: Vec::new(), latest });
        attempts.latest = latest;
        // Whether the engine takes it is not known yet, so an earlier one may be the one that counts.
        attempts.lines.retain(Line::is_open);
        if attempts.lines.len() >= ATTEMPTS {
            line.cut();
            return;
        }
        attempts.lines.push(line);
        if upgraded.sessions.len() > upgraded.sweep_at {
            upgraded.sessions.retain(|_, attempts| attempts.is_open());
            upgraded.sweep_at = (upgraded.sessions.len() * 2).max(256);
        }
    }

    /// Lets a poll enter the engine, unless its session's upgrade may be about to begin.
    ///
    /// The engine asks first whether the session is upgrading, and then takes its queue, or ends the session
    /// where somebody has that: an upgrade that begins between the two ends it. So no upgrade is noted
    /// between them, and no poll goes in while one that was noted may be beginning.
    pub fn unless_upgrading<T>(&self, sid: &str, enter: impl FnOnce() -> T) -> Option<T> {
        let upgraded = self.0.upgraded.read();
        let begins = upgraded.sessions.get(sid).is_some_and(|attempts| attempts.latest.elapsed() < BEGINNING);
        (!begins).then(enter)
    }

    /// Sessions whose websocket came later, as far as it is open.
    pub fn upgraded(&self) -> usize {
        self.0.upgraded.read().sessions.values().filter(|attempts| attempts.is_open()).count()
    }

    /// Cuts a session off, whatever its transport; `first` is its websocket, where it began with one.
    /// What it answers can be waited for, where something is left to wait for.
    pub fn cut(&self, sid: &str, is_websocket: bool, first: Option<&Line>) -> Option<JoinHandle<()>> {
        let attempts = self.0.upgraded.write().sessions.remove(sid);
        attempts.iter().flat_map(|attempts| &attempts.lines).chain(first).for_each(Line::cut);
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
    use http::Response;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{counts::Count, gateway::line::LineListener};

    #[tokio::test]
    async fn no_poll_goes_in_where_an_upgrade_may_be_about_to_begin() {
        let engine = tower::service_fn(|_: Request<Body>| async { Ok(Response::new(Body::empty())) });
        let sessions = Sessions::new(engine, Shutdown::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = LineListener { listener, open: Count::default() };
        let (_client, (_stream, line)) = tokio::join!(TcpStream::connect(address), listener.accept());
        let enters = |sid| sessions.unless_upgrading(sid, || ()).is_some();

        assert!(enters("one"));
        sessions.upgrading("one", line.clone());
        assert!(!enters("one"));
        assert!(enters("another"), "whose session is not upgraded");
        while !enters("one") {
            // An upgrade that came to nothing leaves a session that polls.
            tokio::time::sleep(BEGINNING / 10).await;
        }

        std::thread::scope(|scope| {
            let upgrade = sessions.unless_upgrading("one", || {
                let upgrade = scope.spawn(|| sessions.upgrading("one", line.clone()));
                std::thread::sleep(Duration::from_millis(50));
                assert!(!upgrade.is_finished(), "an upgrade begins while a poll goes in");
                upgrade
            });
            upgrade.unwrap().join().unwrap();
        });
        assert!(!enters("one"));
    }
}
