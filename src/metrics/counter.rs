//! Counters: they only grow.

use std::sync::{LazyLock, OnceLock};

use prometheus_client::{
    metrics::{counter, family::Family},
    registry::Registry,
};

/// A number of something that has happened.
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    help: &'static str,
    count: LazyLock<counter::Counter>,
}

impl Counter {
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, count: LazyLock::new(counter::Counter::default) }
    }

    pub fn one(&self) {
        self.add(1);
    }

    pub fn add(&self, more: u64) {
        self.count.inc_by(more);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(self.name, self.help, self.count.clone());
    }
}

/// A counter for each value of a label. All values are known beforehand, so that none is missing at the start, and
/// nothing that a client sends becomes one.
#[derive(Debug)]
pub struct Counters<const N: usize> {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: [&'static str; N],
    counts: OnceLock<PerValue<N>>,
}

/// The counters in the order of their values, so that counting needs no lookup in the family.
#[derive(Debug)]
struct PerValue<const N: usize> {
    family: Family<[(&'static str, &'static str); 1], counter::Counter>,
    each: [counter::Counter; N],
}

impl<const N: usize> Counters<N> {
    pub const fn new(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
    ) -> Self {
        Self { name, help, label, values, counts: OnceLock::new() }
    }

    /// Counts one more of this value. A value that is not declared is a fault of the program; it is not counted.
    pub fn one(&self, value: &str) {
        let index = self.values.iter().position(|known| *known == value);
        debug_assert!(index.is_some(), "{} has no {} {value:?}", self.name, self.label);
        if let Some(count) = index.and_then(|index| self.counts().each.get(index)) {
            count.inc();
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(self.name, self.help, self.counts().family.clone());
    }

    fn counts(&self) -> &PerValue<N> {
        self.counts.get_or_init(|| {
            let family = Family::default();
            let each = self.values.map(|value| family.get_or_create_owned(&[(self.label, value)]));
            PerValue { family, each }
        })
    }
}
