//! Which tokens are counted, and what of the counts is kept.

use std::sync::{Arc, Mutex, PoisonError};

use analyzer::{
    live::Live,
    metrics::{Metrics, Publisher, ReasonCounters},
    tokens::{
        Counter, Tokenizers,
        cache::Cache,
        policy::{AuditRate, Mode, Policy},
    },
};
use clap::{Args, ValueEnum, builder::RangedU64ValueParser};

/// More entries than anyone has memory for, at about 100 bytes each.
const MAX_CACHE: u64 = 1 << 30;

/// What is counted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Counting tokens")]
pub(crate) struct CountArgs {
    /// Which tokens are counted
    #[arg(long, value_enum, default_value = "auto", env = "LLMTAP_COUNT")]
    count: Count,

    /// The part of the calls with reported tokens that is counted too, so that the two can be compared: from
    /// 0 (none) to 1 (all); chosen by the call's key, so that the same calls are chosen each time
    #[arg(long, value_name = "RATE", default_value_t, env = "LLMTAP_AUDIT_RATE")]
    audit_rate: AuditRate,

    /// Texts whose count is remembered, as hashes: a chat sends its earlier messages again each turn. About 100
    /// bytes each; 0: none
    #[arg(long, value_name = "N", default_value = "65536")]
    #[arg(env = "LLMTAP_COUNT_CACHE")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(..=MAX_CACHE))]
    count_cache: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Count {
    /// What the server did not report, and a sample of what it did (--audit-rate)
    Auto,
    /// All, beside what the server reported
    Always,
    /// Nothing: what was not reported stays unknown
    Never,
}

impl CountArgs {
    /// Counts by these tokenizers, as the flags say.
    pub(crate) fn counter(&self, tokenizers: Tokenizers) -> Counter {
        let policy = Policy {
            mode: match self.count {
                Count::Auto => Mode::Auto,
                Count::Always => Mode::Always,
                Count::Never => Mode::Never,
            },
            audit: self.audit_rate,
        };
        let cache = Arc::new(Cache::new(self.count_cache));
        Counter::new(Arc::new(tokenizers), policy, cache)
    }
}

/// Hands on to the metrics what the counting threads did.
pub(crate) struct Counting {
    counter: Live<Counter>,
    metrics: Metrics,
    publishers: Mutex<[Publisher; 3]>,
}

impl Counting {
    pub(crate) fn new(counter: &Live<Counter>, metrics: &Metrics) -> Self {
        let counting = metrics.counting();
        let publishers = [
            &counting.lookups,
            &counting.bytes,
            &counting.template_failures,
        ];
        let publishers = publishers.map(ReasonCounters::publisher);
        Self {
            counter: counter.clone(),
            metrics: metrics.clone(),
            publishers: Mutex::new(publishers),
        }
    }

    pub(crate) fn publish(&self) {
        let publishers = self.publishers.lock();
        let mut publishers = publishers.unwrap_or_else(PoisonError::into_inner);
        let counter = self.counter.current();
        let totals = counter.cache().totals();
        let [lookups, bytes, templates] = &mut *publishers;
        lookups.publish(&[("hit", totals.hits), ("miss", totals.misses)]);
        bytes.publish(&[
            ("cache", totals.saved_bytes),
            ("tokenizer", totals.counted_bytes),
        ]);
        let failures = counter.tokenizers().template_failures();
        templates.publish(&[
            ("refused", failures.refused),
            ("too_long", failures.too_long),
        ]);
        let entries = i64::try_from(totals.entries).unwrap_or(i64::MAX);
        self.metrics.counting().entries.set(entries);
    }
}
