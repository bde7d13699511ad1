//! Aggregates in memory: what a scrape reads. No SQL stands on its path.
//!
//! [`names`] is the table of all families; [`cardinality`] keeps traffic from growing them. Rooms
//! that keep cumulative counts of their own hand them in through a [`Publisher`]. [`Metrics::families`]
//! is the one reading that all ways out begin with.

pub mod cardinality;
mod family;
pub mod names;
mod process;
mod reasons;
mod registry;
mod text;
mod value;

use std::sync::Arc;

use self::{
    cardinality::{Names, Vouched},
    family::Family,
    registry::{Registry, family, reasons, register},
};
use crate::call::{Call, Outcome, TokenSource};

pub use family::{FamilySample, Labels, SeriesSample};
pub use reasons::{Publisher, ReasonCounters};
pub use text::Format;
pub use value::{Counter, Exemplar, Gauge, Histogram, HistogramSample, Sample, Sum};

/// Stands in a required label whose value is not known, such as the operation of a report in no known dialect.
const UNKNOWN: &str = "unknown";

/// All metrics of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    models: Names,
    calls: Family<Counter>,
    outer_calls: Counter,
    tokens: Family<Counter>,
    stalls: Family<Counter>,
    wasted: Family<Sum>,
    request_duration: Family<Histogram>,
    time_to_first_token: Family<Histogram>,
    time_per_output_token: Family<Histogram>,
    token_usage: Family<Histogram>,
    exchanges: ReasonCounters,
    in_flight: Gauge,
    analysis_events: ReasonCounters,
    redactions: ReasonCounters,
    capture: CaptureMetrics,
    store: StoreMetrics,
}

/// Whether an exchange was an LLM call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// It was.
    Call,
    /// It was not.
    Other,
}

/// What the capture, TCP and HTTP rooms count.
#[derive(Clone, Debug)]
pub struct CaptureMetrics {
    /// Packets of the tapped ports that the kernel saw.
    pub seen: Counter,
    /// Packets handed on.
    pub packets: Counter,
    /// Their captured bytes.
    pub bytes: Counter,
    /// Packets lost before llmtap could read them, by reason.
    pub dropped: ReasonCounters,
    /// Packets seen and not used, by reason.
    pub ignored: ReasonCounters,
    /// What TCP reassembly met.
    pub tcp_events: ReasonCounters,
    /// What the HTTP reader met.
    pub http_events: ReasonCounters,
    /// Connections by protocol.
    pub connections: ReasonCounters,
    /// 1 while packets come without exchanges, else 0.
    pub blind: Gauge,
}

/// What the store's writer counts.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    /// Rows that wait.
    pub queue_rows: Gauge,
    /// Bytes that wait.
    pub queue_bytes: Gauge,
    /// Rows committed: `new` and `duplicate`.
    pub rows: ReasonCounters,
    /// Batches committed.
    pub batches: Counter,
    /// Batches that failed, by kind of error.
    pub errors: ReasonCounters,
    /// Rows given up, by reason.
    pub shed: ReasonCounters,
    /// Seconds to write and commit a batch.
    pub commit: Histogram,
    /// Bytes on disk.
    pub size: Gauge,
    /// Bytes of the log among them.
    pub log: Gauge,
    /// Rows in the store.
    pub stored_rows: Gauge,
    /// Rows removed, by reason.
    pub rows_removed: ReasonCounters,
    /// Bodies removed, by reason.
    pub bodies_removed: ReasonCounters,
    /// Bytes given back to the disk.
    pub freed: Counter,
}

impl Metrics {
    /// All families, at zero. The process is taken to have started now.
    pub fn new() -> Self {
        let mut registry = Registry::new();
        let r = &mut registry;
        register_process(r);
        let histograms = |r: &mut Registry, row, buckets: &'static [f64]| {
            let make = move || Histogram::new(buckets.iter().copied());
            family(r, row, &[], make)
        };
        Self(Arc::new(Inner {
            models: Names::new(),
            calls: family(r, &names::CALLS, &[], Counter::default),
            outer_calls: register(r, &names::OUTER_CALLS, Counter::default()),
            exchanges: reasons(r, &names::EXCHANGES),
            tokens: family(r, &names::TOKENS, &[], Counter::default),
            in_flight: register(r, &names::CALLS_IN_FLIGHT, Gauge::default()),
            stalls: family(r, &names::STALLS, &[], Counter::default),
            wasted: family(r, &names::WASTED, &[], Sum::default),
            analysis_events: reasons(r, &names::ANALYSIS_EVENTS),
            redactions: reasons(r, &names::REDACTIONS),
            request_duration: histograms(r, &names::REQUEST_DURATION, &names::DURATION_BUCKETS),
            time_to_first_token: histograms(
                r,
                &names::TIME_TO_FIRST_TOKEN,
                &names::FIRST_TOKEN_BUCKETS,
            ),
            time_per_output_token: histograms(
                r,
                &names::TIME_PER_OUTPUT_TOKEN,
                &names::PER_TOKEN_BUCKETS,
            ),
            token_usage: histograms(r, &names::TOKEN_USAGE, &names::USAGE_BUCKETS),
            capture: CaptureMetrics::new(r),
            store: StoreMetrics::new(r),
            registry,
        }))
    }

    /// Counts a finished call. The outer row of a call that has another is counted as such, and nothing else.
    pub fn observe_call(&self, call: &Call) {
        let m = &*self.0;
        if call.outer_of.is_some() {
            m.outer_calls.inc();
            return;
        }
        let model = self.model_label(call);
        let model = model.as_deref();
        let answered_by = m.label(call.response_model.as_deref(), call);
        let operation = call.operation.unwrap_or(UNKNOWN);
        let outcome = call.outcome.as_str();
        m.calls.with(&[Some(outcome), Some(operation), model]).inc();
        let tokens = [
            ("input", call.input_source, call.input_tokens),
            ("output", call.output_source, call.output_tokens),
            ("cached", TokenSource::Reported, call.cached_tokens),
            (
                "cache_write",
                TokenSource::Reported,
                call.cache_write_tokens,
            ),
            ("reasoning", TokenSource::Reported, call.reasoning_tokens),
            ("audio", TokenSource::Reported, call.audio_tokens),
        ];
        for (kind, source, count) in tokens {
            if let Some(count) = count {
                m.tokens
                    .with(&[Some(kind), Some(source.as_str()), model])
                    .inc_by(count);
            }
        }
        if let Some(stalls) = call.stalls {
            m.stalls.with(&[model]).inc_by(stalls);
        }
        if call.wasted > 0 {
            m.wasted.with(&[model]).add(call.wasted as f64 / 1e6);
        }
        let gen_ai = [
            Some(operation),
            Some(call.provider.unwrap_or(UNKNOWN)),
            model,
            answered_by.as_deref(),
            (call.outcome != Outcome::Ok).then_some(outcome),
        ];
        let exemplar = Exemplar::new(
            call.call_key,
            call.whose.trace_id.as_deref(),
            call.marks.ended,
        );
        for (histograms, micros) in [
            (&m.request_duration, call.elapsed.map(|t| t as f64)),
            (&m.time_to_first_token, call.ttft.map(|t| t as f64)),
            (&m.time_per_output_token, call.tpot),
        ] {
            if let Some(micros) = micros {
                let histogram = histograms.with(&gen_ai);
                histogram.observe_call(micros / 1e6, exemplar);
            }
        }
        let [operation, provider, asked, answered, error] = gen_ai;
        for (kind, count) in [("input", call.input_tokens), ("output", call.output_tokens)] {
            if let Some(count) = count {
                let labels = [operation, provider, asked, answered, Some(kind), error];
                m.token_usage.with(&labels).observe(count as f64);
            }
        }
    }

    /// The label value for the model that a call asked for, as bounded as all labels are.
    pub fn model_label(&self, call: &Call) -> Option<Arc<str>> {
        self.0.label(call.request_model.as_deref(), call)
    }

    /// Counts a finished exchange; calls too.
    pub fn observe_exchange(&self, kind: ExchangeKind) {
        self.0.exchanges.inc(match kind {
            ExchangeKind::Call => "call",
            ExchangeKind::Other => "other",
        });
    }

    /// The gauge of calls whose answer has not ended.
    pub fn in_flight(&self) -> &Gauge {
        &self.0.in_flight
    }

    /// What the analysis met, by event.
    pub fn analysis_events(&self) -> &ReasonCounters {
        &self.0.analysis_events
    }

    /// Secrets taken out, by kind.
    pub fn redactions(&self) -> &ReasonCounters {
        &self.0.redactions
    }

    /// The counters of the capture, TCP and HTTP rooms.
    pub fn capture(&self) -> &CaptureMetrics {
        &self.0.capture
    }

    /// The counters of the store's writer.
    pub fn store(&self) -> &StoreMetrics {
        &self.0.store
    }

    /// Exchanges that came to an end: calls, and others.
    pub fn exchanges(&self) -> Vec<(&'static str, u64)> {
        self.0.exchanges.counts()
    }

    /// All that was lost, left aside or found odd so far: family, reason, count; counts of 0 left out.
    pub fn losses(&self) -> Vec<(&'static str, &'static str, u64)> {
        let (capture, store) = (&self.0.capture, &self.0.store);
        let families = [
            (names::CAPTURE_DROPPED.name, &capture.dropped),
            (names::PACKETS_IGNORED.name, &capture.ignored),
            (names::TCP_EVENTS.name, &capture.tcp_events),
            (names::HTTP_EVENTS.name, &capture.http_events),
            (names::ANALYSIS_EVENTS.name, &self.0.analysis_events),
            (names::STORE_ERRORS.name, &store.errors),
            (names::STORE_SHED.name, &store.shed),
        ];
        let rows = families.into_iter().flat_map(|(family, counters)| {
            let counts = counters.counts().into_iter();
            counts.map(move |(reason, count)| (family, reason, count))
        });
        rows.filter(|(.., count)| *count > 0).collect()
    }

    /// All families that have series, in the order of the table.
    pub fn families(&self) -> Vec<FamilySample> {
        self.0.registry.read()
    }

    /// The text of a scrape.
    pub fn render(&self, format: Format) -> String {
        text::render(&self.families(), format)
    }
}

impl Inner {
    fn label(&self, model: Option<&str>, call: &Call) -> Option<Arc<str>> {
        let vouched = if confirms(call) {
            Vouched::Yes
        } else {
            Vouched::No
        };
        let model = model.filter(|model| !model.is_empty())?;
        Some(self.models.label(model, vouched))
    }
}

/// Whether the answer confirms that there are such models: it is good, or else a 2xx that names a
/// model or brought output. An error alone, under whatever status, confirms nothing.
fn confirms(call: &Call) -> bool {
    let answered = call.response_model.is_some() || call.output_tokens.is_some_and(|n| n > 0);
    match call.outcome {
        Outcome::Ok => true,
        _ => matches!(call.status, Some(200..=299)) && answered,
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl CaptureMetrics {
    fn new(r: &mut Registry) -> Self {
        Self {
            seen: register(r, &names::CAPTURE_SEEN, Counter::default()),
            packets: register(r, &names::CAPTURE_PACKETS, Counter::default()),
            bytes: register(r, &names::CAPTURE_BYTES, Counter::default()),
            dropped: reasons(r, &names::CAPTURE_DROPPED),
            ignored: reasons(r, &names::PACKETS_IGNORED),
            tcp_events: reasons(r, &names::TCP_EVENTS),
            http_events: reasons(r, &names::HTTP_EVENTS),
            connections: reasons(r, &names::CONNECTIONS),
            blind: register(r, &names::BLIND, Gauge::default()),
        }
    }
}

impl StoreMetrics {
    fn new(r: &mut Registry) -> Self {
        Self {
            queue_rows: register(r, &names::STORE_QUEUE_ROWS, Gauge::default()),
            queue_bytes: register(r, &names::STORE_QUEUE_BYTES, Gauge::default()),
            rows: reasons(r, &names::STORE_ROWS),
            batches: register(r, &names::STORE_BATCHES, Counter::default()),
            errors: reasons(r, &names::STORE_ERRORS),
            shed: reasons(r, &names::STORE_SHED),
            commit: register(
                r,
                &names::STORE_COMMIT,
                Histogram::new(names::COMMIT_BUCKETS),
            ),
            size: register(r, &names::STORE_SIZE, Gauge::default()),
            log: register(r, &names::STORE_LOG_SIZE, Gauge::default()),
            stored_rows: register(r, &names::STORE_STORED_ROWS, Gauge::default()),
            rows_removed: reasons(r, &names::STORE_ROWS_REMOVED),
            bodies_removed: reasons(r, &names::STORE_BODIES_REMOVED),
            freed: register(r, &names::STORE_FREED, Counter::default()),
        }
    }
}

fn register_process(r: &mut Registry) {
    let build = family(r, &names::BUILD_INFO, &[], Gauge::default);
    build.with(&[Some(env!("CARGO_PKG_VERSION"))]).set(1);
}

#[cfg(test)]
mod tests;
