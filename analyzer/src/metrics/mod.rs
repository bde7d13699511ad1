//! Aggregates in memory: what a scrape reads. No SQL stands on its path.
//!
//! [`names`] is the table of all families; [`cardinality`] keeps traffic from growing them. Rooms
//! that keep cumulative counts of their own hand them in through a [`Publisher`].

pub mod cardinality;
mod labels;
pub mod names;
mod reasons;
mod text;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{self, Metric as Registrable, Registry},
};

use self::{
    cardinality::{Guarded, ModelNames, Vouched},
    labels::{CallLabels, GenAi, OneModel, TokenLabels},
    names::Metric,
};
use crate::call::{Call, Outcome, TokenSource};

pub use reasons::{Publisher, ReasonCounters};
pub use text::Format;

/// A counter of seconds.
type Seconds = Counter<f64, AtomicU64>;

/// Stands in a required label whose value is not known, such as the operation of a report in no known dialect.
const UNKNOWN: &str = "unknown";

/// All metrics of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    models: ModelNames,
    calls: Guarded<CallLabels, Counter>,
    outer_calls: Counter,
    tokens: Guarded<TokenLabels, Counter>,
    stalls: Guarded<OneModel, Counter>,
    wasted: Guarded<OneModel, Seconds>,
    request_duration: Guarded<GenAi, Histogram>,
    time_to_first_token: Guarded<GenAi, Histogram>,
    time_per_output_token: Guarded<GenAi, Histogram>,
    token_usage: Guarded<GenAi, Histogram>,
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
        let mut registry = Registry::default();
        let r = &mut registry;
        register_process(r);
        Self(Arc::new(Inner {
            models: ModelNames::new(),
            calls: guarded(r, &names::CALLS, Family::default()),
            outer_calls: register(r, &names::OUTER_CALLS, Counter::default()),
            exchanges: reasons(r, &names::EXCHANGES),
            tokens: guarded(r, &names::TOKENS, Family::default()),
            in_flight: register(r, &names::CALLS_IN_FLIGHT, Gauge::default()),
            stalls: guarded(r, &names::STALLS, Family::default()),
            wasted: guarded(r, &names::WASTED, Family::default()),
            analysis_events: reasons(r, &names::ANALYSIS_EVENTS),
            redactions: reasons(r, &names::REDACTIONS),
            request_duration: histograms(r, &names::REQUEST_DURATION, || {
                Histogram::new(names::DURATION_BUCKETS)
            }),
            time_to_first_token: histograms(r, &names::TIME_TO_FIRST_TOKEN, || {
                Histogram::new(names::FIRST_TOKEN_BUCKETS)
            }),
            time_per_output_token: histograms(r, &names::TIME_PER_OUTPUT_TOKEN, || {
                Histogram::new(names::PER_TOKEN_BUCKETS)
            }),
            token_usage: histograms(r, &names::TOKEN_USAGE, || {
                Histogram::new(names::USAGE_BUCKETS)
            }),
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
        let labels = GenAi {
            operation: call.operation.unwrap_or(UNKNOWN),
            provider: call.provider.unwrap_or(UNKNOWN),
            request_model: model.clone(),
            response_model: m.label(call.response_model.as_deref(), call),
            token_type: None,
            error_type: (call.outcome != Outcome::Ok).then(|| call.outcome.as_str()),
        };
        m.calls
            .get(CallLabels {
                outcome: call.outcome.as_str(),
                operation: labels.operation,
                model: model.clone(),
            })
            .inc();
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
                let (source, model) = (source.as_str(), model.clone());
                m.tokens
                    .get(TokenLabels {
                        kind,
                        source,
                        model,
                    })
                    .inc_by(count);
            }
        }
        let one_model = OneModel {
            model: model.clone(),
        };
        if let Some(stalls) = call.stalls {
            m.stalls.get(one_model.clone()).inc_by(stalls);
        }
        if call.wasted > 0 {
            m.wasted.get(one_model).inc_by(call.wasted as f64 / 1e6);
        }
        if let Some(elapsed) = call.elapsed {
            let histogram = m.request_duration.get(labels.clone());
            histogram.observe(elapsed as f64 / 1e6);
        }
        if let Some(ttft) = call.ttft {
            let histogram = m.time_to_first_token.get(labels.clone());
            histogram.observe(ttft as f64 / 1e6);
        }
        if let Some(tpot) = call.tpot {
            let histogram = m.time_per_output_token.get(labels.clone());
            histogram.observe(tpot / 1e6);
        }
        for (kind, count) in [("input", call.input_tokens), ("output", call.output_tokens)] {
            if let Some(count) = count {
                let labels = GenAi {
                    token_type: Some(kind),
                    ..labels.clone()
                };
                m.token_usage.get(labels).observe(count as f64);
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

    /// The text of a scrape.
    pub fn render(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, and no encoder of ours fails by itself.
        let _ = encoding::text::encode(&mut text, &self.0.registry);
        match format {
            Format::OpenMetrics => text,
            Format::Prometheus => text::to_prometheus(&text),
        }
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
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let start = Gauge::<f64, AtomicU64>::default();
    start.set(since_epoch.map_or(0.0, |time| time.as_secs_f64()));
    register(r, &names::START_TIME, start);
    let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    build
        .get_or_create_owned(&[("version", env!("CARGO_PKG_VERSION"))])
        .set(1);
    register(r, &names::BUILD_INFO, build);
}

/// Registers a metric under its row of the table.
fn register<M: Registrable + Clone>(r: &mut Registry, row: &Metric, metric: M) -> M {
    let unit = match row.unit {
        names::Unit::None => None,
        names::Unit::Seconds => Some((registry::Unit::Seconds, "_seconds")),
        names::Unit::Bytes => Some((registry::Unit::Bytes, "_bytes")),
    };
    match unit {
        None => r.register(row.name, row.help, metric.clone()),
        Some((unit, suffix)) => {
            let stem = row.name.strip_suffix(suffix).unwrap_or(row.name);
            r.register_with_unit(stem, row.help, unit, metric.clone());
        }
    }
    metric
}

fn reasons(r: &mut Registry, row: &Metric) -> ReasonCounters {
    let label = row.labels.first().copied().unwrap_or("reason");
    register(r, row, ReasonCounters::new(label))
}

fn guarded<S, M, C>(r: &mut Registry, row: &Metric, family: Family<S, M, C>) -> Guarded<S, M, C>
where
    S: cardinality::ModelLabels,
    M: Clone,
    C: prometheus_client::metrics::family::MetricConstructor<M> + Clone,
    Family<S, M, C>: Registrable + Clone,
{
    Guarded::new(register(r, row, family))
}

fn histograms(
    r: &mut Registry,
    row: &Metric,
    make: fn() -> Histogram,
) -> Guarded<GenAi, Histogram> {
    guarded(r, row, Family::new_with_constructor(make))
}

#[cfg(test)]
mod tests;
