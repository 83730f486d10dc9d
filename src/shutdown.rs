//! The end of the process, and the tasks that have to be waited for. Every task starts here; the
//! order in which the parts go down is [`crate::app::App`]'s.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Cheap to clone; all clones speak of the same end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    settling: CancellationToken,
    closing: CancellationToken,
    tasks: TaskTracker,
    commands: TaskTracker,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that [`Shutdown::finished`] waits for.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Starts a task that handles what a client asked for; it is let finish before anything is
    /// taken away from under it.
    pub fn spawn_command<F>(&self, command: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.commands.spawn(self.tasks.track_future(command))
    }

    /// Waits until no command runs; call it once none are started any more.
    pub async fn commands_finished(&self) {
        self.commands.close();
        self.commands.wait().await;
    }

    /// From here on nothing more is queued: the writer empties its queues and stops.
    pub fn settle(&self) {
        self.settling.cancel();
    }

    /// Waits for [`Shutdown::settle`].
    pub async fn settling(&self) {
        self.settling.cancelled().await;
    }

    /// Everything that was to be told has been queued: connections are closed, in a way that their
    /// clients come back.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Waits for [`Shutdown::close`].
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// From here on new commands are refused.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits for [`Shutdown::begin`].
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until every task has ended; no new one is counted from here on.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Tasks that have not ended.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }
}
