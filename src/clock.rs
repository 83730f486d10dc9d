//! The time: the machine's clock, or one that a test can move. It never goes back.
//!
//! Machines are set back: by NTP, when a virtual machine is resumed, by hand. Times here then go on from where
//! they were, at half the speed, until the machine's clock has caught up. So messages keep their order by time,
//! and what was issued a moment before is not in the future.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// How far the machine's clock may be set back. If it is set back further, the time before was wrong, and times
/// here go back, too.
const MOST_SET_BACK: i64 = 24 * 3_600 * SECOND;
/// From here on the log says that the clock was set back.
const NOTABLE: i64 = SECOND;

/// In nanoseconds. Times are counted in them here, because every delivery asks for the time, and arithmetic with
/// dates takes longer.
const SECOND: i64 = 1_000_000_000;

/// Cheap to clone. All clones tell the same time, and those of a test clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<ClockState>>);

#[derive(Debug, Default)]
struct ClockState {
    is_movable: bool,
    /// How far a test has moved the clock ahead, in nanoseconds.
    ahead: i64,
    /// What the clock told last, in nanoseconds since 1970, and when.
    last: Option<(i64, Instant)>,
    /// Whether the log says that the clock was set back.
    is_noted: bool,
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self::default()
    }

    /// Runs with the machine's clock, plus what [`Clock::advance`] adds.
    pub fn movable() -> Self {
        Self(Arc::new(Mutex::new(ClockState { is_movable: true, ..ClockState::default() })))
    }

    /// Moves a movable clock ahead; a negative time sets the machine's clock back, as it were. Does nothing to
    /// the real one.
    pub fn advance(&self, by: TimeDelta) {
        let mut state = self.0.lock();
        if state.is_movable {
            state.ahead += by.num_nanoseconds().unwrap_or_default();
        }
    }

    /// From now on, times are not before this one, which another process has told. Ignored if that is further
    /// ahead than a clock may be set back.
    pub fn not_before(&self, told: DateTime<Utc>) {
        self.0.lock().not_before(told);
    }

    /// The current time in whole milliseconds, so that stored, shown and compared times have the same
    /// precision.
    pub fn now(&self) -> DateTime<Utc> {
        let now = self.0.lock().now();
        DateTime::from_timestamp_millis(now.div_euclid(1_000_000)).unwrap_or_default()
    }
}

impl ClockState {
    /// The machine's clock, in nanoseconds since 1970.
    fn machine(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX).saturating_add(self.ahead)
    }

    fn not_before(&mut self, told: DateTime<Utc>) {
        let (now, told) = (self.now(), told.timestamp_nanos_opt().unwrap_or_default());
        if told > now && told - now <= MOST_SET_BACK {
            self.last = Some((told, Instant::now()));
        }
    }

    fn now(&mut self) -> i64 {
        let (machine, instant) = (self.machine(), Instant::now());
        let now = match self.last {
            Some((last, at)) if machine < last && last - machine <= MOST_SET_BACK => {
                let half = instant.duration_since(at).as_nanos() / 2;
                last.saturating_add(i64::try_from(half).unwrap_or(i64::MAX))
            }
            _ => machine,
        };
        self.last = Some((now, instant));
        let difference = now - machine;
        if difference >= NOTABLE && !self.is_noted {
            tracing::warn!(
                seconds = difference / SECOND,
                "this machine's clock is behind the times that were told before: times go on at half speed until it has caught up"
            );
        }
        self.is_noted = difference >= NOTABLE;
        now
    }
}

#[cfg(test)]
mod tests {
    use chrono::SubsecRound;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_and_catches_up() {
        let clock = Clock::movable();
        let before = clock.now();
        clock.advance(TimeDelta::seconds(-120));
        let after = clock.now();
        assert!(after >= before && after - before < TimeDelta::seconds(60), "{before} {after}");
        std::thread::sleep(std::time::Duration::from_millis(20));
        let later = clock.now();
        assert!(later > after, "{later}");
        clock.advance(TimeDelta::seconds(240));
        assert!(clock.now() - before >= TimeDelta::seconds(119));
    }

    #[test]
    fn a_clock_that_was_wrong_by_days_is_corrected() {
        let clock = Clock::movable();
        let before = clock.now();
        clock.advance(TimeDelta::days(30));
        clock.now();
        clock.advance(TimeDelta::days(-30));
        assert!(clock.now() - before < TimeDelta::days(1));
    }

    #[test]
    fn what_another_process_told_is_not_in_the_future_unless_it_is_nonsense() {
        let clock = Clock::movable();
        let told = clock.now() + TimeDelta::seconds(100);
        clock.not_before(told);
        assert!(clock.now() >= told.trunc_subsecs(3));
        clock.not_before(told + TimeDelta::days(400));
        assert!(clock.now() < told + TimeDelta::days(1));
    }
}
