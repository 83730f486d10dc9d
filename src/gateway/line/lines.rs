//! All open lines, and the job that disconnects silent clients on them.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Shared;
use crate::shutdown::Shutdown;

/// How often lines are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// See the module. Cheap to clone; all clones are the same. Entries of closed lines are removed when the list
/// has doubled, and with each look.
#[derive(Clone)]
pub struct Lines {
    silence: Duration,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    lines: Vec<Weak<Shared>>,
    sweep_at: usize,
}

impl Known {
    fn sweep(&mut self) {
        self.lines.retain(|line| line.strong_count() > 0);
        self.lines.shrink_to(256);
        self.sweep_at = (self.lines.len() * 2).max(256);
    }
}

impl Lines {
    /// `silence` is how long a client may say nothing complete on a websocket of the Socket.IO engine, or take
    /// to read an answer over HTTP. Other websockets have a heartbeat that sees to it.
    pub fn new(silence: Duration) -> Self {
        Self { silence, known: Arc::default() }
    }

    pub(super) fn add(&self, line: Weak<Shared>) {
        let mut known = self.known.lock();
        known.lines.push(line);
        if known.lines.len() > known.sweep_at {
            known.sweep();
        }
    }

    /// Disconnects silent clients until the server shuts down.
    pub fn watch(&self, shutdown: &Shutdown) {
        let (lines, begun) = (self.clone(), shutdown.clone());
        shutdown.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(EVERY.min(lines.silence)) => lines.disconnect_silent(),
                    () = begun.begun() => return,
                }
            }
        });
    }

    fn disconnect_silent(&self) {
        let lines: Vec<_> = {
            let mut known = self.known.lock();
            known.sweep();
            known.lines.iter().filter_map(Weak::upgrade).collect()
        };
        let now = Instant::now();
        for line in lines {
            let since = line.traffic.lock().silent_since();
            if since.is_some_and(|since| now.saturating_duration_since(since) >= self.silence) {
                metrics::counter!("parlor_lines_silent_total").increment(1);
                tracing::debug!("disconnected a client that was silent");
                line.cut();
            }
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("silence", &self.silence).finish_non_exhaustive()
    }
}
