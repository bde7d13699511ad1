//! What stands below replay's table: totals, models, percentiles, errors, the slowest calls, losses, and what was
//! not HTTP.

mod errors;
mod losses;
mod percentiles;
mod report;
mod slowest;

use std::{collections::BTreeMap, sync::Arc};

use analyzer::{
    call::{Call, Confidence, ExchangeRow, TokenSource},
    time::Timestamp,
};
use sniffer::http::Protocol;

use self::{errors::Errors, losses::Missing, percentiles::Percentiles, slowest::Slowest};
use super::drift::Drift;

pub(crate) use self::{losses::advice, report::wrapped};

/// Models listed; calls of more are summed under `(other)`.
const MODELS: usize = 1_000;

/// Gathers what the summary says.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    exchanges: u64,
    calls: u64,
    /// Rows of these calls that are another's outer leg, left out of all else.
    outer: u64,
    streams: u64,
    partial: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    outcomes: BTreeMap<&'static str, u64>,
    models: BTreeMap<String, Model>,
    percentiles: Percentiles,
    errors: Errors,
    slowest: Slowest,
    drift: Drift,
    missing: Missing,
    /// Sums by currency, in billionths.
    costs: BTreeMap<Arc<str>, i64>,
    /// Calls whose cost is missing or too low.
    unpriced: u64,
    protocols: BTreeMap<Protocol, u64>,
}

#[derive(Debug, Default)]
struct Model {
    /// What its samples go by in [`Percentiles`].
    number: u32,
    calls: u64,
    failed: u64,
    input: u64,
    output: u64,
    counted_input: bool,
    counted_output: bool,
}

impl Summary {
    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) const fn exchanges(&self) -> u64 {
        self.exchanges
    }

    pub(crate) fn protocol(&mut self, protocol: Protocol) {
        *self.protocols.entry(protocol).or_default() += 1;
    }

    pub(crate) fn exchange(&mut self, row: &ExchangeRow) {
        self.exchanges += 1;
        self.missing.exchange(row);
    }

    pub(crate) fn call(&mut self, call: &Call) {
        if call.outer_of.is_some() {
            self.outer += 1;
            return;
        }
        self.calls += 1;
        self.drift.call(call);
        self.errors.call(call);
        self.slowest.call(call);
        self.streams += u64::from(call.stream == Some(true));
        self.partial += u64::from(call.confidence == Confidence::Partial);
        let start = start_of(call);
        self.first = self.first.min(start).or(start).or(self.first);
        self.last = self.last.max(call.marks.ended);
        *self.outcomes.entry(call.outcome.as_str()).or_default() += 1;
        if let (Some(nanos), Some(currency)) = (call.cost.nanos, &call.cost.currency) {
            let sum = self.costs.entry(Arc::clone(currency)).or_default();
            *sum = sum.saturating_add(nanos);
        }
        self.unpriced += u64::from(call.cost.unpriced.is_some());
        let name = model_of(call).unwrap_or("(unknown)");
        let next = self.models.len();
        let listed = next < MODELS || self.models.contains_key(name);
        let name = if listed { name } else { "(other)" };
        let model = self.models.entry(name.to_owned()).or_insert_with(|| Model {
            number: u32::try_from(next).unwrap_or(u32::MAX),
            ..Model::default()
        });
        model.calls += 1;
        model.failed += u64::from(errors::is_one(call));
        model.input = model.input.saturating_add(call.input_tokens.unwrap_or(0));
        model.output = model.output.saturating_add(call.output_tokens.unwrap_or(0));
        model.counted_input |= call.input_source == TokenSource::Counted;
        model.counted_output |= call.output_source == TokenSource::Counted;
        self.percentiles.call(call, model.number);
    }
}

/// The model's name, as tables show it.
fn model_of(call: &Call) -> Option<&str> {
    let asked = call.request_model.as_deref();
    asked.or(call.response_model.as_deref())
}

/// When a call began, as far as it was seen.
fn start_of(call: &Call) -> Option<Timestamp> {
    let marks = &call.marks;
    marks.request_start.or(marks.response_head)
}
