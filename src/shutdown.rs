//! The shutdown of the process, and the tasks that it waits for. Every task is started here.
//! [`crate::app::App`] knows the order in which the parts shut down.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Cheap to clone, and small, because every connection keeps one. All clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Stages>);

#[derive(Debug, Default)]
struct Stages {
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

    /// Starts a task that handles a client's request. It may finish before the parts that it uses shut down.
    pub fn spawn_command<F>(&self, command: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.commands.spawn(self.0.tasks.track_future(command))
    }

    /// Starts a command, or does nothing once [`Shutdown::begin`] was called. Dropping the handle discards
    /// the result; the work continues.
    pub fn begin_command<F>(&self, command: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Counted before the check, so that draining cannot miss this command.
        let counted = self.0.commands.token();
        if self.has_begun() {
            return None;
        }
        Some(self.spawn(async move {
            let _counted = counted;
            command.await
        }))
    }

    /// Waits until no command runs. Call it once no new commands are started.
    pub async fn commands_finished(&self) {
        self.0.commands.close();
        self.0.commands.wait().await;
    }

    /// From now on nothing more is queued: the writer empties its queues and stops.
    pub fn settle(&self) {
        self.0.settling.cancel();
    }

    /// Waits for [`Shutdown::settle`].
    pub async fn settling(&self) {
        self.0.settling.cancelled().await;
    }

    /// All notifications are queued: connections are now closed in a way that makes their clients reconnect.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Waits for [`Shutdown::close`].
    pub async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    /// From now on new commands are refused.
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

    /// Waits for this time, but not beyond [`Shutdown::begin`]. Returns whether that was called.
    pub async fn begins_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.begun()).await.is_ok()
    }

    /// Waits until every task has ended. Tasks started from now on are not counted.
    pub async fn finished(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// The number of commands that have begun and not ended.
    pub fn commands(&self) -> usize {
        self.0.commands.len()
    }

    /// The number of tasks that have not ended.
    pub fn running(&self) -> usize {
        self.0.tasks.len()
    }
}
