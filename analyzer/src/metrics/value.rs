//! What a time series holds: a counter, a gauge or a histogram.
//!
//! All are handles: clones share the figure. A counter tells what it counted in this run
//! ([`Counter::get`]) from what it goes on from ([`super::kept`]); a scrape shows the sum.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use super::names::Kind;
use crate::{call::CallKey, time::Timestamp};

/// A count that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<[AtomicU64; 2]>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds `n`.
    pub fn inc_by(&self, n: u64) {
        self.0[0].fetch_add(n, Ordering::Relaxed);
    }

    /// What was counted in this run.
    pub fn get(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    fn total(&self) -> u64 {
        self.get().saturating_add(self.0[1].load(Ordering::Relaxed))
    }
}

/// A sum of fractions that only grows, such as seconds.
#[derive(Clone, Debug, Default)]
pub struct Sum(Arc<AtomicU64>);

impl Sum {
    /// Adds an amount; one below zero, or none at all, adds nothing.
    pub fn add(&self, amount: f64) {
        if amount > 0.0 {
            let add = |bits| Some((f64::from_bits(bits) + amount).to_bits());
            let _ = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    fn total(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A figure of the moment.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one off.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The figure now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of values by bucket.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: Arc<[f64]>,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct State {
    /// One for each bound, and one past the last.
    counts: Box<[u64]>,
    sum: f64,
    /// The latest of each bucket; empty until there is one.
    exemplars: Vec<Option<Exemplar>>,
}

impl Histogram {
    /// Without values; the bounds rise.
    pub fn new(bounds: impl IntoIterator<Item = f64>) -> Self {
        let bounds: Arc<[f64]> = bounds.into_iter().collect();
        debug_assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        let state = State {
            counts: vec![0; bounds.len() + 1].into(),
            sum: 0.0,
            exemplars: Vec::new(),
        };
        Self {
            bounds,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Takes a value.
    pub fn observe(&self, value: f64) {
        self.take(value, None);
    }

    /// Takes a value that somebody may want to look into.
    pub fn observe_call(&self, value: f64, call: Exemplar) {
        self.take(value, Some(call));
    }

    fn take(&self, value: f64, exemplar: Option<Exemplar>) {
        if !value.is_finite() {
            return;
        }
        // A bucket holds what is at most its bound.
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let mut state = self.lock();
        if let Some(count) = state.counts.get_mut(bucket) {
            *count += 1;
        }
        state.sum += value;
        if exemplar.is_some() {
            if state.exemplars.is_empty() {
                state.exemplars = vec![None; self.bounds.len() + 1];
            }
            if let Some(place) = state.exemplars.get_mut(bucket) {
                *place = exemplar.map(|exemplar| Exemplar { value, ..exemplar });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that a bucket's count stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The value; set by the histogram that takes it.
    pub value: f64,
    /// The call's row.
    pub call_key: CallKey,
    /// The trace that the call belongs to.
    pub trace_id: Option<u128>,
    /// When the call ended.
    pub time: Option<Timestamp>,
}

impl Exemplar {
    /// For a call; a trace id that is not 32 hexadecimal digits, or all zeros (W3C Trace Context §3.2.2.3), is none.
    pub fn new(call_key: CallKey, trace_id: Option<&str>, time: Option<Timestamp>) -> Self {
        let hex = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let trace_id = trace_id
            .filter(hex)
            .and_then(|id| u128::from_str_radix(id, 16).ok());
        Self {
            value: 0.0,
            call_key,
            trace_id: trace_id.filter(|id| *id != 0),
            time,
        }
    }
}

/// What a series showed at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// Of a counter.
    Counter(f64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram(HistogramSample),
}

/// What a histogram showed at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// The upper bounds of the buckets, each included in its own; the last bucket, without a bound, is left out.
    pub bounds: Arc<[f64]>,
    /// Values in each bucket, and in the one past the last bound. Not cumulative.
    pub counts: Box<[u64]>,
    /// The sum of the values.
    pub sum: f64,
    /// The latest call of each bucket; empty where there is none.
    pub exemplars: Vec<Option<Exemplar>>,
}

impl HistogramSample {
    /// All values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A figure that a registry can hold.
pub(super) trait Instrument: Clone + Send + Sync + 'static {
    const KIND: Kind;

    /// What it shows.
    fn sample(&self) -> Sample;

    /// Goes on from an earlier run's sample; `false` where that does not fit.
    fn go_on(&self, from: &Sample) -> bool;
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;

    fn sample(&self) -> Sample {
        Sample::Counter(self.total() as f64)
    }

    fn go_on(&self, from: &Sample) -> bool {
        let Sample::Counter(total) = from else {
            return false;
        };
        self.0[1].store(*total as u64, Ordering::Relaxed);
        true
    }
}

impl Instrument for Sum {
    const KIND: Kind = Kind::Counter;

    fn sample(&self) -> Sample {
        Sample::Counter(self.total())
    }

    fn go_on(&self, from: &Sample) -> bool {
        let Sample::Counter(total) = from else {
            return false;
        };
        self.add(*total);
        true
    }
}

impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn sample(&self) -> Sample {
        Sample::Gauge(self.get() as f64)
    }

    /// What was so is no longer.
    fn go_on(&self, _: &Sample) -> bool {
        false
    }
}

impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn sample(&self) -> Sample {
        let state = self.lock().clone();
        Sample::Histogram(HistogramSample {
            bounds: Arc::clone(&self.bounds),
            counts: state.counts,
            sum: state.sum,
            exemplars: state.exemplars,
        })
    }

    fn go_on(&self, from: &Sample) -> bool {
        let Sample::Histogram(from) = from else {
            return false;
        };
        if from.bounds != self.bounds || from.counts.len() != self.bounds.len() + 1 {
            return false;
        }
        let mut state = self.lock();
        for (count, kept) in state.counts.iter_mut().zip(&from.counts) {
            *count = count.saturating_add(*kept);
        }
        state.sum += from.sum;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_in_its_bucket() {
        let histogram = Histogram::new([1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 9.0, f64::NAN, f64::INFINITY] {
            histogram.observe(value);
        }
        let Sample::Histogram(sample) = histogram.sample() else {
            panic!("no histogram");
        };
        assert_eq!(*sample.counts, [2, 2, 1]);
        assert!((sample.sum - 14.0).abs() < 1e-9);
    }

    #[test]
    fn each_bucket_keeps_its_latest_call() {
        let histogram = Histogram::new([1.0]);
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for (value, number) in [(0.1, 1), (0.2, 2), (5.0, 3)] {
            let exemplar = Exemplar::new(CallKey([number; 16]), Some(trace), None);
            histogram.observe_call(value, exemplar);
        }
        let Sample::Histogram(sample) = histogram.sample() else {
            panic!("no histogram");
        };
        let keys: Vec<_> = sample.exemplars.iter().flatten().collect();
        assert_eq!(keys[0].call_key, CallKey([2; 16]));
        assert!((keys[1].value - 5.0).abs() < 1e-9);
        assert_eq!(format!("{:032x}", keys[0].trace_id.unwrap()), trace);
    }

    #[test]
    fn what_is_no_trace_id_is_none() {
        let key = CallKey([1; 16]);
        for wrong in [
            "",
            "0af7651916cd43dd8448eb211c80319",
            "00000000000000000000000000000000",
            "+af7651916cd43dd8448eb211c80319c",
            "0af7651916cd43dd8448eb211c80319\u{e9}",
            "0af7651916cd43dd8448eb211c80319c00",
        ] {
            assert_eq!(Exemplar::new(key, Some(wrong), None).trace_id, None);
        }
    }

    #[test]
    fn a_counter_goes_on_and_still_knows_this_run() {
        let counter = Counter::default();
        counter.inc_by(2);
        assert!(counter.go_on(&Sample::Counter(40.0)));
        assert_eq!(counter.get(), 2);
        assert_eq!(counter.sample(), Sample::Counter(42.0));
        let (sum, gauge) = (Sum::default(), Gauge::default());
        sum.add(0.5);
        sum.add(-1.0);
        sum.add(f64::NAN);
        assert!(sum.go_on(&Sample::Counter(2.0)));
        assert_eq!(sum.sample(), Sample::Counter(2.5));
        assert!(!gauge.go_on(&Sample::Gauge(3.0)));
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn a_histogram_with_other_buckets_does_not_go_on() {
        let (old, new) = (Histogram::new([1.0]), Histogram::new([1.0, 2.0]));
        old.observe(0.5);
        assert!(!new.go_on(&old.sample()));
        assert_eq!(new.sample(), Histogram::new([1.0, 2.0]).sample());
        let same = Histogram::new([1.0]);
        same.observe(7.0);
        assert!(same.go_on(&old.sample()));
        let Sample::Histogram(sample) = same.sample() else {
            panic!("no histogram");
        };
        assert_eq!(*sample.counts, [1, 1]);
        assert_eq!(sample.count(), 2);
    }
}
