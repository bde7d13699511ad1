//! The calls that took longest.

use std::cmp::Reverse;

use analyzer::{
    call::{Call, CallKey},
    time::Timestamp,
};

use super::{model_of, start_of};

/// Calls shown.
pub(super) const SHOWN: usize = 5;

/// Gathers them.
#[derive(Debug, Default)]
pub(super) struct Slowest(Vec<Slow>);

/// What is shown of one.
#[derive(Clone, Debug)]
pub(super) struct Slow {
    pub(super) elapsed: i64,
    pub(super) ttft: Option<i64>,
    pub(super) output: Option<u64>,
    pub(super) model: Option<String>,
    pub(super) outcome: &'static str,
    pub(super) start: Option<Timestamp>,
    pub(super) key: CallKey,
}

impl Slowest {
    pub(super) fn call(&mut self, call: &Call) {
        let Some(elapsed) = call.elapsed else { return };
        let full = self.0.len() >= SHOWN;
        if full && self.0.last().is_some_and(|last| last.elapsed >= elapsed) {
            return;
        }
        let place = self.0.partition_point(|slow| slow.elapsed >= elapsed);
        self.0.insert(
            place,
            Slow {
                elapsed,
                ttft: call.ttft,
                output: call.output_tokens,
                model: model_of(call).map(str::to_owned),
                outcome: call.outcome.as_str(),
                start: start_of(call),
                key: call.call_key,
            },
        );
        self.0.truncate(SHOWN);
        debug_assert!(self.0.is_sorted_by_key(|slow| Reverse(slow.elapsed)));
    }

    /// The slowest first.
    pub(super) fn calls(&self) -> &[Slow] {
        &self.0
    }
}
