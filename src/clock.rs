//! What time it is: the machine's, or one that a test moves.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Cheap to clone; every clone of a test clock moves together.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds that a test has moved the clock ahead.
    ahead: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self::default()
    }

    /// Runs with the machine's clock until [`Clock::advance`] moves it.
    pub fn movable() -> Self {
        Self { ahead: Some(Arc::default()) }
    }

    /// Moves a movable clock ahead; a real one stays.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(ahead) = &self.ahead {
            ahead.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
        }
    }

    /// Now, in whole milliseconds: what is stored, shown and compared has the same precision.
    pub fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
        let now = Utc::now().trunc_subsecs(3);
        match &self.ahead {
            None => now,
            Some(ahead) => now + TimeDelta::milliseconds(ahead.load(Ordering::SeqCst)),
        }
    }
}
