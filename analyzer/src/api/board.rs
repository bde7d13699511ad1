//! What the status page shows of calls: totals and the last ones, in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

use crate::{
    audit::{Audit, AuditTotals},
    call::{Call, Outcome},
    metrics::{Metrics, cardinality},
};

/// Calls that the page shows; older ones are in the store.
const LAST_CALLS: usize = 50;

/// Models that the page shows, those with the most calls first.
const SHOWN_MODELS: usize = 50;

/// Stands for calls that named no model.
const NO_MODEL: &str = "~none";

/// Totals and the last calls. Its models are those of the metrics' labels, and bounded like them.
#[derive(Debug)]
pub struct Board {
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: Totals,
    models: HashMap<Arc<str>, Totals>,
    last: VecDeque<LastCall>,
    last_errors: VecDeque<LastCall>,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    calls: u64,
    not_ok: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// What was reported of audited calls, and what was counted of them.
    audited: AuditTotals,
}

/// One call of the page, without its text. Times in seconds.
#[derive(Clone, Debug, Serialize)]
struct LastCall {
    ended: Option<f64>,
    operation: Option<&'static str>,
    model: Option<String>,
    outcome: &'static str,
    status: Option<u16>,
    stream: Option<bool>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    ttft: Option<f64>,
    elapsed: Option<f64>,
    tokens_per_second: Option<f64>,
    client: Option<String>,
}

/// What the page reads.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    total: Totals,
    models: Vec<ModelTotals>,
    last_calls: Vec<LastCall>,
    /// Those of them, and older ones, that were not ok.
    last_errors: Vec<LastCall>,
}

#[derive(Debug, Serialize)]
struct ModelTotals {
    model: String,
    #[serde(flatten)]
    totals: Totals,
}

impl Board {
    /// An empty board beside these metrics.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            state: Mutex::default(),
        }
    }

    /// Takes note of a finished call; not of the outer row of one that has another.
    pub fn observe(&self, call: &Call) {
        if call.outer_of.is_some() {
            return;
        }
        let model = self.metrics.model_label(call);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.total.add(call);
        let model = model.unwrap_or_else(|| NO_MODEL.into());
        state.models.entry(model).or_default().add(call);
        let last = LastCall::from(call);
        if call.outcome != Outcome::Ok {
            push(&mut state.last_errors, last.clone());
        }
        push(&mut state.last, last);
    }

    /// The totals, the models with the most calls, and the last calls, newest first.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut models: Vec<_> = state
            .models
            .iter()
            .map(|(model, totals)| ModelTotals {
                model: model.to_string(),
                totals: *totals,
            })
            .collect();
        models.sort_by(|a, b| (b.totals.calls, &a.model).cmp(&(a.totals.calls, &b.model)));
        models.truncate(SHOWN_MODELS);
        Snapshot {
            total: state.total,
            models,
            last_calls: state.last.iter().cloned().collect(),
            last_errors: state.last_errors.iter().cloned().collect(),
        }
    }

    /// The same as JSON, as it stands in `GET /api/status` under `calls`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.snapshot()).unwrap_or_default()
    }
}

/// Puts the newest first, and lets the oldest go.
fn push(calls: &mut VecDeque<LastCall>, call: LastCall) {
    if calls.len() >= LAST_CALLS {
        calls.pop_back();
    }
    calls.push_front(call);
}

impl Totals {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.not_ok += u64::from(call.outcome != Outcome::Ok);
        let add = |sum: u64, count: Option<u64>| sum.saturating_add(count.unwrap_or(0));
        self.input_tokens = add(self.input_tokens, call.input_tokens);
        self.output_tokens = add(self.output_tokens, call.output_tokens);
        if let Some(audit) = Audit::of(call) {
            self.audited.add(audit);
        }
    }
}

impl From<&Call> for LastCall {
    fn from(call: &Call) -> Self {
        let seconds = |micros: Option<i64>| micros.map(|micros| micros as f64 / 1e6);
        let name = call.request_model.as_ref().or(call.response_model.as_ref());
        let client = call.client.as_ref().or(call.peer.as_ref());
        Self {
            ended: call.marks.ended.map(crate::time::Timestamp::as_seconds),
            operation: call.operation,
            model: name.map(|name| cardinality::clean(name)),
            outcome: call.outcome.as_str(),
            status: call.status,
            stream: call.stream,
            input_tokens: call.input_tokens,
            output_tokens: call.output_tokens,
            ttft: seconds(call.ttft),
            elapsed: seconds(call.elapsed),
            tokens_per_second: call.tokens_per_second,
            client: client.map(|client| cardinality::clean(client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn the_last_calls_stand_newest_first_and_are_bounded() {
        let board = Board::new(Metrics::new());
        for status in 1..=60 {
            let mut call = fixtures::call(1);
            call.status = Some(status);
            if status == 2 {
                call.outcome = Outcome::ServerError;
            }
            board.observe(&call);
        }
        let shown = board.snapshot();
        assert_eq!(shown.last_calls.len(), LAST_CALLS);
        assert_eq!(shown.last_calls[0].status, Some(60));
        assert_eq!(shown.total.calls, 60);
        let errors: Vec<_> = shown.last_errors.iter().map(|call| call.status).collect();
        assert_eq!(
            errors,
            [Some(2)],
            "an error stays when later calls have pushed it out"
        );
        assert_eq!(
            shown.models[0].totals,
            Totals {
                audited: AuditTotals::default(),
                calls: 60,
                not_ok: 1,
                input_tokens: 600,
                output_tokens: 1200
            }
        );
    }

    #[test]
    fn made_up_models_do_not_grow_the_board() {
        let board = Board::new(Metrics::new());
        let mut call = fixtures::call(1);
        for i in 0..10_000 {
            call.request_model = Some(format!("m{i}"));
            board.observe(&call);
        }
        assert!(board.state.lock().unwrap().models.len() <= cardinality::NAME_CAP + 1);
        let shown = board.snapshot();
        assert_eq!(shown.models.len(), SHOWN_MODELS);
        assert_eq!(shown.models[0].model, cardinality::OTHER);
    }
}
