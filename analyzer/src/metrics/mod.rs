//! Aggregates in memory: what a scrape reads. No SQL stands on its path.
//!
//! [`names`] is the table of all families; [`cardinality`] keeps traffic from growing them. Rooms
//! that keep cumulative counts of their own hand them in through a [`Publisher`]. [`Metrics::families`]
//! is the one reading that all ways out begin with.

pub mod cardinality;
mod family;
mod kept;
mod labels;
pub mod names;
mod negotiation;
mod process;
mod reasons;
mod reference;
mod registry;
mod text;
mod value;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use self::{
    cardinality::{Names, Vouched},
    family::Family,
    kept::Readings,
    labels::CallLabels,
    registry::{Registry, family, reasons, register},
};
use crate::{
    audit::Audit,
    call::{Call, Outcome, TokenSource},
};

pub use family::{FamilySample, Labels, SeriesSample};
pub use kept::{Found, INTERVAL as KEEP_INTERVAL, KeepError, Kept};
pub use labels::{CallLabel, NoCallLabel};
pub use negotiation::takes_gzip;
pub use reasons::{Publisher, ReasonCounters};
pub use reference::reference;
pub use text::Format;
pub use value::{
    Counter, Exemplar, Follower, Gauge, Histogram, HistogramSample, Money, Sample, Sum,
};

/// Stands in a required label whose value is not known, such as the operation of a report in no known dialect.
const UNKNOWN: &str = "unknown";

/// Faults of the store that an alert waits for.
const STORE_FAULTS: [&str; 5] = ["device", "full", "locked", "other", "read_only"];

/// Why rows are given up.
const STORE_SHED: [&str; 5] = [
    "bodies",
    "lost_at_close",
    "queue_bytes",
    "queue_rows",
    "refused",
];

/// All metrics of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    readings: OnceLock<Readings>,
    keep_errors: ReasonCounters,
    models: Names,
    more: CallLabels,
    calls: Family<Counter>,
    outer_calls: Counter,
    tokens: Family<Counter>,
    audit_calls: Family<Counter>,
    audit_tokens: Family<Counter>,
    stalls: Family<Counter>,
    wasted: Family<Sum>,
    cost: Family<Money>,
    unpriced: ReasonCounters,
    request_duration: Family<Histogram>,
    time_to_first_token: Family<Histogram>,
    time_per_output_token: Family<Histogram>,
    token_usage: Family<Histogram>,
    exchanges: ReasonCounters,
    in_flight: Gauge,
    analysis_events: ReasonCounters,
    reloads: ReasonCounters,
    redactions: ReasonCounters,
    counting: CountingMetrics,
    capture: CaptureMetrics,
    store: StoreMetrics,
    api: ApiMetrics,
    otlp: OtlpMetrics,
}

/// What the counting of tokens costs and saves.
#[derive(Clone, Debug)]
pub struct CountingMetrics {
    /// Counts looked up: `hit` and `miss`.
    pub lookups: ReasonCounters,
    /// Bytes counted: by a `tokenizer`, and by the `cache`.
    pub bytes: ReasonCounters,
    /// Counts remembered.
    pub entries: Gauge,
    /// Prompts that a chat template could not render: `refused` and `too_long`.
    pub template_failures: ReasonCounters,
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
    /// Packets seen before, on another interface, and left out.
    pub duplicates: Counter,
    /// Holes in streams that were given up.
    pub gaps: Counter,
    /// Their bytes.
    pub gap_bytes: Counter,
    /// What was given up at a limit, by the counter of it.
    pub shed: ReasonCounters,
    /// Connections open now.
    pub open_connections: Gauge,
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

/// What the API counts.
#[derive(Clone, Debug)]
pub(crate) struct ApiMetrics {
    requests: Family<Counter>,
    seconds: Family<Histogram>,
    /// Requests under way.
    pub(crate) in_flight: Gauge,
    /// Requests that were turned away, by reason.
    pub(crate) refused: ReasonCounters,
    /// Readers of the live feed.
    pub(crate) feed_readers: Gauge,
    /// Events that the live feed had no room for, by where.
    pub(crate) feed_shed: ReasonCounters,
}

impl ApiMetrics {
    fn new(r: &mut Registry) -> Self {
        let seconds = || Histogram::new(names::API_BUCKETS);
        Self {
            requests: family(r, &names::API_REQUESTS, &[], Counter::default),
            seconds: family(r, &names::API_SECONDS, &[], seconds),
            in_flight: register(r, &names::API_IN_FLIGHT, Gauge::default()),
            refused: reasons(r, &names::API_REFUSED),
            feed_readers: register(r, &names::FEED_READERS, Gauge::default()),
            feed_shed: reasons(r, &names::FEED_SHED).begin(&["queue", "reader"]),
        }
    }

    /// Counts a request. The route is one of the code's own, or a word for all others.
    pub(crate) fn answered(&self, route: &str, status: u16, seconds: f64) {
        let code = status.to_string();
        self.requests.with(&[Some(route), Some(&code)]).inc();
        self.seconds.with(&[Some(route)]).observe(seconds);
    }
}

/// What the OTLP export counts.
#[derive(Clone, Debug)]
pub struct OtlpMetrics {
    /// Spans by what became of them.
    pub spans: ReasonCounters,
    /// Requests by what was answered.
    pub requests: ReasonCounters,
    /// Spans that wait.
    pub queue: Gauge,
}

impl Metrics {
    /// All families, at zero. The process is taken to have started now.
    pub fn new() -> Self {
        Self::with_labels(&[])
    }

    /// The same with these labels in the counters of calls.
    pub fn with_labels(labels: &[CallLabel]) -> Self {
        let more = CallLabels::new(labels);
        let names = &more.names();
        let mut registry = Registry::new();
        let r = &mut registry;
        register_process(r);
        let histograms = |r: &mut Registry, row, buckets: &'static [f64]| {
            let make = move || Histogram::new(buckets.iter().copied());
            family(r, row, &[], make)
        };
        Self(Arc::new(Inner {
            models: Names::new(),
            more,
            calls: family(r, &names::CALLS, names, Counter::default),
            outer_calls: register(r, &names::OUTER_CALLS, Counter::default()),
            exchanges: reasons(r, &names::EXCHANGES),
            tokens: family(r, &names::TOKENS, names, Counter::default),
            in_flight: register(r, &names::CALLS_IN_FLIGHT, Gauge::default()),
            audit_calls: family(r, &names::AUDIT_CALLS, &[], Counter::default),
            audit_tokens: family(r, &names::AUDIT_TOKENS, &[], Counter::default),
            stalls: family(r, &names::STALLS, names, Counter::default),
            wasted: family(r, &names::WASTED, names, Sum::default),
            cost: family(r, &names::COST, names, Money::default),
            unpriced: reasons(r, &names::UNPRICED),
            analysis_events: reasons(r, &names::ANALYSIS_EVENTS),
            reloads: reasons(r, &names::RELOADS),
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
            counting: CountingMetrics {
                lookups: reasons(r, &names::COUNT_LOOKUPS),
                bytes: reasons(r, &names::COUNT_BYTES),
                entries: register(r, &names::COUNT_ENTRIES, Gauge::default()),
                template_failures: reasons(r, &names::TEMPLATE_FAILURES)
                    .begin(&["refused", "too_long"]),
            },
            capture: CaptureMetrics::new(r),
            store: StoreMetrics::new(r),
            otlp: OtlpMetrics::new(r),
            api: ApiMetrics::new(r),
            keep_errors: reasons(r, &names::KEEP_ERRORS).begin(&kept::REASONS),
            readings: OnceLock::new(),
            registry: Arc::new(registry),
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
        let more = m.more.values(call, vouched(call));
        let more: Vec<_> = more.iter().map(Option::as_deref).collect();
        let labels = [&[Some(outcome), Some(operation), model], &more[..]].concat();
        m.calls.with(&labels).inc();
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
                let labels = [&[Some(kind), Some(source.as_str()), model], &more[..]].concat();
                m.tokens.with(&labels).inc_by(count);
            }
        }
        if let Some(audit) = Audit::of(call) {
            m.observe_audit(call, &audit, model);
        }
        let by_model = [&[model], &more[..]].concat();
        if let Some(stalls) = call.stalls {
            m.stalls.with(&by_model).inc_by(stalls);
        }
        if call.wasted > 0 {
            m.wasted.with(&by_model).add(call.wasted as f64 / 1e6);
        }
        if let (Some(nanos), Some(currency)) = (call.cost.nanos, &call.cost.currency) {
            let labels = [&[Some(&**currency), model], &more[..]].concat();
            m.cost.with(&labels).add(nanos);
        }
        if let Some(why) = call.cost.unpriced {
            m.unpriced.inc(why.as_str());
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

    /// Times that the settings were read again, by what became of it.
    pub fn reloads(&self) -> &ReasonCounters {
        &self.0.reloads
    }

    /// Secrets taken out, by kind.
    pub fn redactions(&self) -> &ReasonCounters {
        &self.0.redactions
    }

    /// What counting costs and saves.
    pub fn counting(&self) -> &CountingMetrics {
        &self.0.counting
    }

    /// The counters of the capture, TCP and HTTP rooms.
    pub fn capture(&self) -> &CaptureMetrics {
        &self.0.capture
    }

    /// The counters of the API.
    pub(crate) fn api(&self) -> &ApiMetrics {
        &self.0.api
    }

    /// The counters of the store's writer.
    pub fn store(&self) -> &StoreMetrics {
        &self.0.store
    }

    /// The counters of the OTLP export.
    pub fn otlp(&self) -> &OtlpMetrics {
        &self.0.otlp
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

    /// All families that have series, in the order of the table. Where totals are kept, these are kept before they
    /// are handed out, so that no later run shows less; for that, a reading may wait a moment.
    pub fn families(&self) -> Vec<FamilySample> {
        let kept = self.0.readings.get().and_then(Readings::reading);
        kept.unwrap_or_else(|| self.0.registry.read())
    }

    /// Goes on from the totals in a file, and keeps them there, to be read at the next start.
    ///
    /// # Errors
    /// Where that is not possible; the totals are then those of this run alone.
    pub fn keep(&self, path: &Path) -> Result<(Kept, Found), KeepError> {
        let (kept, readings, found) = Kept::start(path, &self.0.registry, &self.0.keep_errors)?;
        // The lock is taken by one alone.
        let _ = self.0.readings.set(readings);
        Ok((kept, found))
    }

    /// The text of a scrape.
    pub fn render(&self, format: Format) -> String {
        text::render(&self.families(), format)
    }
}

impl Inner {
    fn observe_audit(&self, call: &Call, audit: &Audit, model: Option<&str>) {
        let tokenizer = Some(call.tokenizer.as_deref().unwrap_or(UNKNOWN));
        self.audit_calls.with(&[model, tokenizer]).inc();
        for (kind, pair) in [("input", audit.input), ("output", audit.output)] {
            let Some(pair) = pair else { continue };
            for (source, tokens) in [
                (TokenSource::Reported, pair.reported),
                (TokenSource::Counted, pair.counted),
            ] {
                let labels = [Some(kind), Some(source.as_str()), model, tokenizer];
                self.audit_tokens.with(&labels).inc_by(tokens);
            }
        }
    }

    fn label(&self, model: Option<&str>, call: &Call) -> Option<Arc<str>> {
        let model = model.filter(|model| !model.is_empty())?;
        Some(self.models.label(model, vouched(call)))
    }
}

fn vouched(call: &Call) -> Vouched {
    if confirms(call) {
        Vouched::Yes
    } else {
        Vouched::No
    }
}

/// Whether the answer confirms that there are such models, users and so on: it is good, or else a 2xx that names a
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
            duplicates: register(r, &names::CAPTURE_DUPLICATES, Counter::default()),
            gaps: register(r, &names::CAPTURE_GAPS, Counter::default()),
            gap_bytes: register(r, &names::CAPTURE_GAP_BYTES, Counter::default()),
            shed: reasons(r, &names::SHED),
            open_connections: register(r, &names::CONNECTIONS_OPEN, Gauge::default()),
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
            errors: reasons(r, &names::STORE_ERRORS).begin(&STORE_FAULTS),
            shed: reasons(r, &names::STORE_SHED).begin(&STORE_SHED),
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

impl OtlpMetrics {
    fn new(r: &mut Registry) -> Self {
        Self {
            spans: reasons(r, &names::OTLP_SPANS),
            requests: reasons(r, &names::OTLP_REQUESTS),
            queue: register(r, &names::OTLP_QUEUE, Gauge::default()),
        }
    }
}

fn register_process(r: &mut Registry) {
    let build = family(r, &names::BUILD_INFO, &[], Gauge::default);
    build.with(&[Some(env!("CARGO_PKG_VERSION"))]).set(1);
}

#[cfg(test)]
mod tests;
