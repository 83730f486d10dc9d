//! Tries again what the database has not answered: after a commit whose answer was lost, and in the rounds that handle what
//! has gathered.

use std::{future::Future, time::Duration};

use tokio::sync::Notify;

use crate::{error::Result, shutdown::Shutdown};

/// The pause after the first attempt. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Repeats `attempt` until it succeeds; `None` if the server shuts down before. It is made at least once.
pub(super) async fn until_answered<T, E, F>(shutdown: &Shutdown, attempt: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(answer) = attempt().await {
            return Some(answer);
        }
        if shutdown.has_begun() {
            return None;
        }
        if shutdown.begins_within(pause).await {
            return None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The pause after a round that failed.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

/// Makes a round one tick after each time that `work` is notified, until the server shuts down. What gathers meanwhile is
/// part of the round. A round that fails is logged, and made again.
pub(super) async fn rounds<F>(
    shutdown: &Shutdown,
    work: &Notify,
    tick: Duration,
    round: impl Fn() -> F,
    failed: &str,
) where
    F: Future<Output = Result<()>>,
{
    loop {
        tokio::select! {
            () = work.notified() => {}
            () = shutdown.begun() => return,
        }
        tokio::time::sleep(tick).await;
        if let Err(err) = round().await {
            tracing::warn!(error = ?err, "{failed}");
            if shutdown.begins_within(ROUND_PAUSE).await {
                return;
            }
            work.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_asks_until_there_is_an_answer() {
        let asked = AtomicUsize::new(0);
        let attempt = || async {
            let before = asked.fetch_add(1, Ordering::Relaxed);
            if before < 9 { Err(()) } else { Ok(before) }
        };
        assert_eq!(until_answered(&Shutdown::new(), attempt).await, Some(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_handles_what_has_gathered_and_is_made_again_after_a_failure() {
        let (shutdown, work) = (Shutdown::new(), Notify::new());
        let made = AtomicUsize::new(0);
        let round = || async {
            if made.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(crate::error::Error::internal("the first one"));
            }
            shutdown.begin();
            Ok(())
        };
        work.notify_one();
        let begun = tokio::time::Instant::now();
        let tick = Duration::from_millis(50);
        rounds(&shutdown, &work, tick, round, "could not").await;
        assert_eq!((made.into_inner(), begun.elapsed()), (2, tick * 2 + ROUND_PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_when_the_server_shuts_down() {
        let shutdown = Shutdown::new();
        let asked = AtomicUsize::new(0);
        let attempt = || async {
            if asked.fetch_add(1, Ordering::Relaxed) == 2 {
                shutdown.begin();
            }
            Err::<(), ()>(())
        };
        assert_eq!(until_answered(&shutdown, attempt).await, None);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
