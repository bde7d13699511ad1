//! Calls put together by what they have in common, with sums and percentiles.

use std::ops::ControlFlow;

use foldhash::{HashMap, HashMapExt as _, HashSet};
use serde_json::{Map, Value as Json, json};

use super::{
    BadParameter, Filter,
    matching::{Matcher, label},
    nearest::nearest,
    parse,
    sketch::Sketch,
};
use crate::{
    cost::NANOS,
    store::{
        Snapshot, StoreError,
        blocks::{DIMENSIONS, Dictionary, Dimension, Facts, MEASURES, Measure},
    },
};

/// Stands for groups that are not told apart, since there are too many.
pub const OTHER: &str = "~other";

/// Keys by which calls are grouped at once: a row's place in all of them fits into one number.
const KEYS: usize = 4;

/// Groups in memory: with three sketches each, some tens of megabytes at the very most. Calls of further ones
/// are counted as [`OTHER`].
const GROUPS: usize = 5_000;

/// Distinct values of one key that are told apart while counting: their numbers have 16 bits.
const SYMBOLS: usize = 1 << 16;

/// The place of [`OTHER`] among the symbols of a key.
const OTHER_SYMBOL: u32 = 0;

/// The percentiles that are shown, by name.
pub const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];

/// What calls are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A dimension.
    Dimension(Dimension),
    /// A label's value.
    Label(String),
}

impl Key {
    /// The names that may be given, `label.` for all labels.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let names = DIMENSIONS.iter().map(|field| field.name);
        let plain = names.filter(|name| !["labels", "outer"].contains(name));
        plain.chain(["label."])
    }

    /// Reads all `group_by` parameters: names with commas between them.
    pub(super) fn parse(pairs: &[(String, String)]) -> Result<Vec<Self>, BadParameter> {
        let mut keys = Vec::new();
        let given = pairs.iter().filter(|(name, _)| name == "group_by");
        for name in given.flat_map(|(_, value)| value.split(',')) {
            let name = name.trim();
            let key = match name.strip_prefix("label.") {
                Some(label) if !label.is_empty() => Self::Label(label.to_owned()),
                _ => match Dimension::named(name) {
                    Some(dimension) if Self::names().any(|known| known == name) => {
                        Self::Dimension(dimension)
                    }
                    _ => return Err(unknown_key(name)),
                },
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.len() > KEYS {
            let reason = format!("group_by takes at most {KEYS} names");
            return Err(BadParameter::new("group_by", reason));
        }
        Ok(keys)
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Dimension(dimension) => dimension.name().to_owned(),
            Self::Label(name) => format!("label.{name}"),
        }
    }

    fn column(&self) -> Dimension {
        match self {
            Self::Dimension(dimension) => *dimension,
            Self::Label(_) => Dimension::named("labels").unwrap_or(Dimension(0)),
        }
    }
}

fn unknown_key(name: &str) -> BadParameter {
    let reason = if let Some(near) = nearest(name, Key::names()) {
        format!("group_by has no {name:?}: was {near:?} meant?")
    } else {
        let names: Vec<_> = Key::names().collect();
        format!(
            "group_by has no {name:?}: there are {}NAME",
            names.join(", ")
        )
    };
    BadParameter::new("group_by", reason)
}

/// Equal steps of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    /// The first one's begin, in microseconds since the Unix epoch.
    pub(super) from: i64,
    /// Microseconds.
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Steps {
    pub(super) fn place(self, time: i64) -> Option<u32> {
        let place = time.checked_sub(self.from)?.div_euclid(self.step);
        let place = u32::try_from(place).ok()?;
        ((place as usize) < self.count).then_some(place)
    }
}

/// Figures of some calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) calls: u64,
    errors: u64,
    /// In the order of [`SUMS`].
    sums: [u64; SUMS.len()],
    /// In billionths of the currency's unit.
    cost: u64,
    currency: Currency,
    /// In the order of [`SKETCHES`].
    sketches: [Sketch; SKETCHES.len()],
}

/// In what a cost is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Currency {
    /// Nothing has a cost.
    #[default]
    None,
    One(String),
    /// In several, which have no sum: grouped by currency, they have.
    Mixed,
}

/// Stands for several currencies.
const MIXED: &str = "~mixed";

/// Measures that are summed up.
pub const SUMS: [&str; 5] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
];

/// Measures whose percentiles are told, and how many of their units a second has.
pub const SKETCHES: [(&str, f64); 3] = [("ttft", 1e6), ("tpot", 1e9), ("elapsed", 1e6)];

impl Totals {
    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        for (sum, more) in self.sums.iter_mut().zip(other.sums) {
            *sum = sum.saturating_add(more);
        }
        match &other.currency {
            Currency::None => {}
            Currency::One(currency) => self.pay(other.cost, currency),
            Currency::Mixed => self.currency = Currency::Mixed,
        }
        for (sketch, more) in self.sketches.iter_mut().zip(&other.sketches) {
            sketch.merge(more);
        }
    }

    fn pay(&mut self, nanos: u64, currency: &str) {
        match &self.currency {
            Currency::None => self.currency = Currency::One(currency.to_owned()),
            Currency::One(known) if known != currency => self.currency = Currency::Mixed,
            Currency::One(_) | Currency::Mixed => {}
        }
        self.cost = self.cost.saturating_add(nanos);
    }

    /// As the API shows them; durations in seconds.
    pub(super) fn json(&self) -> Map<String, Json> {
        let mut map = Map::new();
        map.insert("calls".to_owned(), self.calls.into());
        map.insert("errors".to_owned(), self.errors.into());
        for (name, sum) in SUMS.iter().zip(self.sums) {
            map.insert((*name).to_owned(), sum.into());
        }
        let (cost, currency) = match &self.currency {
            Currency::None => (None, None),
            Currency::One(currency) => (
                Some(self.cost as f64 / NANOS as f64),
                Some(currency.as_str()),
            ),
            Currency::Mixed => (None, Some(MIXED)),
        };
        map.insert("cost".to_owned(), json!(cost));
        map.insert("currency".to_owned(), json!(currency));
        for ((name, units), sketch) in SKETCHES.iter().zip(&self.sketches) {
            let mut figures = Map::new();
            figures.insert("count".to_owned(), sketch.count().into());
            for (name, q) in PERCENTILES {
                let value = sketch.quantile(q).map(|value| parse::digits(value / units));
                figures.insert(name.to_owned(), json!(value));
            }
            map.insert((*name).to_owned(), figures.into());
        }
        map
    }
}

/// Whether percentiles are wanted, which cost most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Counts,
    All,
}

/// Calls by group, and by step of time where there are steps.
pub(super) struct Grouping<'k> {
    keys: &'k [Key],
    steps: Option<Steps>,
    detail: Detail,
    /// The values of each key that were seen, and their numbers.
    symbols: Vec<Symbols>,
    /// The place of a group among the totals, by the symbols of its keys and its step.
    places: HashMap<(u64, u32), usize>,
    totals: Vec<Totals>,
    /// The symbols of the groups that are told apart, if not all are.
    only: Option<HashSet<u64>>,
}

struct Symbols {
    known: HashMap<Option<String>, u32>,
    names: Vec<Option<String>>,
}

/// A group: the value of each key, the step, and the figures.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) values: Vec<Option<String>>,
    pub(super) step: u32,
    pub(super) totals: Totals,
}

impl<'k> Grouping<'k> {
    pub(super) fn new(keys: &'k [Key], detail: Detail) -> Self {
        let other = || Symbols {
            known: HashMap::from_iter([(Some(OTHER.to_owned()), OTHER_SYMBOL)]),
            names: vec![Some(OTHER.to_owned())],
        };
        Self {
            keys,
            steps: None,
            detail,
            symbols: keys.iter().map(|_| other()).collect(),
            places: HashMap::new(),
            totals: Vec::new(),
            only: None,
        }
    }

    /// By step of time too; groups that are not among `only` are [`OTHER`].
    pub(super) fn over(mut self, steps: Steps, only: &[Vec<Option<String>>]) -> Self {
        self.steps = Some(steps);
        let packed = only.iter().map(|values| {
            let symbols = self.symbols.iter_mut().zip(values);
            let numbers = symbols.map(|(symbols, value)| symbols.number(value.clone()));
            pack(numbers)
        });
        self.only = Some(packed.collect());
        self
    }

    /// Counts all calls that a filter lets through.
    pub(super) fn read(
        mut self,
        filter: &Filter,
        snapshot: &Snapshot<'_>,
    ) -> Result<Vec<Group>, StoreError> {
        let matcher = Matcher::new(filter, snapshot)?;
        let mut wanted = matcher.wanted();
        for key in self.keys {
            wanted.dimension(key.column());
        }
        if self.steps.is_some() {
            wanted.time();
        }
        if self.detail == Detail::All {
            let sums = SUMS.iter().copied();
            let names = sums.chain(SKETCHES.iter().map(|(name, _)| *name));
            for name in names.chain(["cost"]) {
                if let Some(measure) = Measure::named(name) {
                    wanted.measure(measure);
                }
            }
            for name in ["outcome", "currency"] {
                if let Some(dimension) = Dimension::named(name) {
                    wanted.dimension(dimension);
                }
            }
        }
        for chunk in snapshot.chunks() {
            if matcher.may_hold(*chunk) {
                snapshot.read(*chunk, wanted, |facts| {
                    self.add(facts, &matcher.mask(facts));
                    ControlFlow::Continue(())
                })?;
            }
        }
        Ok(self.groups())
    }

    fn add(&mut self, facts: &Facts, mask: &[bool]) {
        let numbers: Vec<Vec<u32>> = (0..self.keys.len())
            .map(|key| self.numbers(facts, key))
            .collect();
        let columns: Vec<&[u16]> = self
            .keys
            .iter()
            .map(|key| facts.dimensions[key.column().0].places.as_slice())
            .collect();
        let measures = Measures::of(facts);
        let mut before = None;
        for (row, _) in mask.iter().enumerate().filter(|(_, through)| **through) {
            let step = match self.steps {
                None => 0,
                Some(steps) => {
                    let Some(step) = facts.times[row].and_then(|time| steps.place(time)) else {
                        continue;
                    };
                    step
                }
            };
            let numbers = numbers.iter().zip(&columns);
            let packed = pack(numbers.map(|(numbers, column)| numbers[usize::from(column[row])]));
            let key = (packed, step);
            let place = match before {
                Some((known, place)) if known == key => place,
                _ => self.place(key),
            };
            before = Some((key, place));
            let totals = &mut self.totals[place];
            totals.calls += 1;
            if self.detail == Detail::All {
                measures.add(totals, row);
            }
        }
    }

    /// The place of a group's totals; past the bound, that of the others.
    fn place(&mut self, key: (u64, u32)) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let told_apart = match &self.only {
            None => self.totals.len() < GROUPS,
            Some(only) => only.contains(&key.0),
        };
        let key = if told_apart { key } else { (0, key.1) };
        *self.places.entry(key).or_insert_with(|| {
            self.totals.push(Totals::default());
            self.totals.len() - 1
        })
    }

    /// The symbols of a key's values, by their place in the dictionary.
    fn numbers(&mut self, facts: &Facts, key: usize) -> Vec<u32> {
        let column = &facts.dimensions[self.keys[key].column().0];
        let symbols = &mut self.symbols[key];
        let values = (0..column.count()).map(|place| column.text(place as u16));
        let values = values.map(|text| match &self.keys[key] {
            Key::Dimension(_) => text.map(str::to_owned),
            Key::Label(name) => label(text, name),
        });
        values.map(|value| symbols.number(value)).collect()
    }

    fn values(&self, packed: u64) -> Vec<Option<String>> {
        let count = self.symbols.len();
        let symbols = self.symbols.iter().enumerate();
        symbols
            .map(|(key, symbols)| {
                let number = packed >> (16 * (count - 1 - key)) & 0xffff;
                symbols.names[number as usize].clone()
            })
            .collect()
    }

    fn groups(mut self) -> Vec<Group> {
        let mut totals: Vec<_> = std::mem::take(&mut self.totals)
            .into_iter()
            .map(Some)
            .collect();
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_unstable();
        let mut groups = Vec::with_capacity(totals.len());
        for ((packed, step), place) in places {
            if let Some(totals) = totals[*place].take() {
                groups.push(Group {
                    values: self.values(*packed),
                    step: *step,
                    totals,
                });
            }
        }
        groups
    }
}

impl Symbols {
    fn number(&mut self, value: Option<String>) -> u32 {
        if let Some(number) = self.known.get(&value) {
            return *number;
        }
        if self.names.len() >= SYMBOLS {
            return OTHER_SYMBOL;
        }
        let number = self.names.len() as u32;
        self.names.push(value.clone());
        self.known.insert(value, number);
        number
    }
}

/// The symbols of all keys in one number.
fn pack(numbers: impl Iterator<Item = u32>) -> u64 {
    numbers.fold(0, |packed, number| packed << 16 | u64::from(number))
}

/// The columns of figures, found once for all rows.
struct Measures<'f> {
    sums: [&'f [Option<u64>]; SUMS.len()],
    sketches: [&'f [Option<u64>]; SKETCHES.len()],
    costs: &'f [Option<u64>],
    currencies: Option<&'f Dictionary>,
    outcomes: &'f [u16],
    /// The place of the outcome that is no error.
    ok: Option<u16>,
}

impl<'f> Measures<'f> {
    fn of(facts: &'f Facts) -> Self {
        let column = |name: &str| {
            let place = MEASURES.iter().position(|field| field.name == name);
            place.map_or(&[][..], |place| facts.measures[place].as_slice())
        };
        let outcome = Dimension::named("outcome").map(|d| &facts.dimensions[d.0]);
        let ok = outcome.and_then(|column| column.texts.iter().position(|text| text == "ok"));
        Self {
            sums: SUMS.map(column),
            sketches: SKETCHES.map(|(name, _)| column(name)),
            costs: column("cost"),
            currencies: Dimension::named("currency").map(|d| &facts.dimensions[d.0]),
            outcomes: outcome.map_or(&[], |column| column.places.as_slice()),
            ok: ok.map(|place| place as u16 + 1),
        }
    }

    fn add(&self, totals: &mut Totals, row: usize) {
        totals.errors += u64::from(self.ok != self.outcomes.get(row).copied());
        for (sum, column) in totals.sums.iter_mut().zip(self.sums) {
            let value = column.get(row).copied().flatten();
            *sum = sum.saturating_add(value.unwrap_or(0));
        }
        if let Some(nanos) = self.costs.get(row).copied().flatten()
            && let Some(column) = self.currencies
        {
            let currency = column.places.get(row).and_then(|place| column.text(*place));
            totals.pay(nanos, currency.unwrap_or_default());
        }
        for (sketch, column) in totals.sketches.iter_mut().zip(self.sketches) {
            if let Some(value) = column.get(row).copied().flatten() {
                sketch.add(value);
            }
        }
    }
}

/// The groups with the most calls, those with the same number in the order of their values.
pub(super) fn largest_first(groups: &mut [Group]) {
    groups.sort_by(|a, b| (b.totals.calls, &a.values).cmp(&(a.totals.calls, &b.values)));
}

/// Keeps `limit` groups and puts the others together: those that were never told apart too.
pub(super) fn fold(mut groups: Vec<Group>, limit: usize, keys: usize) -> (Vec<Group>, u64) {
    largest_first(&mut groups);
    let is_other = |group: &Group| {
        keys > 0
            && group
                .values
                .iter()
                .all(|value| value.as_deref() == Some(OTHER))
    };
    let (mut others, mut kept): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(is_other);
    let mut folded = 0;
    if kept.len() > limit {
        let rest = kept.split_off(limit);
        folded = rest.len() as u64;
        others.extend(rest);
    }
    let mut others = others.into_iter();
    if let Some(first) = others.next() {
        let mut all = Group {
            values: vec![Some(OTHER.to_owned()); keys],
            ..first
        };
        others.for_each(|group| all.totals.merge(&group.totals));
        kept.push(all);
    }
    (kept, folded)
}

/// All of them as one.
pub(super) fn sum<'g>(groups: impl Iterator<Item = &'g Group>) -> Totals {
    let mut all = Totals::default();
    groups.for_each(|group| all.merge(&group.totals));
    all
}
