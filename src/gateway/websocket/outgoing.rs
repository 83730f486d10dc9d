//! The queue of texts to be written to one websocket, and how the websocket is to end. A sender never waits.
//! `pump` decides when a text is written.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::close::Goodbye;
use crate::{backlog::Backlog, chat::connections::connection::Lagging, gateway::tcp::TcpHandle};

/// A queue that has grown beyond this size frees its memory when it is empty.
const KEPT: usize = 32;

/// See the module. It holds at most `most` texts, and as many bytes as its backlog allows. Further texts are
/// refused as [`Lagging`]. The core then disconnects the client, which reconnects and catches up.
pub struct Outgoing {
    most: usize,
    tcp: Option<TcpHandle>,
    backlog: Arc<Backlog>,
    ping_interval: Duration,
    state: Mutex<OutgoingState>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct OutgoingState {
    waiting: VecDeque<Utf8Bytes>,
    end: Option<Ending>,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Write the waiting texts, then the close frame.
    With(Goodbye),
    /// Close at once.
    Abort,
}

impl Outgoing {
    /// For the websocket on `tcp`. Without a `tcp`, only the websocket's task can end it.
    pub fn new(most: usize, tcp: Option<TcpHandle>, backlog: Arc<Backlog>, ping_interval: Duration) -> Self {
        Self { most, tcp, backlog, ping_interval, state: Mutex::default(), waker: AtomicWaker::new() }
    }

    /// See [`crate::chat::connections::connection::Outlet::silence`].
    pub fn silence(&self) -> Option<Duration> {
        let silence = self.tcp.as_ref()?.read_at().map_or(Duration::MAX, |at| at.elapsed());
        (silence > self.ping_interval).then_some(silence)
    }

    /// The bytes of pushed texts that the TCP connection has not taken.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Adds a text at the end of the queue. After [`Outgoing::end`], the text is discarded, which is not an
    /// error.
    ///
    /// # Errors
    /// [`Lagging`] if the queue is full or [`Outgoing::abort`] was called.
    pub fn push(&self, text: Utf8Bytes) -> Result<(), Lagging> {
        let bytes = text.len();
        let counted = self.backlog.add(bytes).is_ok();
        let pushed = self.push_counted(text, counted);
        if counted && pushed != Ok(true) {
            self.backlog.taken(bytes);
        }
        pushed.map(drop)
    }

    /// Returns whether the text will be written.
    fn push_counted(&self, text: Utf8Bytes, fits: bool) -> Result<bool, Lagging> {
        let was_empty = {
            let mut state = self.state.lock();
            match state.end {
                Some(Ending::With(_)) => return Ok(false),
                Some(Ending::Abort) => return Err(Lagging),
                None if !fits || state.waiting.len() >= self.most => return Err(Lagging),
                None => {}
            }
            state.waiting.push_back(text);
            state.waiting.len() == 1
        };
        if was_empty {
            self.waker.wake();
        }
        Ok(true)
    }

    /// Writes the waiting texts, then closes the connection with this reason. Only the first call has an
    /// effect.
    pub fn end(&self, goodbye: Goodbye) {
        self.state.lock().end.get_or_insert(Ending::With(goodbye));
        self.waker.wake();
    }

    /// Closes the TCP connection at once. A connection that is already closing continues: its time is
    /// limited, too.
    pub fn abort(&self) {
        {
            let mut state = self.state.lock();
            if state.end.is_some() {
                return;
            }
            state.end = Some(Ending::Abort);
            state.waiting = VecDeque::new();
        }
        drop(self.backlog.close());
        if let Some(tcp) = &self.tcp {
            tcp.abort();
        }
        self.waker.wake();
    }

    /// The connection is gone. Frees everything that was kept for it.
    pub(super) fn gone(&self) {
        drop(self.backlog.close());
        let mut state = self.state.lock();
        state.end = Some(Ending::Abort);
        state.waiting = VecDeque::new();
    }

    /// Registers the task to be woken when there is something to do. Call it before checking.
    pub(super) fn register(&self, context: &Context<'_>) {
        let waker: &Waker = context.waker();
        self.waker.register(waker);
    }

    pub(super) fn ordered_end(&self) -> Option<Ending> {
        self.state.lock().end
    }

    /// The next text to be written.
    pub(super) fn next(&self) -> Option<Utf8Bytes> {
        let mut state = self.state.lock();
        let next = state.waiting.pop_front();
        if state.waiting.is_empty() && state.waiting.capacity() > KEPT {
            state.waiting = VecDeque::new();
        }
        next
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.state.lock().waiting.len();
        f.debug_struct("Outgoing").field("waiting", &waiting).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backlog::{Backlogs, Limits},
        counts::Count,
    };

    fn outgoing(most: usize) -> Outgoing {
        let backlogs = Backlogs::new(Limits { one: 100_000, all: 100_000 }, Count::default());
        Outgoing::new(most, None, backlogs.backlog(), Duration::from_secs(25))
    }

    #[test]
    fn one_text_too_many_is_refused_and_the_others_keep_their_order() {
        let outgoing = outgoing(3);
        for text in ["1", "2", "3"] {
            outgoing.push(text.into()).unwrap();
        }
        assert!(outgoing.push("4".into()).is_err());
        let written: Vec<_> = std::iter::from_fn(|| outgoing.next()).collect();
        assert_eq!(written, ["1", "2", "3"]);
        assert!(outgoing.push("5".into()).is_ok());
    }

    #[test]
    fn what_comes_after_the_goodbye_is_not_heard_and_no_reason_to_cut() {
        let outgoing = outgoing(3);
        outgoing.push("the last word".into()).unwrap();
        outgoing.end(Goodbye::LoginOver);
        assert!(outgoing.push("too late".into()).is_ok());
        outgoing.abort();
        outgoing.end(Goodbye::ShuttingDown);
        assert_eq!(outgoing.ordered_end(), Some(Ending::With(Goodbye::LoginOver)));
        assert_eq!(outgoing.next().unwrap(), "the last word");
        assert_eq!(outgoing.next(), None);
    }

    #[test]
    fn what_was_cut_takes_nothing_more() {
        let outgoing = outgoing(3);
        outgoing.push("never written".into()).unwrap();
        outgoing.abort();
        assert_eq!(outgoing.next(), None);
        assert!(outgoing.push("4".into()).is_err());
    }

    #[test]
    fn a_burst_leaves_no_memory_behind() {
        let outgoing = outgoing(10_000);
        for _ in 0..1_000 {
            outgoing.push("x".into()).unwrap();
        }
        while outgoing.next().is_some() {}
        assert!(outgoing.state.lock().waiting.capacity() <= KEPT);
    }
}
