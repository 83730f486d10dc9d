//! Cutting a session off. The library has no call for it, so this goes below: a websocket's TCP
//! line is cut, and a polling session is sent the packet with which a client would close it.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use axum::body::Body;
use http::Request;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{gateway::line::Line, shutdown::Shutdown};

/// Websockets that may be tried for one session at a time.
const ATTEMPTS: usize = 4;

type Engine = BoxCloneSyncService<Request<Body>, (), Infallible>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Known>);

struct Known {
    engine: Engine,
    shutdown: Shutdown,
    /// The websocket that a session was upgraded to, by session id. Entries whose line is gone are
    /// swept when as many again have come, so there are never more than twice the open lines.
    upgraded: Mutex<Upgraded>,
}

#[derive(Default)]
struct Upgraded {
    lines: HashMap<String, Vec<Line>>,
    sweep_at: usize,
}

impl Sessions {
    /// `engine` is what answers the requests of sessions.
    pub fn new<S>(engine: S, shutdown: Shutdown) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let engine = BoxCloneSyncService::new(engine.map_response(drop));
        Self(Arc::new(Known { engine, shutdown, upgraded: Mutex::default() }))
    }

    /// Takes note of the line that a session's websocket comes in on.
    pub fn upgrading(&self, sid: &str, line: Line) {
        let mut upgraded = self.0.upgraded.lock();
        let lines = upgraded.lines.entry(sid.to_owned()).or_default();
        // Whether the engine takes it is not known yet, so an earlier one may be the one that counts.
        lines.retain(Line::is_open);
        if lines.len() >= ATTEMPTS {
            line.cut();
            return;
        }
        lines.push(line);
        if upgraded.lines.len() > upgraded.sweep_at {
            upgraded.lines.retain(|_, lines| lines.iter().any(Line::is_open));
            upgraded.sweep_at = (upgraded.lines.len() * 2).max(256);
        }
    }

    /// Sessions whose websocket came later, as far as it is open.
    pub fn upgraded(&self) -> usize {
        self.0.upgraded.lock().lines.values().filter(|lines| lines.iter().any(Line::is_open)).count()
    }

    /// Cuts a session off, whatever its transport; `first` is its websocket, where it began with one.
    /// What it answers can be waited for, where something is left to wait for.
    pub fn cut(&self, sid: &str, is_websocket: bool, first: Option<&Line>) -> Option<JoinHandle<()>> {
        let lines = self.0.upgraded.lock().lines.remove(sid).unwrap_or_default();
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
