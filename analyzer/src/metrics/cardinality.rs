//! The one place that keeps traffic from growing the label sets.
//!
//! A model's name comes off the wire, so anyone who can send a request could make a new time series
//! with each. Three rules hold that down: a name becomes a label once an answer has confirmed it
//! ([`UNCONFIRMED`] before that), it is cut to [`MODEL_NAME_CAP`] bytes, and past [`MODEL_CAP`] names
//! or [`LABEL_SET_CAP`] label sets a family shows [`OTHER`].

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::family::{Family, MetricConstructor};

/// Stands for models that no successful answer has confirmed.
pub const UNCONFIRMED: &str = "~unconfirmed";

/// Stands for all models past the bounds.
pub const OTHER: &str = "~other";

/// Bytes of a model's name in a label; the rest is cut. The longest names of hubs are about half of it.
pub const MODEL_NAME_CAP: usize = 128;

/// Model names that become labels in one run; later ones show [`OTHER`]. A server has tens at most;
/// this leaves room for fine-tuned variants by the hundred.
pub const MODEL_CAP: usize = 2_000;

/// Label sets with models in one family; later ones show [`OTHER`] as their model. At about 4 KiB
/// a histogram in text it keeps a family below 8 MiB a scrape.
pub const LABEL_SET_CAP: usize = 2_000;

/// Whether a call's answer vouches for the model names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// It brought output, or names a model.
    Yes,
    /// It is an error, or there was none.
    No,
}

/// The model names that are labels.
#[derive(Debug)]
pub(crate) struct ModelNames {
    confirmed: Mutex<HashMap<Box<str>, Arc<str>>>,
    unconfirmed: Arc<str>,
    other: Arc<str>,
}

impl ModelNames {
    pub(crate) fn new() -> Self {
        Self {
            confirmed: Mutex::default(),
            unconfirmed: UNCONFIRMED.into(),
            other: OTHER.into(),
        }
    }

    /// The label value for a model's name off the wire.
    pub(crate) fn label(&self, name: &str, vouched: Vouched) -> Arc<str> {
        let name = clean(name);
        let mut confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = confirmed.get(name.as_str()) {
            return Arc::clone(known);
        }
        match vouched {
            Vouched::No => Arc::clone(&self.unconfirmed),
            Vouched::Yes if confirmed.len() >= MODEL_CAP => Arc::clone(&self.other),
            Vouched::Yes => {
                let label: Arc<str> = name.as_str().into();
                confirmed.insert(name.into_boxed_str(), Arc::clone(&label));
                label
            }
        }
    }
}

/// Cuts a name to the cap at a character's boundary and takes control characters out of it.
pub(crate) fn clean(name: &str) -> String {
    let mut end = name.len().min(MODEL_NAME_CAP);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A label set with model names in it.
pub(crate) trait ModelLabels: Clone + Hash + Eq {
    /// Puts `other` in the place of each model's name.
    fn fold(&mut self, other: &Arc<str>);
}

/// A family that holds at most [`LABEL_SET_CAP`] label sets of models, and [`OTHER`] beyond.
#[derive(Debug)]
pub(crate) struct Guarded<S, M, C = fn() -> M> {
    family: Family<S, M, C>,
    other: Arc<str>,
    sets: Mutex<usize>,
}

impl<S: ModelLabels, M: Clone, C: MetricConstructor<M>> Guarded<S, M, C> {
    pub(crate) fn new(family: Family<S, M, C>) -> Self {
        Self {
            family,
            other: OTHER.into(),
            sets: Mutex::new(0),
        }
    }

    /// The metric for a label set, or for the one that stands for all others.
    pub(crate) fn get(&self, mut labels: S) -> M {
        if let Some(metric) = self.family.get(&labels) {
            return metric.clone();
        }
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if *sets >= LABEL_SET_CAP {
            labels.fold(&self.other);
        } else if self.family.get(&labels).is_none() {
            *sets += 1;
        }
        self.family.get_or_create_owned(&labels)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Labels {
        kind: u8,
        model: Arc<str>,
    }

    impl ModelLabels for Labels {
        fn fold(&mut self, other: &Arc<str>) {
            self.model = Arc::clone(other);
        }
    }

    fn named(kind: u8, model: &str) -> Labels {
        Labels {
            kind,
            model: model.into(),
        }
    }

    #[test]
    fn label_sets_stop_growing_and_nothing_is_lost() {
        let family = Family::<Labels, Counter>::default();
        let guarded = Guarded::new(family.clone());
        for i in 0..100_000_u32 {
            guarded
                .get(named((i % 3) as u8, &format!("model-{i}")))
                .inc();
        }
        assert!(family.get(&named(0, "model-99999")).is_none());
        assert!(family.get(&named(0, OTHER)).is_some());
        let folded: u64 = (0..3)
            .map(|kind| guarded.get(named(kind, OTHER)).get())
            .sum();
        assert_eq!(folded, 100_000 - LABEL_SET_CAP as u64);
        guarded.get(named(0, "model-0")).inc();
        assert_eq!(guarded.get(named(0, "model-0")).get(), 2);
    }

    #[test]
    fn a_name_needs_an_answer_that_vouches_for_it() {
        let names = ModelNames::new();
        assert_eq!(&*names.label("qwen3", Vouched::No), UNCONFIRMED);
        assert_eq!(&*names.label("qwen3", Vouched::Yes), "qwen3");
        assert_eq!(&*names.label("qwen3", Vouched::No), "qwen3");
        assert_eq!(&*names.label("made-up", Vouched::No), UNCONFIRMED);
    }

    #[test]
    fn confirmed_names_are_bounded() {
        let names = ModelNames::new();
        let labels: std::collections::HashSet<_> = (0..100_000)
            .map(|i| names.label(&format!("model-{i}"), Vouched::Yes))
            .collect();
        assert_eq!(labels.len(), MODEL_CAP + 1);
        assert!(labels.contains(OTHER));
    }

    #[test]
    fn names_are_cut_between_characters_and_cleaned() {
        let long = "模".repeat(100);
        assert_eq!(clean(&long), "模".repeat(MODEL_NAME_CAP / 3));
        assert_eq!(clean("a\nb\u{0}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(clean(""), "");
    }
}
