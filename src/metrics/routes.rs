//! Times of HTTP requests, by method and route. A route is a pattern (`/api/rooms/{id}`), so there are as many as the
//! server has, whatever clients ask for.

use std::{sync::LazyLock, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use super::histogram::TIMES;

/// The methods that routes have. Others are counted together: a client can send any.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const OTHER: &str = "other";

/// A histogram for each route and method.
#[derive(Debug)]
pub struct RouteTimes {
    name: &'static str,
    help: &'static str,
    times: LazyLock<Family<Labels, Histogram>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
}

impl RouteTimes {
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, times: LazyLock::new(|| Family::new_with_constructor(times as _)) }
    }

    /// From now on the route is shown, before the first request.
    pub fn declare(&self, method: &str, route: &str) {
        drop(self.times.get_or_create(&Labels::of(method, route)));
    }

    pub fn record(&self, method: &str, route: &str, time: Duration) {
        self.times.get_or_create(&Labels::of(method, route)).observe(time.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(self.name, self.help, self.times.clone());
    }
}

fn times() -> Histogram {
    Histogram::new(TIMES)
}

impl Labels {
    fn of(method: &str, route: &str) -> Self {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER);
        Self { method, route: route.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::text_of;

    #[test]
    fn a_strange_method_makes_no_label() {
        let times = RouteTimes::new("times", "Times");
        times.declare("GET", "/a/{id}");
        times.record("BREW\"", "/a/{id}", Duration::from_millis(1));
        times.record("TEA", "/a/{id}", Duration::from_millis(1));
        let mut registry = Registry::default();
        times.register(&mut registry);
        let text = text_of(&registry);
        assert!(text.contains("times_count{method=\"GET\",route=\"/a/{id}\"} 0\n"), "{text}");
        assert!(text.contains("times_count{method=\"other\",route=\"/a/{id}\"} 2\n"), "{text}");
        assert!(!text.contains("BREW") && !text.contains("TEA"), "{text}");
    }
}
