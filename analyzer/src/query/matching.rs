//! Which rows of some columns a filter lets through.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::{
    Filter,
    filter::{Match, Outer, Pattern, Subject},
};
use crate::store::{
    Chunk, Snapshot, StoreError,
    blocks::{Dictionary, Dimension, Facts, Wanted},
};

/// The place of the labels' column.
fn labels() -> Dimension {
    Dimension::named("labels").unwrap_or(Dimension(0))
}

fn outer() -> Dimension {
    Dimension::named("outer").unwrap_or(Dimension(0))
}

/// A filter that is ready for a snapshot: texts are looked for once.
pub(super) struct Matcher<'f> {
    filter: &'f Filter,
    /// The calls in whose bodies the texts are.
    bodies: Option<Match<HashSet<i64>>>,
    wanted: Wanted,
}

impl<'f> Matcher<'f> {
    pub(super) fn new(filter: &'f Filter, snapshot: &Snapshot<'_>) -> Result<Self, StoreError> {
        let bodies = match &filter.bodies {
            None => None,
            Some(bodies) => {
                let searches: Vec<_> = bodies.any.iter().chain(&bodies.none).cloned().collect();
                let mut found = snapshot.search(&searches)?;
                let none = found.split_off(bodies.any.len());
                Some(Match { any: found, none })
            }
        };
        let mut wanted = Wanted::default();
        if filter.from.is_some() || filter.to.is_some() {
            wanted.time();
        }
        for (subject, _) in &filter.texts {
            wanted.dimension(match subject {
                Subject::Dimension(dimension) => *dimension,
                Subject::Label(_) => labels(),
            });
        }
        for (measure, _) in &filter.least {
            wanted.measure(*measure);
        }
        if filter.outer != Outer::Yes {
            wanted.dimension(outer());
        }
        Ok(Self {
            filter,
            bodies,
            wanted,
        })
    }

    /// The columns that it looks at.
    pub(super) const fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Whether a row of the chunk may be let through, as far as its times say.
    pub(super) fn may_hold(&self, chunk: Chunk) -> bool {
        let Some(block) = chunk.block else {
            return true;
        };
        let (from, to) = (self.filter.from, self.filter.to);
        if from.is_none() && to.is_none() {
            return true;
        }
        block.between.is_some_and(|(first, last)| {
            from.is_none_or(|from| last >= from) && to.is_none_or(|to| first < to)
        })
    }

    /// For each row whether it is let through.
    pub(super) fn mask(&self, facts: &Facts) -> Vec<bool> {
        let filter = self.filter;
        let mut mask = vec![true; facts.rows()];
        if filter.from.is_some() || filter.to.is_some() {
            let (from, to) = (filter.from.unwrap_or(i64::MIN), filter.to);
            for (let_through, time) in mask.iter_mut().zip(&facts.times) {
                *let_through &=
                    time.is_some_and(|time| time >= from && to.is_none_or(|to| time < to));
            }
        }
        for (subject, patterns) in &filter.texts {
            // A dictionary has few texts: each is looked at once.
            let fits = |text: Option<&str>| patterns.holds(|pattern: &Pattern| pattern.fits(text));
            match subject {
                Subject::Dimension(dimension) => {
                    keep(&mut mask, &facts.dimensions[dimension.0], fits);
                }
                Subject::Label(name) => {
                    keep(&mut mask, &facts.dimensions[labels().0], |text| {
                        fits(label(text, name).as_deref())
                    });
                }
            }
        }
        for (measure, least) in &filter.least {
            for (let_through, value) in mask.iter_mut().zip(&facts.measures[measure.0]) {
                *let_through &= value.is_some_and(|value| value >= *least);
            }
        }
        match filter.outer {
            Outer::Yes => {}
            Outer::No => keep(&mut mask, &facts.dimensions[outer().0], |text| {
                text.is_none()
            }),
            Outer::Only => keep(&mut mask, &facts.dimensions[outer().0], |text| {
                text.is_some()
            }),
        }
        if let Some(bodies) = &self.bodies {
            for (let_through, id) in mask.iter_mut().zip(&facts.ids) {
                *let_through &= bodies.holds(|calls| calls.contains(id));
            }
        }
        mask
    }
}

/// Keeps the rows whose text fits.
fn keep(mask: &mut [bool], column: &Dictionary, fits: impl Fn(Option<&str>) -> bool) {
    let fitting: Vec<bool> = (0..column.count())
        .map(|place| fits(column.text(place as u16)))
        .collect();
    for (let_through, place) in mask.iter_mut().zip(&column.places) {
        *let_through &= fitting[usize::from(*place)];
    }
}

/// The value of a label in the JSON object of all.
pub(super) fn label(labels: Option<&str>, name: &str) -> Option<String> {
    match serde_json::from_str(labels?).ok()? {
        Json::Object(mut labels) => match labels.remove(name)? {
            Json::String(value) => Some(value),
            other => Some(other.to_string()),
        },
        _ => None,
    }
}
