//! Asks the database again after a commit whose answer was lost, until it answers.

use std::{future::Future, time::Duration};

use crate::shutdown::Shutdown;

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
