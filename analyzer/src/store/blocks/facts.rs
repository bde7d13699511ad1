//! Some columns of some rows, in memory.

use std::collections::HashSet;

use foldhash::{HashMap, HashMapExt as _};
use rusqlite::{Connection, types::ValueRef};

use super::{DIMENSIONS, Dimension, Field, MEASURES, Measure, TIME};

/// Which columns are wanted beside the id. Those that are not stay empty, and cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    dimensions: u32,
    measures: u32,
    pub(super) time: bool,
}

impl Wanted {
    /// All.
    pub const ALL: Self = Self {
        dimensions: u32::MAX,
        measures: u32::MAX,
        time: true,
    };

    /// This one too.
    pub const fn dimension(&mut self, dimension: Dimension) {
        self.dimensions |= 1 << dimension.0;
    }

    /// This one too.
    pub const fn measure(&mut self, measure: Measure) {
        self.measures |= 1 << measure.0;
    }

    /// The time too.
    pub const fn time(&mut self) {
        self.time = true;
    }

    pub(super) const fn has_dimension(self, place: usize) -> bool {
        self.dimensions & 1 << place != 0
    }

    pub(super) const fn has_measure(self, place: usize) -> bool {
        self.measures & 1 << place != 0
    }
}

/// Texts of a column: each distinct one once, and which of them each row has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary {
    /// The distinct texts. The place of NULL is 0, and a text stands one farther on than here.
    pub texts: Vec<String>,
    /// For each row, 0 for NULL, else the place in `texts` plus one.
    pub places: Vec<u16>,
}

impl Dictionary {
    /// The text of a place.
    pub fn text(&self, place: u16) -> Option<&str> {
        let place = usize::from(place).checked_sub(1)?;
        self.texts.get(place).map(String::as_str)
    }

    /// How many places there are, that of NULL included.
    pub const fn count(&self) -> usize {
        self.texts.len() + 1
    }
}

/// The columns, each as long as `ids` or, where it was not wanted, empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The calls' numbers, ascending.
    pub ids: Vec<i64>,
    /// When they were: microseconds since the Unix epoch.
    pub times: Vec<Option<i64>>,
    /// In the order of [`DIMENSIONS`].
    pub dimensions: Vec<Dictionary>,
    /// In the order of [`MEASURES`].
    pub measures: Vec<Vec<Option<u64>>>,
}

impl Facts {
    /// Without rows.
    pub(super) fn empty() -> Self {
        Self {
            ids: Vec::new(),
            times: Vec::new(),
            dimensions: vec![Dictionary::default(); DIMENSIONS.len()],
            measures: vec![Vec::new(); MEASURES.len()],
        }
    }

    /// Reads rows of the table: at most `limit` of them, with ids from `first` to `last`.
    pub(crate) fn read(
        db: &Connection,
        columns: &HashSet<String>,
        wanted: Wanted,
        (first, last): (i64, i64),
        limit: usize,
    ) -> rusqlite::Result<Self> {
        let expression = |wanted: bool, field: &Field| wanted.then(|| field.expression(columns));
        let time = expression(wanted.time, &TIME);
        let dimensions = numbered(DIMENSIONS, |place| wanted.has_dimension(place));
        let measures = numbered(MEASURES, |place| wanted.has_measure(place));
        let expressions: Vec<String> = time
            .into_iter()
            .chain(
                dimensions
                    .iter()
                    .map(|(_, field)| field.expression(columns)),
            )
            .chain(measures.iter().map(|(_, field)| field.expression(columns)))
            .collect();
        let mut sql = "SELECT id".to_owned();
        for expression in &expressions {
            sql.push_str(", ");
            sql.push_str(expression);
        }
        sql.push_str(" FROM calls WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3");

        let mut facts = Self::empty();
        let mut known: Vec<HashMap<String, u16>> = vec![HashMap::new(); dimensions.len()];
        let mut select = db.prepare_cached(&sql)?;
        let mut rows = select.query((first, last, limit as i64))?;
        while let Some(row) = rows.next()? {
            facts.ids.push(row.get(0)?);
            let mut place = 1;
            if wanted.time {
                facts.times.push(integer(row.get_ref(place)?));
                place += 1;
            }
            for ((number, _), known) in dimensions.iter().zip(&mut known) {
                facts.dimensions[*number].push(text(row.get_ref(place)?), known);
                place += 1;
            }
            for (number, _) in &measures {
                let value = integer(row.get_ref(place)?);
                let value = value.and_then(|value| u64::try_from(value).ok());
                facts.measures[*number].push(value);
                place += 1;
            }
        }
        Ok(facts)
    }

    /// How many rows.
    pub const fn rows(&self) -> usize {
        self.ids.len()
    }

    /// The first and the last time that is known.
    pub(super) fn times_between(&self) -> Option<(i64, i64)> {
        let times = || self.times.iter().flatten().copied();
        times().min().zip(times().max())
    }
}

impl Dictionary {
    /// Adds a row. A block has fewer rows than there are places.
    fn push(&mut self, text: Option<&str>, known: &mut HashMap<String, u16>) {
        let place = match text {
            None => 0,
            Some(text) => known.get(text).copied().unwrap_or_else(|| {
                self.texts.push(text.to_owned());
                let place = self.texts.len() as u16;
                known.insert(text.to_owned(), place);
                place
            }),
        };
        self.places.push(place);
    }
}

fn numbered(
    fields: &'static [Field],
    wanted: impl Fn(usize) -> bool,
) -> Vec<(usize, &'static Field)> {
    let fields = fields.iter().enumerate();
    fields.filter(|(place, _)| wanted(*place)).collect()
}

fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(n) => Some(n),
        _ => None,
    }
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
