//! The same figures over time, and how values are spread over time.

use std::ops::ControlFlow;

use serde_json::{Map, Value as Json, json};

use super::{
    BadParameter, Filter, Key, Parameter,
    group::{self, Detail, Group, Grouping, Steps, Totals},
    matching::Matcher,
    parameter::{Takes, number, one_of, single},
    parse,
    summary::{GROUP_BY, named, seconds},
};
use crate::{
    store::{Snapshot, StoreError, blocks::Measure},
    time::Timestamp,
};

/// Points of a series where no step is asked for, about.
const DEFAULT_POINTS: i64 = 60;

/// Points of a series at most.
const MOST_POINTS: i64 = 1_000;

/// Series that are shown where no number is asked for.
const DEFAULT_SERIES: u64 = 10;

/// Series that are shown at most.
const MOST_SERIES: u64 = 50;

/// Points of all series together: each has three sketches.
const MOST_CELLS: usize = 10_000;

/// Steps that are chosen from, in seconds: those that divide hours and days.
const STEPS: &[i64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200,
    86_400, 172_800, 604_800, 2_592_000, 31_536_000,
];

/// The parameters of a time series, beside the filters.
#[rustfmt::skip]
pub const PARAMETERS: &[Parameter] = &[
    GROUP_BY,
    STEP,
    Parameter::once("limit", "N", Takes::Number(1, MOST_SERIES), "Series at most, those with the most calls first; all others are put together as ~other (default: 10)"),
];

/// The parameters of a heat map, beside the filters.
#[rustfmt::skip]
pub const HEAT_PARAMETERS: &[Parameter] = &[
    Parameter::once("of", "NAME", Takes::OneOf(HEATS), "Whose values are counted (default: ttft)"),
    STEP,
];

const STEP: Parameter = Parameter::once(
    "step",
    "SPAN",
    Takes::Span,
    "The time from one point to the next: seconds, or 30s, 5m, 1h (default: one that gives about 60 points); at \
     most 1,000 points",
);

/// What a heat map can be made of.
const HEATS: &[&str] = &["ttft", "tpot", "elapsed", "input_tokens", "output_tokens"];

/// Rows of a heat map: two for each power of two.
const HEAT_ROWS: usize = 128;

/// Figures over time, to be made.
#[derive(Clone, Debug)]
pub struct Series {
    filter: Filter,
    keys: Vec<Key>,
    step: Option<i64>,
    limit: usize,
}

impl Series {
    /// Reads what [`PARAMETERS`] names. The filters were read before.
    ///
    /// # Errors
    /// Where a parameter is not understood.
    pub fn parse(pairs: &[(String, String)], filter: Filter) -> Result<Self, BadParameter> {
        Ok(Self {
            filter,
            keys: Key::parse(pairs)?,
            step: step(pairs)?,
            limit: number(pairs, "limit", (1, MOST_SERIES), DEFAULT_SERIES)? as usize,
        })
    }

    /// Makes them: `from`, `step` and `points` say which times, and each of the `series` has its keys' names
    /// and one object a point, `null` where there was no call.
    ///
    /// # Errors
    /// Where the database cannot be read, or not in time, or there would be too many points.
    pub fn answer(&self, snapshot: &Snapshot<'_>, now: Timestamp) -> Result<Answer, StoreError> {
        let groups = Grouping::new(&self.keys, Detail::Counts).read(&self.filter, snapshot)?;
        let (kept, folded) = group::fold(groups, self.limit, self.keys.len());
        let steps = match steps(&self.filter, self.step, now, snapshot)? {
            Ok(steps) => steps,
            Err(refused) => return Ok(Err(refused)),
        };
        if steps.count * kept.len() > MOST_CELLS {
            let reason = format!(
                "{} series of {} points are more than {MOST_CELLS} points in all: ask for fewer \
                 series (limit) or a longer step",
                kept.len(),
                steps.count
            );
            return Ok(Err(BadParameter::new("limit", reason)));
        }
        let names: Vec<Vec<Option<String>>> = kept.into_iter().map(|group| group.values).collect();
        let filter = Filter {
            from: Some(steps.from.max(self.filter.from.unwrap_or(i64::MIN))),
            ..self.filter.clone()
        };
        let groups = Grouping::new(&self.keys, Detail::All)
            .over(steps, &names)
            .read(&filter, snapshot)?;
        let keys: Vec<String> = self.keys.iter().map(Key::name).collect();
        let series: Vec<Json> = names
            .iter()
            .map(|values| series(&keys, values, steps, &groups).into())
            .collect();
        Ok(Ok(json!({
            "from": seconds(Some(steps.from)),
            "step": seconds(Some(steps.step)),
            "points": steps.count,
            "group_by": keys,
            "series": series,
            "folded": folded,
        })))
    }
}

/// An answer, or why this question has none.
pub type Answer = Result<Json, BadParameter>;

fn series(
    keys: &[String],
    values: &[Option<String>],
    steps: Steps,
    groups: &[Group],
) -> Map<String, Json> {
    let mut points: Vec<Option<Totals>> = vec![None; steps.count];
    for group in groups.iter().filter(|group| group.values == values) {
        points[group.step as usize] = Some(group.totals.clone());
    }
    let points: Vec<Json> = points
        .iter()
        .map(|totals| {
            totals
                .as_ref()
                .map_or(Json::Null, |totals| totals.json().into())
        })
        .collect();
    let mut map = named(keys, values);
    map.insert("points".to_owned(), points.into());
    map
}

/// How values are spread over time, to be made.
#[derive(Clone, Debug)]
pub struct HeatMap {
    filter: Filter,
    of: Measure,
    step: Option<i64>,
}

impl HeatMap {
    /// Reads what [`HEAT_PARAMETERS`] names. The filters were read before.
    ///
    /// # Errors
    /// Where a parameter is not understood.
    pub fn parse(pairs: &[(String, String)], filter: Filter) -> Result<Self, BadParameter> {
        let name = one_of(pairs, "of", HEATS, "ttft")?;
        Ok(Self {
            filter,
            of: Measure::named(name).unwrap_or(Measure(0)),
            step: step(pairs)?,
        })
    }

    /// Makes it: `bounds` are the upper bounds of the rows, and `counts` has for each point in time as many
    /// numbers.
    ///
    /// # Errors
    /// Where the database cannot be read, or not in time, or there would be too many points.
    pub fn answer(&self, snapshot: &Snapshot<'_>, now: Timestamp) -> Result<Answer, StoreError> {
        let steps = match steps(&self.filter, self.step, now, snapshot)? {
            Ok(steps) => steps,
            Err(refused) => return Ok(Err(refused)),
        };
        let matcher = Matcher::new(&self.filter, snapshot)?;
        let mut wanted = matcher.wanted();
        wanted.time();
        wanted.measure(self.of);
        let mut counts = vec![[0_u64; HEAT_ROWS + 1]; steps.count];
        for chunk in snapshot.chunks() {
            if !matcher.may_hold(*chunk) {
                continue;
            }
            snapshot.read(*chunk, wanted, |facts| {
                let values = facts.measures[self.of.0].iter().zip(&facts.times);
                let rows = matcher.mask(facts).into_iter().zip(values);
                for (_, (value, time)) in rows.filter(|(through, _)| *through) {
                    let step = time.and_then(|time| steps.place(time));
                    if let (Some(value), Some(step)) = (value, step) {
                        counts[step as usize][heat_row(*value)] += 1;
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
        let used = |row: &usize| counts.iter().any(|counts| counts[*row] > 0);
        let first = (0..=HEAT_ROWS).find(used).unwrap_or(0);
        let last = (0..=HEAT_ROWS).rev().find(used).unwrap_or(0);
        let unit = match self.of.name() {
            "tpot" => 1e9,
            "ttft" | "elapsed" => 1e6,
            _ => 1.0,
        };
        let bounds: Vec<f64> = (first..=last)
            .map(|row| parse::digits(heat_bound(row) / unit))
            .collect();
        let counts: Vec<_> = counts.iter().map(|counts| &counts[first..=last]).collect();
        Ok(Ok(json!({
            "of": self.of.name(),
            "from": seconds(Some(steps.from)),
            "step": seconds(Some(steps.step)),
            "points": steps.count,
            "bounds": bounds,
            "counts": counts,
        })))
    }
}

/// Row 0 holds 0, and row `i` what is above 2^((i-2)/2) and up to 2^((i-1)/2).
fn heat_row(value: u64) -> usize {
    if value == 0 {
        return 0;
    }
    let row = (2.0 * (value as f64).log2()).ceil() as usize + 1;
    row.min(HEAT_ROWS)
}

fn heat_bound(row: usize) -> f64 {
    if row == 0 {
        0.0
    } else {
        2_f64.powf((row as f64 - 1.0) / 2.0)
    }
}

fn step(pairs: &[(String, String)]) -> Result<Option<i64>, BadParameter> {
    let Some(text) = single(pairs, "step")? else {
        return Ok(None);
    };
    let step = parse::span(text).filter(|step| *step > 0);
    let reason = || format!("step is no span: {text:?}. Give seconds, or 30s, 5m, 1h");
    step.map(Some)
        .ok_or_else(|| BadParameter::new("step", reason()))
}

/// The points in time: from the filter's first time, else that of the calls, to its last, else now.
fn steps(
    filter: &Filter,
    step: Option<i64>,
    now: Timestamp,
    snapshot: &Snapshot<'_>,
) -> Result<Result<Steps, BadParameter>, StoreError> {
    let (mut from, mut to) = (filter.from, filter.to);
    if from.is_none() || to.is_none() {
        let times = times(filter, snapshot)?;
        from = from.or(times.map(|(first, _)| first));
        // A moment after the last call, so that it is in.
        to = to.or(times.map(|(_, last)| last.saturating_add(1)));
    }
    let to = to.unwrap_or(now.as_micros());
    let from = from.unwrap_or(to).min(to);
    let width = i128::from(to) - i128::from(from);
    let chosen = || {
        let steps = STEPS.iter().map(|step| step * 1_000_000);
        let enough = |step: &i64| width <= i128::from(*step) * i128::from(DEFAULT_POINTS);
        steps.clone().find(enough).unwrap_or_else(|| {
            let widest = (width / i128::from(DEFAULT_POINTS)) as i64;
            widest.max(1)
        })
    };
    let step = step.unwrap_or_else(chosen);
    // Points stand at whole steps since the epoch, so that the same time is in the same point tomorrow.
    let from = from.div_euclid(step).saturating_mul(step);
    let width = i128::from(to) - i128::from(from);
    let count = (width + i128::from(step) - 1)
        .div_euclid(i128::from(step))
        .max(1);
    if count > i128::from(MOST_POINTS) {
        let reason = format!(
            "a step of {} s gives {count} points, and there are {MOST_POINTS} at most: give a longer one, \
             or a shorter time",
            step as f64 / 1e6
        );
        return Ok(Err(BadParameter::new("step", reason)));
    }
    Ok(Ok(Steps {
        from,
        step,
        count: count as usize,
    }))
}

/// The first and the last time of the calls that a filter lets through.
fn times(filter: &Filter, snapshot: &Snapshot<'_>) -> Result<Option<(i64, i64)>, StoreError> {
    let matcher = Matcher::new(filter, snapshot)?;
    let mut wanted = matcher.wanted();
    wanted.time();
    let mut between: Option<(i64, i64)> = None;
    for chunk in snapshot
        .chunks()
        .iter()
        .filter(|chunk| matcher.may_hold(**chunk))
    {
        snapshot.read(*chunk, wanted, |facts| {
            let rows = matcher.mask(facts).into_iter().zip(&facts.times);
            for time in rows.filter_map(|(through, time)| time.filter(|_| through)) {
                between = Some(between.map_or((time, time), |(first, last)| {
                    (first.min(time), last.max(time))
                }));
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(between)
}
