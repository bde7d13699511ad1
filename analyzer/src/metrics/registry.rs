//! All families of a process, each under its row of the table.

use std::fmt;

use super::{
    FamilySample, ReasonCounters,
    family::{Family, Readable},
    names::{self, Metric},
    process::Process,
    value::Instrument,
};

/// The families.
pub(super) struct Registry {
    families: Vec<Box<dyn Readable>>,
    process: Process,
}

impl Registry {
    /// With the figures of the process alone.
    pub(super) fn new() -> Self {
        Self {
            families: Vec::new(),
            process: Process::new(),
        }
    }

    /// What they show, in the order of the table; those without series are left out.
    pub(super) fn read(&self) -> Vec<FamilySample> {
        let families = self.families.iter().map(|family| FamilySample {
            row: family.row(),
            series: family.read(),
        });
        let mut families: Vec<_> = families
            .chain(self.process.read())
            .filter(|family| !family.series.is_empty())
            .collect();
        let place = |row: &Metric| names::ALL.iter().position(|other| other == row);
        families.sort_by_key(|family| place(family.row));
        families
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry of {} families", self.families.len())
    }
}

/// Registers a family with these labels after those of its row.
pub(super) fn family<M: Instrument>(
    r: &mut Registry,
    row: &'static Metric,
    more: &[Box<str>],
    make: impl Fn() -> M + Send + Sync + 'static,
) -> Family<M> {
    let family = Family::new(row, more, make);
    r.families.push(Box::new(family.clone()));
    family
}

/// Registers a metric without labels.
pub(super) fn register<M: Instrument>(r: &mut Registry, row: &'static Metric, metric: M) -> M {
    family(r, row, &[], move || metric.clone()).with(&[])
}

/// Registers counters by the one label of their row.
pub(super) fn reasons(r: &mut Registry, row: &'static Metric) -> ReasonCounters {
    let counters = ReasonCounters::new(row);
    r.families.push(Box::new(counters.family()));
    counters
}
