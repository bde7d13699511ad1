//! A metric family: its series by their labels, bounded.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::{
    cardinality::{LABEL_SET_CAP, OTHER},
    names::{Metric, WIRE_LABELS},
    value::{Instrument, Sample},
};
use crate::{store::system_clock, time::Timestamp};

/// The names and values of a series' labels. Shared; cheap to clone in its `Arc`.
pub struct Labels {
    names: Arc<[Box<str>]>,
    values: Box<[Option<Arc<str>>]>,
    text: Box<str>,
}

impl Labels {
    pub(super) fn new(names: &Arc<[Box<str>]>, values: &[Option<&str>]) -> Self {
        let mut labels = Self {
            names: Arc::clone(names),
            values: values.iter().map(|value| value.map(Arc::from)).collect(),
            text: "".into(),
        };
        labels.text = labels.written().into();
        labels
    }

    /// Name and value of each label that there is.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.names.iter().zip(&self.values);
        pairs.filter_map(|(name, value)| Some((&**name, value.as_deref()?)))
    }

    /// As they stand in the text of a scrape, without the braces.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn written(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.iter() {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        text
    }

    fn are(&self, values: &[Option<&str>]) -> bool {
        let own = self.values.iter().map(Option::as_deref);
        own.eq(values.iter().copied())
    }

    fn values(&self) -> Vec<Option<&str>> {
        self.values.iter().map(Option::as_deref).collect()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.text)
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A family at one moment.
#[derive(Clone, Debug)]
pub struct FamilySample {
    /// Its row of the table.
    pub row: &'static Metric,
    /// Its series, in the order in which they came to be; label sets differ.
    pub series: Vec<SeriesSample>,
}

/// A series at one moment.
#[derive(Clone, Debug)]
pub struct SeriesSample {
    /// Its labels.
    pub labels: Arc<Labels>,
    /// When it began to count; in an earlier run, where it goes on.
    pub created: Timestamp,
    /// What it showed.
    pub sample: Sample,
}

/// What a registry holds.
pub(super) trait Readable: Send + Sync {
    fn row(&self) -> &'static Metric;

    /// What it shows. Observers wait only while handles are copied.
    fn read(&self) -> Vec<SeriesSample>;

    /// Goes on from a series of an earlier run; `false` where that does not fit.
    fn go_on(&self, labels: &[(String, String)], created: Timestamp, from: &Sample) -> bool;
}

/// A family of series. Clones share it.
pub(super) struct Family<M>(Arc<Inner<M>>);

struct Inner<M> {
    row: &'static Metric,
    names: Arc<[Box<str>]>,
    /// The names whose values come off the wire.
    wire: Box<[bool]>,
    make: Box<dyn Fn() -> M + Send + Sync>,
    hasher: RandomState,
    series: RwLock<State<M>>,
}

struct State<M> {
    /// Places in `list`.
    index: HashTable<usize>,
    /// Only grows, up to [`LABEL_SET_CAP`] and the folded sets, of which the code's own names bound the number.
    list: Vec<Series<M>>,
}

#[derive(Clone)]
struct Series<M> {
    labels: Arc<Labels>,
    created: Arc<AtomicI64>,
    metric: M,
}

impl<M: Instrument> Family<M> {
    /// Without series. `more` are names of labels after those of the row; all of them are of the wire.
    pub(super) fn new(
        row: &'static Metric,
        more: &[Box<str>],
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        debug_assert!(row.kind == M::KIND, "{}", row.name);
        let own = row.labels.iter().map(|name| Box::from(*name));
        let wire = row.labels.iter().map(|name| WIRE_LABELS.contains(name));
        Self(Arc::new(Inner {
            row,
            names: own.chain(more.iter().cloned()).collect(),
            wire: wire.chain(more.iter().map(|_| true)).collect(),
            make: Box::new(make),
            hasher: RandomState::default(),
            series: RwLock::new(State {
                index: HashTable::new(),
                list: Vec::new(),
            }),
        }))
    }

    /// The metric for these values, in the order of the names, or for those that stand for all others.
    pub(super) fn with(&self, values: &[Option<&str>]) -> M {
        debug_assert!(values.len() == self.0.names.len(), "{}", self.0.row.name);
        if let Some(series) = self.find(values) {
            return series.metric;
        }
        self.series(values, system_clock()).metric
    }

    fn find(&self, values: &[Option<&str>]) -> Option<Series<M>> {
        let state = self.0.series.read().unwrap_or_else(PoisonError::into_inner);
        state.find(self.hash(values), values).cloned()
    }

    /// The series of these values, or of those that stand for all others; made where it is missing.
    fn series(&self, values: &[Option<&str>], created: Timestamp) -> Series<M> {
        let inner = &*self.0;
        let mut state = inner.series.write().unwrap_or_else(PoisonError::into_inner);
        let mut values = values.to_vec();
        if state.list.len() >= LABEL_SET_CAP && state.find(self.hash(&values), &values).is_none() {
            let wire = values.iter_mut().zip(&inner.wire);
            for (value, _) in wire.filter(|(value, wire)| **wire && value.is_some()) {
                *value = Some(OTHER);
            }
        }
        let hash = self.hash(&values);
        if let Some(series) = state.find(hash, &values) {
            return series.clone();
        }
        let series = Series {
            labels: Arc::new(Labels::new(&inner.names, &values)),
            created: Arc::new(AtomicI64::new(created.as_micros())),
            metric: (inner.make)(),
        };
        let State { index, list } = &mut *state;
        list.push(series.clone());
        index.insert_unique(hash, list.len() - 1, |place| {
            let labels = list.get(*place).map(|series| &series.labels);
            labels.map_or(0, |labels| self.hash(&labels.values()))
        });
        series
    }

    fn hash(&self, values: &[Option<&str>]) -> u64 {
        let mut hasher = self.0.hasher.build_hasher();
        values.hash(&mut hasher);
        hasher.finish()
    }
}

impl<M> State<M> {
    fn find(&self, hash: u64, values: &[Option<&str>]) -> Option<&Series<M>> {
        let is_it = |place: &usize| {
            let series = self.list.get(*place);
            series.is_some_and(|series| series.labels.are(values))
        };
        self.list.get(*self.index.find(hash, is_it)?)
    }
}

impl<M: Instrument> Readable for Family<M> {
    fn row(&self) -> &'static Metric {
        self.0.row
    }

    fn read(&self) -> Vec<SeriesSample> {
        let list = {
            let state = self.0.series.read().unwrap_or_else(PoisonError::into_inner);
            state.list.clone()
        };
        let sample = |series: Series<M>| SeriesSample {
            created: Timestamp::from_micros(series.created.load(Ordering::Relaxed)),
            sample: series.metric.sample(),
            labels: series.labels,
        };
        list.into_iter().map(sample).collect()
    }

    fn go_on(&self, labels: &[(String, String)], created: Timestamp, from: &Sample) -> bool {
        let names = &self.0.names;
        let known = |(name, _): &(String, String)| names.iter().any(|own| **own == **name);
        if !labels.iter().all(known) {
            return false;
        }
        let value = |name: &Box<str>| {
            let (_, value) = labels.iter().find(|(own, _)| **own == **name)?;
            Some(value.as_str())
        };
        let values: Vec<_> = names.iter().map(value).collect();
        let series = self.series(&values, created);
        let fits = series.metric.go_on(from);
        if fits {
            let created = created.as_micros();
            series.created.fetch_min(created, Ordering::Relaxed);
        }
        fits
    }
}

impl<M> Clone for Family<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Family<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.0.row.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{names, value::Counter},
        *,
    };

    fn stalls() -> Family<Counter> {
        Family::new(&names::STALLS, &[], Counter::default)
    }

    fn count(family: &Family<Counter>, model: &str) -> u64 {
        let found = family.find(&[Some(model)]);
        found.map_or(0, |series| series.metric.get())
    }

    #[test]
    fn label_sets_stop_growing_and_nothing_is_lost() {
        let family = Family::new(&names::TOKENS, &[], Counter::default);
        for i in 0..100_000_u32 {
            let kind = ["input", "output", "cached"][i as usize % 3];
            let model = format!("model-{i}");
            family
                .with(&[Some(kind), Some("reported"), Some(&model)])
                .inc();
        }
        let series = family.read();
        assert_eq!(series.len(), LABEL_SET_CAP + 3);
        let total = |other: bool| -> f64 {
            let of = series
                .iter()
                .filter(|s| s.labels.iter().any(|(_, value)| value == OTHER) == other);
            of.map(|s| match s.sample {
                Sample::Counter(n) => n,
                _ => 0.0,
            })
            .sum()
        };
        assert!((total(false) - LABEL_SET_CAP as f64).abs() < 0.5);
        assert!((total(true) - (100_000 - LABEL_SET_CAP) as f64).abs() < 0.5);
        family
            .with(&[Some("input"), Some("reported"), Some("model-0")])
            .inc();
        assert_eq!(family.read().len(), LABEL_SET_CAP + 3);
    }

    #[test]
    fn a_missing_label_is_left_out_and_is_no_empty_one() {
        let family = stalls();
        family.with(&[None]).inc();
        family.with(&[Some("")]).inc();
        let texts: Vec<_> = family
            .read()
            .iter()
            .map(|series| series.labels.text().to_owned())
            .collect();
        assert_eq!(texts, ["", "model=\"\""]);
    }

    #[test]
    fn values_are_escaped_once() {
        let family = stalls();
        family.with(&[Some("a\"\\\nb")]).inc();
        assert_eq!(family.read()[0].labels.text(), "model=\"a\\\"\\\\\\nb\"");
    }

    #[test]
    fn a_series_goes_on_from_an_earlier_run() {
        let family = stalls();
        family.with(&[Some("m")]).inc();
        let labels = [("model".to_owned(), "m".to_owned())];
        let then = Timestamp::from_micros(5);
        assert!(family.go_on(&labels, then, &Sample::Counter(3.0)));
        let series = &family.read()[0];
        assert_eq!(
            (series.created, &series.sample),
            (then, &Sample::Counter(4.0))
        );
        assert_eq!(count(&family, "m"), 1);
        let unknown = [("colour".to_owned(), "red".to_owned())];
        assert!(!family.go_on(&unknown, then, &Sample::Counter(3.0)));
        assert_eq!(family.read().len(), 1);
    }
}
