//! Coalesces queries: while one statement runs, further questions are queued, and the next statement answers
//! all of them. A question alone is asked at once; there is no timer.
//!
//! When a thousand clients reconnect, each of them asks the database the same kind of question. Most of the
//! cost is the round trip, and coalesced questions share it. This module does not know what is asked.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    error::{Error, Result, Unavailable},
    shutdown::Shutdown,
};

/// Maximum number of questions that one statement answers. The others wait for the next statement.
const MOST: usize = 64;

type Answers<A> = BoxFuture<'static, Result<Vec<A>>>;

/// See the module. Cheap to clone.
pub struct Coalescer<Q, A>(Arc<CoalescerState<Q, A>>);

struct CoalescerState<Q, A> {
    shutdown: Shutdown,
    /// Maximum time for one statement. After it the waiting callers get an error, and the next statement
    /// starts.
    deadline: Duration,
    /// Answers the questions: one answer for each, in the same order.
    answer: Box<dyn Fn(Vec<Q>) -> Answers<A> + Send + Sync>,
    queue: Mutex<QuestionQueue<Q, A>>,
}

type PendingQuestion<Q, A> = (Q, oneshot::Sender<Result<A>>);

struct QuestionQueue<Q, A> {
    waiting: VecDeque<PendingQuestion<Q, A>>,
    /// Whether a task is running. The task also answers the questions that arrive in the meantime.
    busy: bool,
}

impl<Q, A> Clone for Coalescer<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q: Send + 'static, A: Send + 'static> Coalescer<Q, A> {
    pub fn new(
        shutdown: Shutdown,
        deadline: Duration,
        answer: impl Fn(Vec<Q>) -> Answers<A> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(CoalescerState {
            shutdown,
            deadline,
            answer: Box::new(answer),
            queue: Mutex::default(),
        }))
    }

    /// Returns the answer as the database had it at some moment after this call.
    ///
    /// # Errors
    /// An error of the statement, for all callers whose question it answered. `unavailable` if the statement
    /// took longer than the deadline.
    pub async fn ask(&self, question: Q) -> Result<A> {
        let (sender, answer) = oneshot::channel();
        let begins = {
            let mut queue = self.0.queue.lock();
            queue.waiting.push_back((question, sender));
            !std::mem::replace(&mut queue.busy, true)
        };
        if begins {
            let work = Work { inner: self.0.clone(), done: false };
            self.0.shutdown.spawn(work.run());
        }
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable(Unavailable::Database)))
    }
}

/// The task that answers the queued questions.
struct Work<Q, A> {
    inner: Arc<CoalescerState<Q, A>>,
    done: bool,
}

impl<Q, A> Work<Q, A> {
    async fn run(mut self) {
        while !self.done {
            // Lets other tasks queue their questions first.
            tokio::task::yield_now().await;
            let (questions, senders): (Vec<Q>, Vec<_>) = self.inner.queue.lock().take().into_iter().unzip();
            if !questions.is_empty() {
                let answers = tokio::time::timeout(self.inner.deadline, (self.inner.answer)(questions)).await;
                hand_out(answers.unwrap_or(Err(Error::Unavailable(Unavailable::Database))), senders);
            }
            let mut queue = self.inner.queue.lock();
            self.done = queue.waiting.is_empty();
            queue.busy = !self.done;
        }
    }
}

impl<Q, A> Drop for Work<Q, A> {
    fn drop(&mut self) {
        // The task stopped early: the waiting callers get an error, and the next question starts a new task.
        if !self.done {
            *self.inner.queue.lock() = QuestionQueue::default();
        }
    }
}

impl<Q, A> QuestionQueue<Q, A> {
    fn take(&mut self) -> Vec<PendingQuestion<Q, A>> {
        let most = self.waiting.len().min(MOST);
        self.waiting.drain(..most).collect()
    }
}

impl<Q, A> Default for QuestionQueue<Q, A> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), busy: false }
    }
}

fn hand_out<A>(answers: Result<Vec<A>>, senders: Vec<oneshot::Sender<Result<A>>>) {
    match answers {
        Ok(answers) => {
            for (sender, answer) in senders.into_iter().zip(answers) {
                // The caller may have stopped waiting.
                drop(sender.send(Ok(answer)));
            }
        }
        Err(err) => {
            for sender in senders {
                drop(sender.send(Err(same(&err))));
            }
        }
    }
}

/// A copy of the error for a further caller.
fn same(err: &Error) -> Error {
    match err {
        Error::Unavailable(busy) => Error::Unavailable(*busy),
        Error::Internal(cause) => Error::internal(format_args!("{cause:#}")),
        other => Error::internal(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Doubles numbers, and counts the statements.
    fn doubling(asked: Arc<AtomicUsize>) -> Coalescer<u32, u32> {
        Coalescer::new(Shutdown::new(), Duration::from_secs(60), move |numbers: Vec<u32>| {
            let asked = asked.clone();
            Box::pin(async move {
                asked.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                if numbers.contains(&13) {
                    return Err(Error::Unavailable(Unavailable::Database));
                }
                assert!(!numbers.contains(&666), "a bug");
                Ok(numbers.into_iter().map(|number| number * 2).collect())
            })
        })
    }

    #[tokio::test]
    async fn everyone_gets_their_own_answer_and_few_statements_are_made() {
        let asked = Arc::new(AtomicUsize::new(0));
        let together = doubling(asked.clone());
        let all = (1_000..1_200).map(|number| together.ask(number));
        let answers = futures_util::future::join_all(all).await;
        for (number, answer) in (1_000..).zip(answers) {
            assert_eq!(answer.unwrap(), number * 2);
        }
        let statements = asked.load(Ordering::SeqCst);
        assert!((4..=20).contains(&statements), "64 at a time, and as they come: {statements}");
        assert_eq!(together.ask(21).await.unwrap(), 42);
        assert_eq!(asked.load(Ordering::SeqCst), statements + 1);
    }

    #[tokio::test]
    async fn a_failure_is_everyones_and_the_next_question_is_answered() {
        let together = doubling(Arc::default());
        let (one, other) = tokio::join!(together.ask(1), together.ask(13));
        assert!(matches!(one, Err(Error::Unavailable(Unavailable::Database))));
        assert!(matches!(other, Err(Error::Unavailable(Unavailable::Database))));
        assert_eq!(together.ask(1).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_statement_that_hangs_is_given_up_and_the_next_question_is_answered() {
        let hangs_on_odd = |numbers: Vec<u32>| -> Answers<u32> {
            Box::pin(async move {
                if numbers.iter().any(|number| number % 2 == 1) {
                    std::future::pending::<()>().await;
                }
                Ok(numbers)
            })
        };
        let together = Coalescer::new(Shutdown::new(), Duration::from_millis(20), hangs_on_odd);
        let (one, other) = tokio::join!(together.ask(1), together.ask(2));
        assert!(matches!(one, Err(Error::Unavailable(Unavailable::Database))));
        assert!(matches!(other, Err(Error::Unavailable(Unavailable::Database))));
        assert_eq!(together.ask(2).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_bug_in_one_answer_does_not_stop_the_next() {
        let together = doubling(Arc::default());
        together.ask(666).await.unwrap_err();
        assert_eq!(together.ask(1).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_nobody_along() {
        let together = doubling(Arc::default());
        let first = tokio::time::timeout(Duration::from_millis(1), together.ask(1));
        let (first, second) = tokio::join!(first, together.ask(2));
        assert!(first.is_err());
        assert_eq!(second.unwrap(), 4);
        assert_eq!(together.ask(3).await.unwrap(), 6);
    }
}
