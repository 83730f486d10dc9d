//! The end of the process, and the tasks that have to be waited for. Every task starts here; the
//! order in which the parts go down is [`crate::app::App`]'s.

use std::{future::Future, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Cheap to clone and small to keep, as every connection does; all clones speak of the same end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
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
        self.0.tasks.spawn(task)
    }

    /// Starts a task that handles what a client asked for; it is let finish before anything is
    /// taken away from under it.
    pub fn spawn_command<F>(&self, command: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.commands.spawn(self.0.tasks.track_future(command))
    }

    /// Starts a command, or does nothing once [`Shutdown::begin`] was called. Dropping the handle abandons the
    /// answer, not the work.
    pub fn begin_command<F>(&self, command: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Counted before the question, so that draining cannot pass this command by.
        let counted = self.0.commands.token();
        if self.has_begun() {
            return None;
        }
        Some(self.spawn(async move {
            let _counted = counted;
            command.await
        }))
    }

    /// Waits until no command runs; call it once none are started any more.
    pub async fn commands_finished(&self) {
        self.0.commands.close();
        self.0.commands.wait().await;
    }

    /// From here on nothing more is queued: the writer empties its queues and stops.
    pub fn settle(&self) {
        self.0.settling.cancel();
    }

    /// Waits for [`Shutdown::settle`].
    pub async fn settling(&self) {
        self.0.settling.cancelled().await;
    }

    /// Everything that was to be told has been queued: connections are closed, in a way that their
    /// clients come back.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Waits for [`Shutdown::close`].
    pub async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    /// From here on new commands are refused.
    pub fn begin(&self) {
        self.0.begun.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.0.begun.is_cancelled()
    }

    /// Waits for [`Shutdown::begin`].
    pub async fn begun(&self) {
        self.0.begun.cancelled().await;
    }

    /// Waits until every task has ended; no new one is counted from here on.
    pub async fn finished(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Tasks that have not ended.
    pub fn running(&self) -> usize {
        self.0.tasks.len()
    }
}
