//! Counters by a fixed set of reasons, and the way in for rooms that keep cumulative counts of their own.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{family::Family, names::Metric, value::Counter};

/// A counter family with one label whose values are names in the code: bounded by the code itself.
#[derive(Clone)]
pub struct ReasonCounters {
    family: Family<Counter>,
    counters: Arc<Mutex<BTreeMap<&'static str, Counter>>>,
}

impl ReasonCounters {
    pub(super) fn new(row: &'static Metric) -> Self {
        Self {
            family: Family::new(row, &[], Counter::default),
            counters: Arc::default(),
        }
    }

    pub(super) fn family(&self) -> Family<Counter> {
        self.family.clone()
    }

    /// Adds `n` to the count of `reason`; with 0 the series is there from then on.
    pub fn inc_by(&self, reason: &'static str, n: u64) {
        let mut counters = self.lock();
        let counter = counters
            .entry(reason)
            .or_insert_with(|| self.family.with(&[Some(reason)]));
        counter.inc_by(n);
    }

    /// Adds one to the count of `reason`.
    pub fn inc(&self, reason: &'static str) {
        self.inc_by(reason, 1);
    }

    /// What was counted in this run, by reason.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.lock().iter().map(|(k, v)| (*k, v.get())).collect()
    }

    /// The way in for one owner of cumulative counts; each owner takes its own.
    pub fn publisher(&self) -> Publisher {
        Publisher {
            counters: self.clone(),
            last: BTreeMap::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Counter>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ReasonCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.counts()).finish()
    }
}

/// Takes one owner's cumulative totals and adds what is new to the shared counters.
///
/// The core keeps plain totals and knows of no metrics; whoever drives it publishes them now and then.
#[derive(Debug)]
pub struct Publisher {
    counters: ReasonCounters,
    last: BTreeMap<&'static str, u64>,
}

impl Publisher {
    /// Publishes totals. One that fell since the last time began anew: all of it is added.
    pub fn publish(&mut self, totals: &[(&'static str, u64)]) {
        for &(reason, total) in totals {
            let last = self.last.insert(reason, total).unwrap_or(0);
            self.counters
                .inc_by(reason, total.checked_sub(last).unwrap_or(total));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_several_owners_add_up() {
        let counters = ReasonCounters::new(&crate::metrics::names::TCP_EVENTS);
        let (mut one, mut two) = (counters.publisher(), counters.publisher());
        one.publish(&[("gap", 3), ("overlap", 0)]);
        two.publish(&[("gap", 2)]);
        one.publish(&[("gap", 4)]);
        assert_eq!(counters.counts(), [("gap", 6), ("overlap", 0)]);
    }

    #[test]
    fn a_total_that_fell_began_anew() {
        let counters = ReasonCounters::new(&crate::metrics::names::TCP_EVENTS);
        let mut publisher = counters.publisher();
        publisher.publish(&[("gap", 10)]);
        publisher.publish(&[("gap", 4)]);
        assert_eq!(counters.counts(), [("gap", 14)]);
    }
}
