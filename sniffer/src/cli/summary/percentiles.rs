//! Percentiles of what a call takes, of all calls and by model.

use analyzer::{call::Call, query::sketch::nearest_rank};

use crate::cli::human;

/// Percentiles are exact up to so many calls, and those of the first ones after that: 16 MB for each figure.
const SAMPLES: usize = 1_000_000;

/// The percentiles shown.
pub(super) const SHOWN: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("max", 1.0),
];

/// A figure of which percentiles are shown.
struct Figure {
    name: &'static str,
    of: fn(&Call) -> Option<i64>,
    shown: fn(i64) -> String,
}

const FIGURES: [Figure; 5] = [
    Figure {
        name: "time to first token",
        of: |call| call.ttft,
        shown: human::duration,
    },
    Figure {
        name: "time per output token",
        of: |call| call.tpot.map(|micros| micros.round() as i64),
        shown: human::duration,
    },
    Figure {
        name: "elapsed",
        of: |call| call.elapsed,
        shown: human::duration,
    },
    Figure {
        name: "input tokens",
        of: |call| call.input_tokens.and_then(|n| i64::try_from(n).ok()),
        shown: tokens,
    },
    Figure {
        name: "output tokens",
        of: |call| call.output_tokens.and_then(|n| i64::try_from(n).ok()),
        shown: tokens,
    },
];

/// Where the time to first token and the whole time stand in [`FIGURES`].
const TTFT: usize = 0;
const ELAPSED: usize = 2;

fn tokens(n: i64) -> String {
    human::count(n.unsigned_abs())
}

/// Gathers samples, each with its model's number.
#[derive(Debug, Default)]
pub(super) struct Percentiles {
    samples: [Vec<(u32, i64)>; FIGURES.len()],
}

impl Percentiles {
    pub(super) fn call(&mut self, call: &Call, model: u32) {
        for (samples, figure) in self.samples.iter_mut().zip(&FIGURES) {
            if let Some(value) = (figure.of)(call)
                && samples.len() < SAMPLES
            {
                samples.push((model, value));
            }
        }
    }

    /// Puts the samples in order. To be called before the rest.
    pub(super) fn sort(&mut self) {
        for samples in &mut self.samples {
            samples.sort_unstable_by_key(|(_, value)| *value);
        }
    }

    /// A line for each figure that any call has: its name, how many have it, and its percentiles.
    pub(super) fn lines(&self) -> Vec<Vec<String>> {
        let figures = FIGURES.iter().zip(&self.samples);
        let figures = figures.filter(|(_, samples)| !samples.is_empty());
        figures
            .map(|(figure, samples)| {
                let mut line = vec![figure.name.to_owned(), human::count(samples.len() as u64)];
                let at = |share| nearest(samples.len(), share).and_then(|rank| samples.get(rank));
                line.extend(SHOWN.iter().map(|(_, share)| {
                    at(*share).map_or_else(|| "-".to_owned(), |(_, value)| (figure.shown)(*value))
                }));
                line
            })
            .collect()
    }

    /// A model's: median and 95th percentile of the time to first token, and the median of the whole time.
    pub(super) fn of_model(&self, model: u32) -> [Option<i64>; 3] {
        let of = |figure: usize| -> Vec<i64> {
            let samples = self.samples[figure].iter();
            let own = samples.filter(|(number, _)| *number == model);
            own.map(|(_, value)| *value).collect()
        };
        let at = |values: &[i64], share| {
            let rank = nearest(values.len(), share)?;
            values.get(rank).copied()
        };
        let (ttft, elapsed) = (of(TTFT), of(ELAPSED));
        [at(&ttft, 0.5), at(&ttft, 0.95), at(&elapsed, 0.5)]
    }
}

/// The place of a percentile among so many values in order, as the API has it.
fn nearest(count: usize, share: f64) -> Option<usize> {
    nearest_rank(count as u64, share).map(|rank| rank as usize)
}
