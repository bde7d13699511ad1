//! The export's two tasks: spans in batches, metrics at intervals.

use std::time::Duration;

use prost::Message as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    client::{Answer, Client},
    metrics,
    proto::{
        KeyValue, MetricsRequest, Resource, ResourceMetrics, ResourceSpans, Scope, ScopeMetrics,
        ScopeSpans, Span, TraceRequest,
    },
    queue::Waiting,
    retry::{Backoff, RETRY_FOR, chance},
    settings::{Content, Endpoint, Settings, Signal},
    span::span,
};
use crate::{metrics::Metrics, store::system_clock};

/// Spans in one message: OpenTelemetry's default.
const BATCH_SPANS: usize = 512;

/// Bytes of spans in one message: gRPC receivers take 4 MiB by default.
const BATCH_BYTES: usize = 3 << 20;

/// How long the first span of a batch waits for others: OpenTelemetry's default is 5 s; a second is soon enough to look
/// at, and rare enough to cost nothing.
const BATCH_WAIT: Duration = Duration::from_secs(1);

/// When everything must be over; `None` until the end is asked for.
pub(super) type Stop = watch::Receiver<Option<Instant>>;

/// What both tasks need.
pub(super) struct Export {
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) stop: Stop,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivered {
    /// Taken, but for so many.
    Taken { rejected: u64 },
    /// Given up, and why.
    Lost(&'static str),
}

impl Export {
    /// Sends spans until the queue is closed and empty, or there is no time left.
    pub(super) async fn spans(&self, endpoint: &Endpoint, mut waiting: Waiting) {
        let counts = &self.metrics.otlp().spans;
        let mut log = Log::new(Signal::Traces, endpoint);
        let mut next = None;
        let mut stop = self.stop.clone();
        loop {
            let batch = self.batch(&mut waiting, &mut next, &mut stop).await;
            if batch.is_empty() {
                break;
            }
            let size = batch.len() as u64;
            let body = self.client.body(&self.trace_request(batch));
            let delivered = self.deliver(endpoint, body, RETRY_FOR, &mut log).await;
            match delivered {
                Delivered::Taken { rejected } => {
                    let rejected = rejected.min(size);
                    counts.inc_by("exported", size - rejected);
                    if rejected > 0 {
                        counts.inc_by("rejected", rejected);
                    }
                }
                Delivered::Lost(why) => counts.inc_by(why, size),
            }
        }
    }

    /// The next batch: whole, or what came while its first span waited. Empty at the end.
    async fn batch(
        &self,
        waiting: &mut Waiting,
        left_over: &mut Option<Span>,
        stop: &mut Stop,
    ) -> Vec<Span> {
        let mut batch: Vec<Span> = left_over.take().into_iter().collect();
        let mut bytes: usize = batch.iter().map(prost::Message::encoded_len).sum();
        let mut until = (!batch.is_empty()).then(|| Instant::now() + BATCH_WAIT);
        while batch.len() < BATCH_SPANS {
            let ending = stop.borrow().is_some();
            if ending {
                // Nothing more is taken, and nothing is waited for.
                waiting.close();
            }
            let record = tokio::select! {
                biased;
                record = waiting.next() => record,
                () = reached(until) => break,
                () = asked_to_end(stop), if !ending => continue,
            };
            let Some(record) = record else { break };
            let Some(span) = self.span(&record) else {
                continue;
            };
            let size = span.encoded_len();
            if bytes + size > BATCH_BYTES && !batch.is_empty() {
                *left_over = Some(span);
                break;
            }
            bytes += size;
            batch.push(span);
            until = until.or_else(|| Some(Instant::now() + BATCH_WAIT));
        }
        batch
    }

    /// A span that one message has room for.
    fn span(&self, record: &crate::record::Record) -> Option<Span> {
        let counts = &self.metrics.otlp().spans;
        let Some(made) = span(record, self.settings.content) else {
            counts.inc("timeless");
            return None;
        };
        if made.encoded_len() <= BATCH_BYTES {
            return Some(made);
        }
        let bare = span(record, Content::Left).filter(|bare| bare.encoded_len() <= BATCH_BYTES);
        if bare.is_none() {
            counts.inc("too_large");
        }
        bare
    }

    /// Sends the metrics at each interval, and once more at the end.
    pub(super) async fn metrics(&self, endpoint: &Endpoint) {
        let mut log = Log::new(Signal::Metrics, endpoint);
        let mut stop = self.stop.clone();
        let interval = self.settings.metric_interval;
        let mut due = Instant::now() + interval;
        loop {
            let last = tokio::select! {
                () = tokio::time::sleep_until(due) => false,
                () = asked_to_end(&mut stop) => true,
            };
            let body = self.client.body(&self.metrics_request());
            // A later reading says all that an earlier one said: it is tried until the next.
            self.deliver(endpoint, body, interval, &mut log).await;
            if last {
                break;
            }
            due = (due + interval).max(Instant::now());
        }
    }

    /// Sends a message until it is taken or refused, or its time is over.
    async fn deliver(
        &self,
        endpoint: &Endpoint,
        body: bytes::Bytes,
        within: Duration,
        log: &mut Log,
    ) -> Delivered {
        let counts = &self.metrics.otlp().requests;
        let end = Instant::now() + within;
        let mut stop = self.stop.clone();
        let mut backoff = Backoff::new();
        loop {
            let over = stop.borrow().map_or(end, |stop| stop.min(end));
            let now = Instant::now();
            if over <= now {
                counts.inc("expired");
                return Delivered::Lost(given_up(&stop));
            }
            let sending = self.client.send(endpoint, body.clone(), end - now);
            let answer = tokio::select! {
                answer = sending => answer,
                // Where the end is asked for meanwhile, the request has the time that is left.
                () = time_is_over(stop.clone()) => {
                    counts.inc("expired");
                    return Delivered::Lost("shutdown");
                }
            };
            let (after, why) = match answer {
                Answer::Taken { rejected, words } => {
                    let partial = rejected > 0 || !words.is_empty();
                    counts.inc(if partial { "partial" } else { "ok" });
                    log.taken(rejected, &words);
                    return Delivered::Taken { rejected };
                }
                Answer::Refused(why) => {
                    counts.inc("refused");
                    log.refused(&why);
                    return Delivered::Lost("refused");
                }
                Answer::Later { after, why } => (after, why),
            };
            log.later(&why);
            let wait = backoff.wait(after, chance());
            let over = stop.borrow().map_or(end, |stop| stop.min(end));
            if Instant::now() + wait >= over {
                counts.inc("expired");
                return Delivered::Lost(given_up(&stop));
            }
            counts.inc("retry");
            // Where the end is asked for meanwhile, it is tried at once.
            if stop.borrow().is_some() {
                sleep(wait).await;
            } else {
                let _ = timeout(wait, asked_to_end(&mut stop)).await;
            }
        }
    }

    fn resource(&self) -> Resource {
        let pairs = self.settings.resource.iter();
        Resource {
            attributes: pairs.map(|(k, v)| KeyValue::text(k, v)).collect(),
        }
    }

    fn trace_request(&self, spans: Vec<Span>) -> TraceRequest {
        TraceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans,
                }],
            }],
        }
    }

    fn metrics_request(&self) -> MetricsRequest {
        MetricsRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics: metrics::metrics(&self.metrics.families(), system_clock()),
                }],
            }],
        }
    }
}

fn scope() -> Scope {
    Scope {
        name: "llmtap".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Why a message was given up when its time was over.
fn given_up(stop: &Stop) -> &'static str {
    if stop.borrow().is_some() {
        "shutdown"
    } else {
        "expired"
    }
}

/// Waits for a time; without one, for ever.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until the end is asked for; for ever where nobody is left who could.
async fn asked_to_end(stop: &mut Stop) {
    if stop.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the time that is left after that is over.
async fn time_is_over(mut stop: Stop) {
    asked_to_end(&mut stop).await;
    let end = *stop.borrow();
    reached(end).await;
}

/// Says what changes, and not what stays as it is.
struct Log {
    signal: Signal,
    endpoint: String,
    failing: bool,
    refused: bool,
    partial: bool,
}

impl Log {
    fn new(signal: Signal, endpoint: &Endpoint) -> Self {
        Self {
            signal,
            endpoint: endpoint.to_string(),
            failing: false,
            refused: false,
            partial: false,
        }
    }

    fn taken(&mut self, rejected: u64, words: &str) {
        let (signal, endpoint) = (self.signal.as_str(), &self.endpoint);
        if self.failing {
            tracing::info!("OTLP: {endpoint} takes {signal} again");
        }
        (self.failing, self.refused) = (false, false);
        let partial = rejected > 0 || !words.is_empty();
        if partial && !self.partial {
            tracing::warn!(
                "OTLP: {endpoint} rejected {rejected} {signal} of a message: {words} (further ones are counted in \
                 llmtap_otlp_spans_total and llmtap_otlp_requests_total, not logged)"
            );
        }
        self.partial |= partial;
    }

    fn later(&mut self, why: &str) {
        let (signal, endpoint) = (self.signal.as_str(), &self.endpoint);
        if self.failing {
            tracing::debug!("OTLP: {endpoint} does not take {signal}: {why}");
        } else {
            tracing::warn!(
                "OTLP: {endpoint} does not take {signal} now, they are sent again: {why}"
            );
        }
        self.failing = true;
    }

    fn refused(&mut self, why: &str) {
        let (signal, endpoint) = (self.signal.as_str(), &self.endpoint);
        if !self.refused {
            tracing::warn!(
                "OTLP: {endpoint} refuses {signal}, and those of this message are given up: {why}; is it the \
                 receiver's address, its protocol, and what it asks for in --otlp-header? (further ones are \
                 counted, not logged)"
            );
        }
        (self.failing, self.refused) = (true, true);
    }
}
