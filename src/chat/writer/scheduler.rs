//! The scheduler: which drafts are committed when.
//!
//! One commit at a time takes the drafts that have gathered while the one before was stored. So the busier
//! the server is, the more messages share a commit and its cost. While a commit is published, the next one is
//! stored. A second commit is stored at the same time only if one is not enough: if the waiting drafts fill a
//! commit, or if the newest commit takes longer than [`SECOND_COMMIT_AFTER`], because the database is far away or a room
//! is locked. A room is in one commit at a time, until it is published; this keeps its messages in order.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use entity::RoomId;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    QueuedChange, QueuedDraft,
    longest_wait::{LongestWait, WaitedSince},
    store,
};
use crate::{
    chat::Core,
    config::WriterConfig,
    db::Db,
    error::{Error, Unavailable},
    metrics,
};

/// How long a commit may take before the drafts that have gathered meanwhile are committed beside it.
const SECOND_COMMIT_AFTER: Duration = Duration::from_millis(20);

/// The most commits that are published at a time. A stored commit does not hold up the next one, unless
/// publishing falls behind.
const PUBLISHING: usize = 4;

/// The sending side of the writer's queue.
pub(in crate::chat) struct Writer {
    queue: mpsc::UnboundedSender<Job>,
    /// One permit for each draft that may wait.
    places: Arc<Semaphore>,
    most: usize,
    /// One permit for each byte of them.
    space: Arc<Semaphore>,
    most_bytes: usize,
    longest_wait: LongestWait,
    /// The scheduler and the commits.
    tasks: TaskTracker,
}

/// What a draft takes of the queue.
struct QueueShare {
    _place: OwnedSemaphorePermit,
    _space: OwnedSemaphorePermit,
}

/// What waits to be stored.
pub(in crate::chat) enum Queued {
    Draft(QueuedDraft),
    Change(QueuedChange),
}

impl Queued {
    fn room(&self) -> RoomId {
        match self {
            Self::Draft(draft) => draft.room.id,
            Self::Change(change) => change.room.id,
        }
    }

    /// About what it takes while it waits.
    fn bytes(&self) -> usize {
        match self {
            Self::Draft(draft) => draft.bytes(),
            Self::Change(change) => change.bytes(),
        }
    }

    fn refuse(self, why: Unavailable) {
        let (Self::Draft(QueuedDraft { reply, .. }) | Self::Change(QueuedChange { reply, .. })) = self;
        reply(Err(Error::Unavailable(why)));
    }
}

/// An entry of the queue.
#[expect(clippy::large_enum_variant, reason = "a wait is rare, and a box costs each message an allocation")]
enum Job {
    Store {
        queued: Queued,
        /// Released when its commit begins.
        taken: QueueShare,
    },
    /// Drops the sender when everything of this room before it is stored.
    Wait(RoomId, oneshot::Sender<()>),
}

impl Job {
    fn room(&self) -> RoomId {
        match self {
            Self::Store { queued, .. } => queued.room(),
            Self::Wait(room, _) => *room,
        }
    }
}

/// The receiving side of the queue; [`start`] it.
pub(in crate::chat) struct Scheduler {
    queue: mpsc::UnboundedReceiver<Job>,
    /// The most commits that are stored at a time.
    at_once: usize,
    /// The most drafts of a commit.
    batch: usize,
}

impl Writer {
    /// A writer, and the scheduler that stores what it queues.
    pub fn new(db: &Db, settings: &WriterConfig) -> (Self, Scheduler) {
        let (sender, queue) = mpsc::unbounded_channel();
        let WriterConfig { queue: most, queue_bytes: most_bytes, batch, .. } = *settings;
        let permits = |number: usize| Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)));
        let (places, space) = (permits(most), permits(most_bytes));
        // SQLite writes through one connection; more commits would only wait for each other.
        let at_once = if db.is_sqlite() { 1 } else { 4 };
        let (longest_wait, tasks) = (LongestWait::new(), TaskTracker::new());
        let writer = Self { queue: sender, places, most, space, most_bytes, longest_wait, tasks };
        (writer, Scheduler { queue, at_once, batch })
    }

    /// Takes a place and space for a draft or a change; `None` if the queue is full. One alone always fits.
    fn take(&self, bytes: usize) -> Option<QueueShare> {
        let bytes = bytes.min(self.most_bytes).try_into().unwrap_or(u32::MAX);
        Some(QueueShare {
            _place: self.places.clone().try_acquire_owned().ok()?,
            _space: self.space.clone().try_acquire_many_owned(bytes).ok()?,
        })
    }

    /// Waits until everything is stored and published. Call it after [`crate::shutdown::Shutdown::settle`].
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Queues a draft or a change. If the queue is full, answers it at once with `unavailable`.
    pub fn queue(&self, queued: Queued) {
        let Some(taken) = self.take(queued.bytes()) else {
            return queued.refuse(Unavailable::WriterFull);
        };
        self.longest_wait.note();
        if let Err(mpsc::error::SendError(Job::Store { queued, .. })) =
            self.queue.send(Job::Store { queued, taken })
        {
            queued.refuse(Unavailable::Draining);
        }
    }

    /// Waits until all drafts that are queued for a room now are stored or refused: a user who writes to a
    /// group and then leaves it expects this order.
    pub async fn caught_up(&self, room: RoomId) {
        let (is_storing, stored) = oneshot::channel();
        // If it cannot be queued, the writer has stopped, and then no draft waits.
        if self.queue.send(Job::Wait(room, is_storing)).is_ok() {
            drop(stored.await);
        }
    }

    /// The number of waiting drafts.
    pub fn waiting(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }
}

/// A commit under way.
struct Commit {
    number: u64,
    rooms: BTreeSet<RoomId>,
    begun: Instant,
    /// Only publishing is left.
    is_stored: bool,
}

/// Stores and publishes, in a task of its own, until the server shuts down. Drafts that were queued before that
/// are still stored.
pub(in crate::chat) fn start(core: &Arc<Core>, scheduler: Scheduler) {
    core.shutdown.spawn(core.writer.tasks.track_future(run(core.clone(), scheduler)));
}

async fn run(core: Arc<Core>, scheduler: Scheduler) {
    let Scheduler { mut queue, at_once, batch } = scheduler;
    let mut waiting = VecDeque::new();
    let mut commits: Vec<Commit> = Vec::with_capacity(at_once);
    let mut storing = FuturesUnordered::new();
    let mut ends = FuturesUnordered::new();
    let mut number = 0;
    let (mut closing, mut ended) = (false, false);
    // Whether all waiting drafts are of rooms that are in a commit.
    let mut blocked = false;
    loop {
        while let Ok(job) = queue.try_recv() {
            blocked &= is_in_one(&commits, job.room());
            waiting.push_back(job);
        }
        let being_stored = || commits.iter().filter(|commit| !commit.is_stored);
        let newest = being_stored().map(|commit| commit.begun).max();
        let patient = newest.is_some_and(|begun| begun.elapsed() < SECOND_COMMIT_AFTER);
        let storing_now = being_stored().count();
        let free = storing_now < at_once && commits.len() - storing_now < PUBLISHING;
        if free && !blocked && (!patient || waiting.len() >= batch) {
            let jobs = next(&mut waiting, &commits, batch);
            if !jobs.is_empty() {
                let rooms = jobs.iter().map(Job::room).collect();
                number += 1;
                commits.push(Commit { number, rooms, begun: Instant::now(), is_stored: false });
                let (is_storing, stored) = oneshot::channel();
                storing.push(async move {
                    // The sender is dropped when the commit is stored, and also if it fails.
                    drop(stored.await);
                    number
                });
                let waited = core.writer.longest_wait.take(!waiting.is_empty());
                let carried_out = carry_out(core.clone(), jobs, waited, is_storing);
                let carried_out = core.writer.tasks.track_future(carried_out);
                let task = core.shutdown.spawn(carried_out);
                ends.push(async move { (number, task.await) });
                continue;
            }
            blocked = !waiting.is_empty();
        }
        if ended && commits.is_empty() {
            return;
        }
        // While a commit is stored, the task does not wake for each new draft: they gather.
        let listens = free && !patient && !ended;
        tokio::select! {
            biased;
            Some((number, end)) = ends.next() => {
                if let Err(err) = end {
                    tracing::error!(error = %err, "a commit ended half-way");
                }
                commits.retain(|commit| commit.number != number);
                blocked = false;
            }
            Some(number) = storing.next() => {
                for commit in commits.iter_mut().filter(|commit| commit.number == number) {
                    commit.is_stored = true;
                }
            }
            job = queue.recv(), if listens => match job {
                Some(job) => {
                    blocked &= is_in_one(&commits, job.room());
                    waiting.push_back(job);
                }
                None => ended = true,
            },
            () = tokio::time::sleep_until(newest.map_or_else(Instant::now, |begun| begun + SECOND_COMMIT_AFTER)),
                if free && patient => {}
            () = core.shutdown.settling(), if !closing => {
                closing = true;
                queue.close();
            }
        }
    }
}

fn is_in_one(commits: &[Commit], room: RoomId) -> bool {
    commits.iter().any(|commit| commit.rooms.contains(&room))
}

/// Takes the drafts of the next commit: in their order, at most `batch`, and none of a room that is in a
/// commit already.
fn next(waiting: &mut VecDeque<Job>, commits: &[Commit], batch: usize) -> Vec<Job> {
    if commits.is_empty() {
        return waiting.drain(..waiting.len().min(batch)).collect();
    }
    let mut taken = Vec::new();
    let mut left = VecDeque::with_capacity(waiting.len());
    for job in waiting.drain(..) {
        let room = job.room();
        if taken.len() < batch && !is_in_one(commits, room) {
            taken.push(job);
        } else {
            left.push_back(job);
        }
    }
    *waiting = left;
    taken
}

async fn carry_out(core: Arc<Core>, jobs: Vec<Job>, waited: WaitedSince, storing: oneshot::Sender<()>) {
    let mut drafts = Vec::with_capacity(jobs.len());
    let mut changes = Vec::new();
    let mut waiting = Vec::new();
    for job in jobs {
        match job {
            Job::Store { queued, taken } => {
                drop(taken);
                match queued {
                    Queued::Draft(draft) => drafts.push(draft),
                    Queued::Change(change) => changes.push(change),
                }
            }
            Job::Wait(_, is_storing) => waiting.push(is_storing),
        }
    }
    // Everything is stored when the changes are, too.
    let (storing, last) =
        if changes.is_empty() { (storing, None) } else { (oneshot::channel().0, Some(storing)) };
    let mut reached = 0;
    if !drafts.is_empty() {
        metrics::COMMIT_MESSAGES.record(drafts.len() as u64);
        reached = store(&core, drafts, storing).await;
    }
    if !changes.is_empty() {
        // Boxed, because most commits have none: the future of each commit would have space for this, and be copied.
        Box::pin(super::changes::carry_out(&core, changes)).await;
    }
    waited.record();
    drop(last);
    step_back(reached).await;
    // Whoever waits for these drafts goes on.
    drop(waiting);
}

/// Yields, so that the sockets that were written to send before more is stored. Otherwise their messages
/// would leave no earlier; and new drafts that arrive meanwhile, above all the senders' next ones, share one
/// commit and one write.
async fn step_back(reached: usize) {
    // About the number of tasks that a worker runs before it looks at yielded tasks.
    const TURN: usize = 64;
    for _ in 0..reached.div_ceil(TURN) {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(rooms: &[RoomId]) -> VecDeque<Job> {
        rooms.iter().map(|room| Job::Wait(*room, oneshot::channel().0)).collect()
    }

    fn rooms<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<RoomId> {
        jobs.into_iter().map(Job::room).collect()
    }

    #[test]
    fn a_commit_takes_what_came_first_and_nothing_of_a_room_that_is_in_another() {
        let [a, b, c] = [RoomId::new(), RoomId::new(), RoomId::new()];
        let mut waiting = jobs(&[a, b, a, c, b]);
        assert_eq!(rooms(&next(&mut waiting, &[], 3)), [a, b, a]);
        assert_eq!(rooms(&waiting), [c, b]);

        let mut waiting = jobs(&[a, b, a, c, b]);
        let commit =
            Commit { number: 1, rooms: BTreeSet::from([a]), begun: Instant::now(), is_stored: false };
        assert_eq!(rooms(&next(&mut waiting, &[commit], 2)), [b, c]);
        assert_eq!(rooms(&waiting), [a, a, b], "each room in its order");
    }
}
