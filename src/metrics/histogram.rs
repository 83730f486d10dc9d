//! Histograms with fixed bounds. Nothing is kept of a single value, so they need the same memory for ever, whether
//! somebody scrapes them or not. Recording takes a lock: once for each commit or request, not for each message.

use std::{sync::OnceLock, time::Duration};

use prometheus_client::{metrics::histogram, registry::Registry};

/// The bounds of times, in seconds: from 100 µs, a commit of SQLite, to 10 s, when people have long given up.
pub(super) const TIMES: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// How many values were in which range.
#[derive(Debug)]
pub struct Histogram {
    name: &'static str,
    help: &'static str,
    /// The largest value of each bucket but the last one, which has no bound.
    bounds: &'static [f64],
    values: OnceLock<histogram::Histogram>,
}

impl Histogram {
    pub const fn of_numbers(name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self { name, help, bounds, values: OnceLock::new() }
    }

    pub const fn of_times(name: &'static str, help: &'static str) -> Self {
        Self::of_numbers(name, help, &TIMES)
    }

    pub fn record(&self, value: u64) {
        self.values().observe(value as f64);
    }

    pub fn record_time(&self, time: Duration) {
        self.values().observe(time.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(self.name, self.help, self.values().clone());
    }

    fn values(&self) -> &histogram::Histogram {
        self.values.get_or_init(|| histogram::Histogram::new(self.bounds.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::text_of;

    #[test]
    fn a_value_is_in_the_first_bucket_that_it_fits_in() {
        let sizes = Histogram::of_numbers("sizes", "Sizes", &[1.0, 10.0]);
        for value in [0, 1, 2, 10, 11, 1_000] {
            sizes.record(value);
        }
        let mut registry = Registry::default();
        sizes.register(&mut registry);
        let expected = "# HELP sizes Sizes.\n# TYPE sizes histogram\nsizes_bucket{le=\"1\"} 2\n\
            sizes_bucket{le=\"10\"} 4\nsizes_bucket{le=\"+Inf\"} 6\nsizes_sum 1024.0\nsizes_count 6\n";
        assert_eq!(text_of(&registry), expected);
    }

    #[test]
    fn times_are_shown_in_seconds() {
        let times = Histogram::of_times("times", "Times");
        times.record_time(Duration::from_millis(250));
        times.record_time(Duration::from_secs(60));
        let mut registry = Registry::default();
        times.register(&mut registry);
        let text = text_of(&registry);
        for line in [
            "times_bucket{le=\"0.0001\"} 0",
            "times_bucket{le=\"0.1\"} 0",
            "times_bucket{le=\"0.25\"} 1",
            "times_bucket{le=\"10\"} 1",
            "times_bucket{le=\"+Inf\"} 2",
            "times_sum 60.25",
            "times_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
