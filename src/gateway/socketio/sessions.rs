//! Cutting a session off. The library has no call for it, so this goes below: a websocket's TCP
//! line is cut, and a polling session is sent the packet with which a client would close it.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use axum::body::Body;
use http::Request;
use parking_lot::Mutex;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{gateway::line::Line, shutdown::Shutdown};

type Engine = BoxCloneSyncService<Request<Body>, (), Infallible>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    engine: Engine,
    shutdown: Shutdown,
    /// The websocket that a session was upgraded to, by session id. Entries whose line is gone are
    /// swept when as many again have come, so there are never more than twice the open lines.
    upgraded: Arc<Mutex<Upgraded>>,
}

#[derive(Default)]
struct Upgraded {
    lines: HashMap<String, Line>,
    sweep_at: usize,
}

impl Sessions {
    /// `engine` is what answers the requests of sessions.
    pub fn new<S>(engine: S, shutdown: Shutdown) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let engine = BoxCloneSyncService::new(engine.map_response(drop));
        Self { engine, shutdown, upgraded: Arc::default() }
    }

    /// Takes note of the line that a session's websocket comes in on.
    pub fn upgrading(&self, sid: &str, line: Line) {
        let mut upgraded = self.upgraded.lock();
        upgraded.lines.insert(sid.to_owned(), line);
        if upgraded.lines.len() > upgraded.sweep_at {
            upgraded.lines.retain(|_, line| line.is_open());
            upgraded.sweep_at = (upgraded.lines.len() * 2).max(256);
        }
    }

    /// Cuts a session off, whatever its transport; `first` is its websocket, where it began with one.
    pub fn cut(&self, sid: &str, is_websocket: bool, first: Option<&Line>) {
        if is_websocket {
            let line = self.upgraded.lock().lines.remove(sid);
            if let Some(line) = line.as_ref().or(first) {
                line.cut();
            }
            return;
        }
        let close = Request::post(format!("/socket.io/?EIO=4&transport=polling&sid={sid}"))
            .body(Body::from("1"))
            .map_err(|err| tracing::error!(error = %err, "could not make a close packet"));
        if let Ok(close) = close {
            let engine = self.engine.clone();
            self.shutdown.spawn(async move { engine.oneshot(close).await });
        }
    }
}
