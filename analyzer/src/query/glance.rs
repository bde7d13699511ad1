//! Filters over calls that are in memory.

use std::borrow::Cow;

use super::{
    Filter,
    filter::{Outer, Subject},
};

/// A call as filters look at it: see [`crate::store::blocks::DIMENSIONS`] and `MEASURES` for the names.
pub trait Glance {
    /// The value of a dimension, if it has one.
    fn dimension(&self, name: &str) -> Option<Cow<'_, str>>;
    /// The value of a measure, if it is known.
    fn measure(&self, name: &str) -> Option<u64>;
    /// The value of a label, if it has it.
    fn label(&self, name: &str) -> Option<&str>;
    /// Whether it shows a call a second time.
    fn is_outer(&self) -> bool;
}

impl Filter {
    /// Whether a call is one of those that are asked for, as far as it is known; times and texts of bodies are not
    /// looked at.
    pub fn lets_through(&self, call: &impl Glance) -> bool {
        let texts = self.texts.iter().all(|(subject, patterns)| {
            let text = match subject {
                Subject::Dimension(dimension) => call.dimension(dimension.name()),
                Subject::Label(name) => call.label(name).map(Cow::Borrowed),
            };
            patterns.holds(|pattern| pattern.fits(text.as_deref()))
        });
        let mut least = self.least.iter();
        texts
            && least.all(|(measure, least)| {
                let value = call.measure(measure.name());
                value.is_some_and(|value| value >= *least)
            })
            && match self.outer {
                Outer::Yes => true,
                Outer::No => !call.is_outer(),
                Outer::Only => call.is_outer(),
            }
    }
}
