//! The one place that keeps traffic from growing the label sets.
//!
//! A model's name comes off the wire, so anyone who can send a request could make a new time series
//! with each; a user's, a key's or a header's does so too. Three rules hold that down: a text becomes a
//! label once an answer has confirmed it ([`UNCONFIRMED`] before that), it is cut to [`VALUE_CAP`]
//! bytes, and past [`NAME_CAP`] texts a label, or [`LABEL_SET_CAP`] label sets a family, there is [`OTHER`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Stands for texts that no successful answer has confirmed.
pub const UNCONFIRMED: &str = "~unconfirmed";

/// Stands for all texts past the bounds.
pub const OTHER: &str = "~other";

/// Bytes of a text in a label; the rest is cut. The longest model names of hubs are about half of it.
pub const VALUE_CAP: usize = 128;

/// Texts that become values of one label; later ones show [`OTHER`]. A server has tens of models;
/// this leaves room for fine-tuned variants, and for users, by the hundred.
pub const NAME_CAP: usize = 2_000;

/// Label sets in one family; later ones show [`OTHER`] in the labels that traffic writes. At about
/// 4 KiB a histogram in text it keeps a family below 8 MiB a scrape.
pub const LABEL_SET_CAP: usize = 2_000;

/// Whether a call's answer vouches for the texts in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// It brought output, or names a model.
    Yes,
    /// It is an error, or there was none.
    No,
}

/// The texts that are values of a label.
#[derive(Debug)]
pub(crate) struct Names {
    confirmed: Mutex<HashMap<Box<str>, Arc<str>>>,
    unconfirmed: Arc<str>,
    other: Arc<str>,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self {
            confirmed: Mutex::default(),
            unconfirmed: UNCONFIRMED.into(),
            other: OTHER.into(),
        }
    }

    /// The label value for a text off the wire.
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
            Vouched::Yes if confirmed.len() >= NAME_CAP => Arc::clone(&self.other),
            Vouched::Yes => {
                let label: Arc<str> = name.as_str().into();
                confirmed.insert(name.into_boxed_str(), Arc::clone(&label));
                label
            }
        }
    }
}

/// Cuts a text to the cap at a character's boundary and takes control characters out of it.
pub(crate) fn clean(name: &str) -> String {
    let mut end = name.len().min(VALUE_CAP);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_an_answer_that_vouches_for_it() {
        let names = Names::new();
        assert_eq!(&*names.label("qwen3", Vouched::No), UNCONFIRMED);
        assert_eq!(&*names.label("qwen3", Vouched::Yes), "qwen3");
        assert_eq!(&*names.label("qwen3", Vouched::No), "qwen3");
        assert_eq!(&*names.label("made-up", Vouched::No), UNCONFIRMED);
    }

    #[test]
    fn confirmed_names_are_bounded() {
        let names = Names::new();
        let labels: std::collections::HashSet<_> = (0..100_000)
            .map(|i| names.label(&format!("model-{i}"), Vouched::Yes))
            .collect();
        assert_eq!(labels.len(), NAME_CAP + 1);
        assert!(labels.contains(OTHER));
    }

    #[test]
    fn names_are_cut_between_characters_and_cleaned() {
        let long = "模".repeat(100);
        assert_eq!(clean(&long), "模".repeat(VALUE_CAP / 3));
        assert_eq!(clean("a\nb\u{0}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(clean(""), "");
    }
}
