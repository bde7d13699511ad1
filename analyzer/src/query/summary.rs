//! How many calls, how many tokens, how fast: by group.

use serde_json::{Map, Value as Json, json};

use super::{
    BadParameter, Filter, Key, Parameter,
    group::{self, Detail, Group, Grouping},
    parameter::{Takes, number},
};
use crate::store::{Snapshot, StoreError};

/// Groups that are shown where no number is asked for.
const DEFAULT_GROUPS: u64 = 100;

/// Groups that are shown at most.
const MOST_GROUPS: u64 = 1_000;

/// The parameter that says what calls are grouped by.
pub const GROUP_BY: Parameter = Parameter::many(
    "group_by",
    "NAMES",
    "What the calls are grouped by, with commas between: model, operation, dialect, outcome, status, client, \
     user, key, stream, server, source, currency, label.NAME; four at most",
);

/// The parameters of a summary, beside the filters.
#[rustfmt::skip]
pub const PARAMETERS: &[Parameter] = &[
    GROUP_BY,
    Parameter::once("limit", "N", Takes::Number(1, MOST_GROUPS), "Groups at most, those with the most calls first; all others are put together as ~other (default: 100)"),
];

/// A summary to be made.
#[derive(Clone, Debug)]
pub struct Summary {
    filter: Filter,
    keys: Vec<Key>,
    limit: usize,
}

impl Summary {
    /// Reads what [`PARAMETERS`] names. The filters were read before.
    ///
    /// # Errors
    /// Where a parameter is not understood.
    pub fn parse(pairs: &[(String, String)], filter: Filter) -> Result<Self, BadParameter> {
        Ok(Self {
            filter,
            keys: Key::parse(pairs)?,
            limit: number(pairs, "limit", (1, MOST_GROUPS), DEFAULT_GROUPS)? as usize,
        })
    }

    /// The names of what it groups by.
    pub fn keys(&self) -> Vec<String> {
        self.keys.iter().map(Key::name).collect()
    }

    /// Makes it: `group_by`, `groups` with those names and the figures, `total`, and how many groups were
    /// `folded` into `~other`.
    ///
    /// # Errors
    /// Where the database cannot be read, or not in time.
    pub fn answer(&self, snapshot: &Snapshot<'_>) -> Result<Json, StoreError> {
        let groups = Grouping::new(&self.keys, Detail::All).read(&self.filter, snapshot)?;
        let total = group::sum(groups.iter());
        let (groups, folded) = group::fold(groups, self.limit, self.keys.len());
        let names = self.keys();
        let groups: Vec<Json> = if names.is_empty() {
            Vec::new()
        } else {
            let groups = groups.iter();
            groups
                .map(|group| with_names(&names, group).into())
                .collect()
        };
        Ok(json!({
            "from": seconds(self.filter.from),
            "to": seconds(self.filter.to),
            "group_by": names,
            "groups": groups,
            "folded": folded,
            "total": total.json(),
        }))
    }
}

/// A group's names and figures as one object.
fn with_names(names: &[String], group: &Group) -> Map<String, Json> {
    let mut map = named(names, &group.values);
    map.extend(group.totals.json());
    map
}

/// The values of the keys, under their names.
pub(super) fn named(names: &[String], values: &[Option<String>]) -> Map<String, Json> {
    let values = values.iter().map(|value| json!(value));
    names.iter().cloned().zip(values).collect()
}

/// Microseconds as seconds.
pub(super) fn seconds(micros: Option<i64>) -> Json {
    json!(micros.map(|micros| micros as f64 / 1e6))
}
