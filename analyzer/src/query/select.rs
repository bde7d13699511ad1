//! Which calls: one page of them, in an order.
//!
//! A page continues after a row, not after a number of rows, so that rows which arrive meanwhile neither push
//! others onto the next page nor hide them: what was there when the first page was read comes exactly once.

use std::{collections::BinaryHeap, ops::ControlFlow};

use serde::Serialize;

use super::{
    BadParameter, Filter, Parameter,
    cursor::Cursor,
    matching::Matcher,
    parameter::{Takes, number, one_of, single},
};
use crate::{
    columns::StoredRow,
    store::{
        Chunk, Snapshot, StoreError,
        blocks::{Facts, Measure},
    },
};

/// Rows of a page that asks for no number.
const DEFAULT_LIMIT: u64 = 100;

/// Rows of a page at most: some megabytes of JSON. Whoever wants more asks for the next, or for CSV or NDJSON.
pub const LIMIT: u64 = 1_000;

/// What a page can be ordered by.
pub const SORTS: &[&str] = &[
    "time",
    "id",
    "elapsed",
    "ttft",
    "tpot",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cost",
];

/// The parameters that say how calls are listed, beside the filters.
#[rustfmt::skip]
pub const ORDERING: &[Parameter] = &[
    Parameter::once("sort", "NAME", Takes::OneOf(SORTS), "What the calls are ordered by (default: time); those without a value come last"),
    Parameter::once("order", "asc|desc", Takes::OneOf(ORDERS), "Whether the least or the largest comes first (default: desc)"),
];

/// The parameters that say which page is listed.
#[rustfmt::skip]
pub const PAGING: &[Parameter] = &[
    Parameter::once("limit", "N", Takes::Number(1, LIMIT), "Calls at most (default: 100)"),
    Parameter::once("cursor", "CURSOR", Takes::Text, "The `next` of the page before: the page after it, in the same order and with the same filters"),
];

const ORDERS: &[&str] = &["desc", "asc"];

/// What calls are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When they began.
    Time,
    /// The order in which they were stored.
    Id,
    /// A figure.
    Measure(Measure),
}

impl Sort {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "time" => Some(Self::Time),
            "id" => Some(Self::Id),
            _ if SORTS.contains(&name) => Measure::named(name).map(Self::Measure),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Id => "id",
            Self::Measure(measure) => measure.name(),
        }
    }
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The largest.
    Descending,
    /// The least.
    Ascending,
}

impl Order {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "desc" => Some(Self::Descending),
            "asc" => Some(Self::Ascending),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Descending => "desc",
            Self::Ascending => "asc",
        }
    }

    fn sign(self, value: impl Into<i128>) -> i128 {
        match self {
            Self::Descending => -value.into(),
            Self::Ascending => value.into(),
        }
    }
}

/// A row's place in the order; the least comes first. No two rows have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Whether there is no value: such rows come last, whatever the order.
    pub(super) missing: bool,
    pub(super) value: i128,
    pub(super) id: i128,
}

impl Rank {
    const FIRST: Self = Self {
        missing: false,
        value: i128::MIN,
        id: i128::MIN,
    };
    const FIRST_MISSING: Self = Self {
        missing: true,
        ..Self::FIRST
    };
    const LAST: Self = Self {
        missing: true,
        value: i128::MAX,
        id: i128::MAX,
    };

    fn new(value: Option<i128>, id: i64, order: Order) -> Self {
        Self {
            missing: value.is_none(),
            value: value.map_or(0, |value| order.sign(value)),
            id: order.sign(id),
        }
    }
}

/// A page to be read.
#[derive(Clone, Debug)]
pub struct Selection {
    filter: Filter,
    sort: Sort,
    order: Order,
    limit: usize,
    after: Option<Rank>,
}

/// The calls of a page, and where the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The calls' numbers, in their order.
    pub ids: Vec<i64>,
    /// The cursor of the next page; `None` on the last.
    pub next: Option<String>,
}

/// The same with its rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rows {
    /// The calls, in their order.
    pub calls: Vec<StoredRow>,
    /// The cursor of the next page; `None` on the last.
    pub next: Option<String>,
}

impl Selection {
    /// Reads what [`ORDERING`] and [`PAGING`] name. The filters were read before.
    ///
    /// # Errors
    /// Where a parameter is not understood.
    pub fn parse(pairs: &[(String, String)], mut filter: Filter) -> Result<Self, BadParameter> {
        let sort = Sort::named(one_of(pairs, "sort", SORTS, "time")?).unwrap_or(Sort::Time);
        let order = Order::named(one_of(pairs, "order", ORDERS, "desc")?);
        let order = order.unwrap_or(Order::Descending);
        let limit = number(pairs, "limit", (1, LIMIT), DEFAULT_LIMIT)? as usize;
        let mut after = None;
        if let Some(cursor) = single(pairs, "cursor")? {
            let cursor = Cursor::read(cursor, sort, order)?;
            cursor.bind(&mut filter);
            after = Some(cursor.last);
        }
        Ok(Self {
            filter,
            sort,
            order,
            limit,
            after,
        })
    }

    /// The same with pages of this many rows.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the numbers of the page's calls.
    ///
    /// # Errors
    /// Where the database cannot be read, or not in time.
    pub fn page(&self, snapshot: &Snapshot<'_>) -> Result<Page, StoreError> {
        Ok(self.read(snapshot)?.0)
    }

    /// Reads the page with its rows.
    ///
    /// # Errors
    /// Where the database cannot be read, or not in time.
    pub fn rows(&self, snapshot: &Snapshot<'_>) -> Result<Rows, StoreError> {
        let Page { ids, next } = self.page(snapshot)?;
        Ok(Rows {
            calls: rows(&ids, snapshot)?,
            next,
        })
    }

    /// Reads the page with its rows, and says what is to be read next, until there is nothing.
    ///
    /// # Errors
    /// Where the database cannot be read, or not in time.
    pub fn advance(
        mut self,
        snapshot: &Snapshot<'_>,
    ) -> Result<(Vec<StoredRow>, Option<Self>), StoreError> {
        let (page, last) = self.read(snapshot)?;
        self.after = last;
        let rows = rows(&page.ids, snapshot)?;
        Ok((rows, page.next.is_some().then_some(self)))
    }

    fn read(&self, snapshot: &Snapshot<'_>) -> Result<(Page, Option<Rank>), StoreError> {
        let matcher = Matcher::new(&self.filter, snapshot)?;
        let mut wanted = matcher.wanted();
        match self.sort {
            Sort::Time => wanted.time(),
            Sort::Id => {}
            Sort::Measure(measure) => wanted.measure(measure),
        }
        let mut chunks: Vec<_> = snapshot
            .chunks()
            .iter()
            .filter(|chunk| matcher.may_hold(**chunk))
            .map(|chunk| (self.bounds(*chunk), *chunk))
            .collect();
        chunks.sort_by_key(|((first, _), _)| *first);

        // The largest is on top: it goes when a better one comes. One more than asked for tells whether
        // there is a next page.
        let mut best = BinaryHeap::with_capacity(self.limit + 2);
        for ((first, last), chunk) in chunks {
            if self.after.is_some_and(|after| last <= after) {
                continue;
            }
            if is_full(&best, self.limit) && best.peek().is_some_and(|worst| first > *worst) {
                break;
            }
            snapshot.read(chunk, wanted, |facts| {
                let mask = matcher.mask(facts);
                for (row, _) in mask.iter().enumerate().filter(|(_, through)| **through) {
                    let rank = self.rank(facts, row);
                    if self.after.is_some_and(|after| rank <= after) {
                        continue;
                    }
                    if !is_full(&best, self.limit) {
                        best.push(rank);
                    } else if best.peek().is_some_and(|worst| rank < *worst) {
                        best.pop();
                        best.push(rank);
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
        let mut ranks = best.into_sorted_vec();
        let more = ranks.len() > self.limit;
        ranks.truncate(self.limit);
        let last = ranks.last().copied();
        let next = last.filter(|_| more).map(|last| {
            Cursor {
                sort: self.sort,
                order: self.order,
                last,
                from: self.filter.from,
                to: self.filter.to,
            }
            .write()
        });
        let ids = ranks.iter().map(|rank| self.order.sign(rank.id) as i64);
        let ids = ids.collect();
        Ok((Page { ids, next }, last))
    }

    fn rank(&self, facts: &Facts, row: usize) -> Rank {
        let id = facts.ids[row];
        let value = match self.sort {
            Sort::Id => Some(id.into()),
            Sort::Time => facts.times[row].map(i128::from),
            Sort::Measure(measure) => facts.measures[measure.0][row].map(i128::from),
        };
        Rank::new(value, id, self.order)
    }

    /// Between which ranks all rows of a chunk are.
    fn bounds(&self, chunk: Chunk) -> (Rank, Rank) {
        let at = |value: i64, id| Rank {
            missing: false,
            value: self.order.sign(value),
            id,
        };
        let (least, largest) = match (self.sort, chunk.block) {
            (Sort::Id, _) => (chunk.first, chunk.last),
            (Sort::Time, Some(block)) => match block.between {
                Some(between) => between,
                None => return (Rank::FIRST_MISSING, Rank::LAST),
            },
            _ => return (Rank::FIRST, Rank::LAST),
        };
        let (begin, end) = match self.order {
            Order::Ascending => (least, largest),
            Order::Descending => (largest, least),
        };
        let timeless = chunk.block.is_some_and(|block| block.timeless) && self.sort == Sort::Time;
        let end = if timeless {
            Rank::LAST
        } else {
            at(end, i128::MAX)
        };
        (at(begin, i128::MIN), end)
    }
}

fn rows(ids: &[i64], snapshot: &Snapshot<'_>) -> Result<Vec<StoredRow>, StoreError> {
    let rows = ids.iter().map(|id| snapshot.row(*id));
    rows.filter_map(Result::transpose).collect()
}

fn is_full(best: &BinaryHeap<Rank>, limit: usize) -> bool {
    best.len() > limit
}
