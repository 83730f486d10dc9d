//! The time: the machine's clock, or one that a test can move.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Cheap to clone. All clones of a test clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// How far a test has moved the clock ahead, in milliseconds.
    ahead: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self::default()
    }

    /// Runs with the machine's clock, plus what [`Clock::advance`] adds.
    pub fn movable() -> Self {
        Self { ahead: Some(Arc::default()) }
    }

    /// Moves a movable clock ahead. Does nothing to the real one.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(ahead) = &self.ahead {
            ahead.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
        }
    }

    /// The current time in whole milliseconds, so that stored, shown and compared times have the same
    /// precision.
    pub fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
        let now = Utc::now().trunc_subsecs(3);
        match &self.ahead {
            None => now,
            Some(ahead) => now + TimeDelta::milliseconds(ahead.load(Ordering::SeqCst)),
        }
    }
}
