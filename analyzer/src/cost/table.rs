//! The prices, and which of them holds for a call.

use std::{
    collections::HashMap,
    fmt, fs,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use regex::{RegexSet, RegexSetBuilder};

use super::{Rates, Unpriced, file};
use crate::time::Timestamp;

/// Bytes of a price file: public lists with thousands of models have one or two million.
pub(super) const FILE_CAP: u64 = 8 << 20;

/// Prices of a table. Each call is looked up among all patterns at once; this many take well below a millisecond.
pub(super) const MAX_PRICES: usize = 10_000;

/// Bytes of a model's name that is looked up: names are tens, and a longer one costs time and matches nothing that
/// was meant.
const NAME_CAP: usize = 1_024;

/// Bytes that the compiled patterns may take: those of [`MAX_PRICES`] patterns, with room.
const PATTERNS_CAP: usize = 256 << 20;

/// What models cost.
#[derive(Clone, Debug)]
pub struct PriceTable {
    patterns: RegexSet,
    /// The prices of each pattern, the latest first.
    prices: Vec<Vec<Price>>,
}

/// One entry of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) currency: Arc<str>,
    /// From when on it holds; the beginning of time where the file does not say.
    pub(super) valid_from: Timestamp,
    pub(super) rates: Rates,
    /// Its line in the file.
    pub(super) line: usize,
}

/// A price file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// It cannot be read.
    #[error("cannot read the price file {path}: {error}. Check the path that --prices names")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// It is larger than [`FILE_CAP`].
    #[error("the price file {path} is larger than {} MiB: is it a price table?", FILE_CAP >> 20)]
    TooLarge {
        /// The file.
        path: String,
    },
    /// What stands in it is wrong.
    #[error("{path}:{error}")]
    Table {
        /// The file.
        path: String,
        /// What is wrong, and where.
        error: TableError,
    },
}

/// What is wrong in a price table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

impl std::error::Error for TableError {}

impl PriceTable {
    /// Reads a price file.
    ///
    /// # Errors
    /// Where it cannot be read, or what stands in it is wrong; the error names the line.
    pub fn read(path: &Path) -> Result<Self, PriceError> {
        let shown = || path.display().to_string();
        let failed = |error| PriceError::Read {
            path: shown(),
            error,
        };
        let mut text = String::new();
        let file = fs::File::open(path).map_err(failed)?;
        let read = file.take(FILE_CAP + 1).read_to_string(&mut text);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => io::Error::new(error.kind(), "it is no text in UTF-8"),
            _ => error,
        })
        .map_err(failed)?;
        if text.len() as u64 > FILE_CAP {
            return Err(PriceError::TooLarge { path: shown() });
        }
        let table = text.parse();
        table.map_err(|error| PriceError::Table {
            path: shown(),
            error,
        })
    }

    /// How many prices it holds.
    pub fn len(&self) -> usize {
        self.prices.iter().map(Vec::len).sum()
    }

    /// Whether it holds none; a table that was read holds one at least.
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }

    /// Makes a table of patterns and their prices in the order of the file.
    pub(super) fn new(entries: Vec<(String, Price)>) -> Result<Self, TableError> {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let (mut patterns, mut prices) = (Vec::new(), Vec::<Vec<Price>>::new());
        for (pattern, price) in entries {
            let pattern = pattern.to_lowercase();
            let number = *numbers.entry(pattern).or_insert_with_key(|pattern| {
                patterns.push(expression(pattern));
                prices.push(Vec::new());
                prices.len() - 1
            });
            let Some(of_pattern) = prices.get_mut(number) else {
                continue;
            };
            if let Some(twin) = of_pattern.iter().find(|p| p.valid_from == price.valid_from) {
                return Err(TableError {
                    line: price.line,
                    message: format!(
                        "this model has a price from the same time on at line {} already: leave one out, or say \
                         with valid_from when the new one begins",
                        twin.line
                    ),
                });
            }
            of_pattern.push(price);
        }
        for of_pattern in &mut prices {
            of_pattern.sort_by_key(|price| std::cmp::Reverse(price.valid_from));
        }
        let patterns = RegexSetBuilder::new(patterns)
            .size_limit(PATTERNS_CAP)
            .build()
            .map_err(|_| TableError {
                line: 1,
                message: "the patterns of the models are too many and too long: leave some out"
                    .to_owned(),
            })?;
        Ok(Self { patterns, prices })
    }

    /// The price for the first of these models that has one. Of the patterns that match and hold at that time, the
    /// first in the file wins; of one pattern's prices, the latest that had begun.
    pub(super) fn find<'m>(
        &self,
        models: impl Iterator<Item = &'m str>,
        at: Option<Timestamp>,
    ) -> Result<&Price, Unpriced> {
        let mut why = Unpriced::Model;
        for model in models.filter(|model| model.len() <= NAME_CAP) {
            let matched = self.patterns.matches(&model.to_lowercase());
            for prices in matched.iter().filter_map(|number| self.prices.get(number)) {
                let begun = |price: &&Price| at.is_none_or(|at| price.valid_from <= at);
                if let Some(price) = prices.iter().find(begun) {
                    return Ok(price);
                }
                why = Unpriced::Time;
            }
        }
        Err(why)
    }
}

impl std::str::FromStr for PriceTable {
    type Err = TableError;

    fn from_str(text: &str) -> Result<Self, TableError> {
        file::parse(text).and_then(Self::new)
    }
}

/// A pattern as a regular expression: `*` stands for anything, `?` for one character.
fn expression(pattern: &str) -> String {
    let mut expression = "(?s)^".to_owned();
    for c in pattern.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    expression
}
