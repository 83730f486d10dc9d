//! Bytes that were written to a connection and that its TCP stream has not taken yet: counted for each
//! connection and for all together, and limited in both. Knows nothing of gateways.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{counts::Count, metrics, shutdown::Shutdown, sweep::WeakList};

/// The limits, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one connection: more than this closes it.
    pub one: usize,
    /// For all connections together: more than this closes those with the most waiting bytes.
    pub all: usize,
}

/// The backlogs of all connections. Cheap to clone; all clones share the same state.
#[derive(Clone)]
pub struct Backlogs(Arc<Totals>);

struct Totals {
    limits: Limits,
    waiting: Count,
    known: Mutex<WeakList<Backlog>>,
    /// Notified when the connections together exceed their limit.
    exceeded: Notify,
}

/// How often entries of closed connections are removed: each keeps its connection's numbers in memory.
const SWEEP: Duration = Duration::from_secs(5);

/// Closes a connection as its gateway closes it.
type Close = Arc<dyn Fn() + Send + Sync>;

/// The waiting bytes of one connection. It ends with [`Backlog::close`] or when it is dropped.
pub struct Backlog {
    all: Arc<Totals>,
    state: Mutex<Level>,
    /// Notified when so little waits that a task in [`Backlog::below`] can continue.
    drained: Notify,
}

#[derive(Default)]
struct Level {
    waiting: usize,
    is_closed: bool,
    /// The highest level that [`Backlog::below`] waits for.
    awaited: usize,
    close: Option<Close>,
}

/// The bytes do not fit: the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Backlogs {
    /// The bytes of all connections together are counted in `waiting`.
    pub fn new(limits: Limits, waiting: Count) -> Self {
        Self(Arc::new(Totals { limits, waiting, known: Mutex::default(), exceeded: Notify::new() }))
    }

    /// The backlog of a new connection.
    pub fn backlog(&self) -> Arc<Backlog> {
        let all = self.0.clone();
        let backlog = Arc::new(Backlog { all, state: Mutex::default(), drained: Notify::new() });
        self.0.known.lock().push(Arc::downgrade(&backlog));
        backlog
    }

    /// Keeps all connections together within the limit until the server shuts down. It does this in a task,
    /// because code that adds bytes may hold locks that closing a connection takes.
    pub fn watch(&self, shutdown: &Shutdown) {
        let (all, begun) = (self.0.clone(), shutdown.clone());
        shutdown.spawn(async move {
            loop {
                tokio::select! {
                    () = all.exceeded.notified() => all.relieve(),
                    () = tokio::time::sleep(SWEEP) => all.known.lock().sweep(),
                    () = begun.begun() => return,
                }
            }
        });
    }

    /// The bytes that wait for all connections.
    pub fn waiting(&self) -> usize {
        self.0.waiting.now()
    }
}

impl Totals {
    /// Closes the connections with the most waiting bytes, until the rest is within the limit.
    fn relieve(&self) {
        while self.waiting.now() > self.limits.all {
            let backlogs: Vec<_> = self.known.lock().iter().collect();
            let Some(most) = backlogs.iter().max_by_key(|backlog| backlog.waiting()) else { return };
            if most.waiting() == 0 {
                return;
            }
            metrics::OUTGOING_RELIEVED.one();
            if let Some(close) = most.close() {
                close();
            }
        }
    }

    fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.waiting.remove(bytes);
        }
    }
}

impl Backlog {
    /// Counts bytes that are about to be written.
    ///
    /// # Errors
    /// [`Full`] if they exceed a limit or the connection is closed. They are then not counted.
    pub fn add(&self, bytes: usize) -> Result<(), Full> {
        let all = {
            let mut state = self.state.lock();
            if state.is_closed || state.waiting.saturating_add(bytes) > self.all.limits.one {
                return Err(Full);
            }
            state.waiting += bytes;
            // Inside the lock, so that no other task subtracts them before.
            self.all.waiting.add(bytes)
        };
        if all > self.all.limits.all {
            self.all.exceeded.notify_one();
        }
        Ok(())
    }

    /// Subtracts counted bytes: the TCP stream has taken them, or nobody will write them.
    pub fn taken(&self, bytes: usize) {
        let (bytes, is_drained) = {
            let mut state = self.state.lock();
            let bytes = bytes.min(state.waiting);
            state.waiting -= bytes;
            let is_drained = state.waiting < state.awaited;
            if is_drained {
                state.awaited = 0;
            }
            (bytes, is_drained)
        };
        self.all.release(bytes);
        if is_drained {
            self.drained.notify_waiters();
        }
    }

    /// Marks the connection as closed: nothing waits for it any more, and nothing can be added. Returns how
    /// to close the connection, the first time.
    pub fn close(&self) -> Option<Arc<dyn Fn() + Send + Sync>> {
        let (bytes, close) = {
            let mut state = self.state.lock();
            state.is_closed = true;
            (std::mem::take(&mut state.waiting), state.close.take())
        };
        self.all.release(bytes);
        self.drained.notify_waiters();
        close
    }

    /// Sets how the connection is closed when all connections together are over the limit.
    pub fn closes_with(&self, close: impl Fn() + Send + Sync + 'static) {
        let mut state = self.state.lock();
        if !state.is_closed {
            state.close = Some(Arc::new(close));
        }
    }

    pub fn waiting(&self) -> usize {
        self.state.lock().waiting
    }

    /// Waits until fewer than `bytes` bytes wait, or the connection is closed.
    pub async fn below(&self, bytes: usize) {
        loop {
            // Created before the check, so that it also gets a notification between the two.
            let drained = self.drained.notified();
            {
                let mut state = self.state.lock();
                if state.is_closed || state.waiting < bytes {
                    return;
                }
                state.awaited = state.awaited.max(bytes);
            }
            drained.await;
        }
    }

    /// Waits until at most half of the connection's limit waits, or the connection is closed. Only then is
    /// the client's next event handled.
    pub async fn below_half(&self) {
        self.below(self.all.limits.one / 2 + 1).await;
    }

    /// Whether more than half of the connection's limit waits.
    pub fn is_above_half(&self) -> bool {
        let state = self.state.lock();
        !state.is_closed && state.waiting > self.all.limits.one / 2
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Backlogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlogs").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.all.release(self.state.get_mut().waiting);
    }
}

/// Bytes that are counted for as long as this is kept.
pub struct Waiting {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Waiting {
    /// Counts more bytes.
    ///
    /// # Errors
    /// See [`Backlog::add`].
    pub fn new(backlog: Arc<Backlog>, bytes: usize) -> Result<Self, Full> {
        backlog.add(bytes)?;
        Ok(Self { backlog, bytes })
    }

    /// Takes over bytes that are counted already.
    pub fn counted(backlog: Arc<Backlog>, bytes: usize) -> Self {
        Self { backlog, bytes }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.backlog.taken(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_takes_no_more_than_its_limit() {
        let backlogs = Backlogs::new(Limits { one: 10, all: 100 }, Count::default());
        let backlog = backlogs.backlog();
        backlog.add(10).unwrap();
        assert_eq!(backlog.add(1), Err(Full));
        assert!(backlog.is_above_half());
        backlog.taken(6);
        assert!(!backlog.is_above_half());
        assert_eq!(backlog.add(usize::MAX), Err(Full));
        backlog.add(6).unwrap();
        assert_eq!(backlogs.waiting(), 10);
        drop(backlog);
        assert_eq!(backlogs.waiting(), 0);
    }

    #[test]
    fn over_all_the_one_with_the_most_bytes_is_closed_first() {
        let backlogs = Backlogs::new(Limits { one: 100, all: 150 }, Count::default());
        let closed: Arc<Mutex<Vec<usize>>> = Arc::default();
        let all: Vec<_> = (0..3).map(|_| backlogs.backlog()).collect();
        for (number, backlog) in all.iter().enumerate() {
            let closed = closed.clone();
            backlog.closes_with(move || closed.lock().push(number));
        }
        all[0].add(40).unwrap();
        all[1].add(70).unwrap();
        all[2].add(40).unwrap();
        all[0].add(5).unwrap();
        backlogs.0.relieve();
        assert_eq!(*closed.lock(), [1]);
        assert_eq!(backlogs.waiting(), 85);
        assert_eq!(all[1].add(1), Err(Full));
        // Its bytes were subtracted when it was closed, and are not subtracted again.
        all[1].taken(70);
        assert_eq!(backlogs.waiting(), 85);
        all[2].add(60).and_then(|()| all[0].add(50)).unwrap();
        backlogs.0.relieve();
        assert_eq!(*closed.lock(), [1, 2]);
    }

    #[tokio::test]
    async fn waiting_ends_when_enough_is_taken_or_the_connection_is_closed() {
        let backlogs = Backlogs::new(Limits { one: 100, all: 100 }, Count::default());
        for end in [|backlog: &Backlog| backlog.taken(60), |backlog: &Backlog| drop(backlog.close())] {
            let backlog = backlogs.backlog();
            backlog.add(100).unwrap();
            let (low, half) = (backlog.below(50), backlog.below_half());
            let (mut low, mut half) = (std::pin::pin!(low), std::pin::pin!(half));
            assert!(futures_util::poll!(low.as_mut()).is_pending());
            assert!(futures_util::poll!(half.as_mut()).is_pending());
            end(&backlog);
            low.await;
            half.await;
        }
    }

    #[test]
    fn closed_connections_leave_no_entries() {
        let backlogs = Backlogs::new(Limits { one: 1, all: 1 }, Count::default());
        for _ in 0..10_000 {
            drop(backlogs.backlog());
        }
        assert!(backlogs.0.known.lock().capacity() <= 1024);
    }
}
