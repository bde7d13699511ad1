//! The table of metrics: every name, type, unit and label that llmtap exports.
//!
//! Names under `gen_ai_` are those of OpenTelemetry's GenAI conventions in their Prometheus form.
//! That set is moving, so it stands here alone.

use std::borrow::Cow;

/// One metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The whole name in Prometheus text, with the unit; `_total` is left to the type.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it measures in.
    pub unit: Unit,
    /// The labels that its samples may have.
    pub labels: &'static [&'static str],
    /// What it means, without a full stop at the end.
    pub help: &'static str,
}

impl Metric {
    /// The upper bounds of its buckets; none but for a histogram.
    pub fn buckets(&self) -> &'static [f64] {
        match self {
            _ if *self == REQUEST_DURATION => &DURATION_BUCKETS,
            _ if *self == TIME_TO_FIRST_TOKEN => &FIRST_TOKEN_BUCKETS,
            _ if *self == TIME_PER_OUTPUT_TOKEN => &PER_TOKEN_BUCKETS,
            _ if *self == TOKEN_USAGE => &USAGE_BUCKETS,
            _ if *self == STORE_COMMIT => &COMMIT_BUCKETS,
            _ if *self == API_SECONDS => &API_BUCKETS,
            _ => &[],
        }
    }

    /// Whether the system counts it, for each process anew.
    pub(super) fn is_systems(&self) -> bool {
        self.name.starts_with("process_")
    }
}

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets.
    Histogram,
}

/// The unit of a metric family; the last part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count of things.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// Labels whose values traffic writes: bounded by [`super::cardinality`].
pub(super) const WIRE_LABELS: &[&str] = &["model", REQUEST_MODEL, RESPONSE_MODEL];

/// The model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai_request_model";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai_response_model";
/// What was done: `chat`, `text_completion`, …
pub const OPERATION: &str = "gen_ai_operation_name";
/// Whose wire API it was.
pub const PROVIDER: &str = "gen_ai_provider_name";
/// `input` or `output`.
pub const TOKEN_TYPE: &str = "gen_ai_token_type";
/// The outcome, where it is not `ok`; absent where it is.
pub const ERROR_TYPE: &str = "error_type";

const GEN_AI: &[&str] = &[
    OPERATION,
    PROVIDER,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    ERROR_TYPE,
];

macro_rules! metrics {
    ($($(#[$doc:meta])* $ident:ident = $name:literal, $kind:ident, $unit:ident, $labels:expr, $help:literal;)*) => {
        $($(#[$doc])* pub const $ident: Metric = Metric {
            name: $name, kind: Kind::$kind, unit: Unit::$unit, labels: $labels, help: $help,
        };)*

        /// All of them, in the order of the table.
        pub const ALL: &[Metric] = &[$($ident),*];
    };
}

metrics! {
    /// LLM calls.
    CALLS = "llmtap_calls", Counter, None, &["outcome", "operation", "model"],
        "LLM calls that came to an end, by outcome";
    /// Calls seen once more.
    OUTER_CALLS = "llmtap_outer_calls", Counter, None, &[],
        "Rows of calls that were seen once more, at a relay's other side: the outer rows, which no other figure of calls includes";
    /// HTTP exchanges.
    EXCHANGES = "llmtap_exchanges", Counter, None, &["kind"],
        "HTTP exchanges that came to an end, LLM calls (call) and others (other)";
    /// Tokens.
    TOKENS = "llmtap_tokens", Counter, None, &["kind", "source", "model"],
        "Tokens by kind and by who counted them; cached, cache_write, reasoning and audio are parts of input and output";
    /// Money.
    COST = "llmtap_cost", Counter, None, &["currency", "model"],
        "What calls cost by the price table, in units of the currency; the sum of the rows' costs";
    /// Calls without a cost.
    UNPRICED = "llmtap_unpriced_calls", Counter, None, &["reason"],
        "Calls whose cost is missing (model, time, tokens, too_high) or that of one side alone (input_tokens, output_tokens: those that are not known); refused calls have none and are not counted";
    /// Calls in flight.
    CALLS_IN_FLIGHT = "llmtap_calls_in_flight", Gauge, None, &[],
        "LLM calls whose request began and whose answer has not ended; one that is tapped on both sides of a relay is two";
    /// Stalls.
    STALLS = "llmtap_stalls", Counter, None, &["model"],
        "Gaps between content events of a stream that passed the stall threshold";
    /// Wasted time.
    WASTED = "llmtap_wasted_seconds", Counter, Seconds, &["model"],
        "Time for which servers went on sending after the client had left";
    /// Calls that were audited.
    AUDIT_CALLS = "llmtap_audit_calls", Counter, None, &["model", "tokenizer"],
        "Calls with reported tokens that were counted as well, so that the two can be compared";
    /// Their tokens.
    AUDIT_TOKENS = "llmtap_audit_tokens", Counter, None, &["kind", "source", "model", "tokenizer"],
        "Tokens of these calls by who counted them: counted divided by reported, less 1, is the drift";
    /// Counts looked up.
    COUNT_LOOKUPS = "llmtap_count_cache_lookups", Counter, None, &["result"],
        "Texts whose count was remembered (hit), and texts that had to be counted (miss); short ones are neither";
    /// Bytes counted.
    COUNT_BYTES = "llmtap_count_bytes", Counter, Bytes, &["by"],
        "Bytes of text whose tokens were counted by a tokenizer, and whose count was remembered (cache)";
    /// Counts remembered.
    COUNT_ENTRIES = "llmtap_count_cache_entries", Gauge, None, &[],
        "Texts whose count is remembered";
    /// Templates that failed.
    TEMPLATE_FAILURES = "llmtap_prompt_template_failures", Counter, None, &["reason"],
        "Prompts that a model's own chat template could not render, so that its family's rule counted them: refused by the template (refused), or longer than is rendered (too_long)";
    /// What the analysis met.
    ANALYSIS_EVENTS = "llmtap_analysis_events", Counter, None, &["event"],
        "What the analysis met and counted, such as durations below zero";
    /// Settings read again.
    RELOADS = "llmtap_settings_reloads", Counter, None, &["result"],
        "Times that the settings were read again on SIGHUP: applied, or refused for what is wrong with them";
    /// Secrets taken out.
    REDACTIONS = "llmtap_redactions", Counter, None, &["kind"],
        "Secrets that were taken out of rows and bodies before anything was stored, by kind";
    /// Whole calls.
    REQUEST_DURATION = "gen_ai_server_request_duration_seconds", Histogram, Seconds, GEN_AI,
        "Time from the first byte of the request to the end of the answer";
    /// First tokens.
    TIME_TO_FIRST_TOKEN = "gen_ai_server_time_to_first_token_seconds", Histogram, Seconds, GEN_AI,
        "Time from the first byte of the request to the first token of a stream";
    /// Later tokens.
    TIME_PER_OUTPUT_TOKEN = "gen_ai_server_time_per_output_token_seconds", Histogram, Seconds, GEN_AI,
        "Time per output token after the first one of a stream";
    /// Tokens of a call.
    TOKEN_USAGE = "gen_ai_client_token_usage", Histogram, None,
        &[OPERATION, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, TOKEN_TYPE, ERROR_TYPE],
        "Input and output tokens of a call";
    /// Packets seen.
    CAPTURE_SEEN = "llmtap_capture_seen_packets", Counter, None, &[],
        "Packets of the tapped ports that the kernel saw: captured, and dropped for want of room or for a failed copy";
    /// Packets handed on.
    CAPTURE_PACKETS = "llmtap_capture_packets", Counter, None, &[],
        "Packets that the capture handed on";
    /// Bytes seen.
    CAPTURE_BYTES = "llmtap_capture_bytes", Counter, Bytes, &[],
        "Captured bytes of these packets";
    /// Packets lost before llmtap.
    CAPTURE_DROPPED = "llmtap_capture_dropped_packets", Counter, None, &["reason"],
        "Packets that were lost before llmtap could read them";
    /// Packets seen twice.
    CAPTURE_DUPLICATES = "llmtap_capture_duplicate_packets", Counter, None, &[],
        "Packets that were captured once more, on another interface or queue, and left out";
    /// Holes.
    CAPTURE_GAPS = "llmtap_capture_gaps", Counter, None, &[],
        "Holes in the byte streams of connections that were given up: the capture missed packets";
    /// Bytes of holes.
    CAPTURE_GAP_BYTES = "llmtap_capture_gap_bytes", Counter, Bytes, &[],
        "Bytes of these holes";
    /// Given up at a limit.
    SHED = "llmtap_shed", Counter, None, &["reason"],
        "What was given up since a limit was reached, by the counter of it: connections, heads, bodies, texts, counts";
    /// Packets that were left aside.
    PACKETS_IGNORED = "llmtap_packets_ignored", Counter, None, &["reason"],
        "Packets that were seen and not used";
    /// What TCP met.
    TCP_EVENTS = "llmtap_tcp_events", Counter, None, &["event"],
        "What TCP reassembly met: retransmissions, gaps, evictions and so on";
    /// What HTTP met.
    HTTP_EVENTS = "llmtap_http_events", Counter, None, &["event"],
        "What the HTTP reader met: bodies past a cap, bytes that are no HTTP and so on";
    /// Connections.
    CONNECTIONS = "llmtap_connections", Counter, None, &["protocol"],
        "TCP connections by the protocol that they carry";
    /// Connections now.
    CONNECTIONS_OPEN = "llmtap_connections_open", Gauge, None, &[],
        "TCP connections that are followed now";
    /// Packets without exchanges.
    BLIND = "llmtap_capture_blind", Gauge, None, &[],
        "1 while packets come and for 60 seconds no HTTP exchange was found in them, else 0";
    /// Rows that wait.
    STORE_QUEUE_ROWS = "llmtap_store_queue_rows", Gauge, None, &[],
        "Rows that wait to be written";
    /// Bytes that wait.
    STORE_QUEUE_BYTES = "llmtap_store_queue_bytes", Gauge, Bytes, &[],
        "Memory that these rows and their bodies take";
    /// Rows written.
    STORE_ROWS = "llmtap_store_rows", Counter, None, &["result"],
        "Rows that were committed: new ones, and duplicates that were there already";
    /// Commits.
    STORE_BATCHES = "llmtap_store_batches", Counter, None, &[],
        "Batches that were committed";
    /// Failures.
    STORE_ERRORS = "llmtap_store_errors", Counter, None, &["kind"],
        "Batches that could not be written; they are tried again";
    /// Rows lost.
    STORE_SHED = "llmtap_store_shed", Counter, None, &["reason"],
        "Rows (reasons bodies and log_bodies: only their bodies) that were given up";
    /// Time of a commit.
    STORE_COMMIT = "llmtap_store_commit_seconds", Histogram, Seconds, &[],
        "Time to write and commit a batch";
    /// Size of the store.
    STORE_SIZE = "llmtap_store_size_bytes", Gauge, Bytes, &[],
        "Size of the store on disk, its log included";
    /// Size of the log.
    STORE_LOG_SIZE = "llmtap_store_log_bytes", Gauge, Bytes, &[],
        "Size of the store's write-ahead log, which grows while another program reads the store for long";
    /// Rows in the store.
    STORE_STORED_ROWS = "llmtap_store_stored_rows", Gauge, None, &[],
        "Rows in the store";
    /// Rows removed.
    STORE_ROWS_REMOVED = "llmtap_store_rows_removed", Counter, None, &["reason"],
        "Stored rows that were removed, with their bodies, for their age or for the size of all of them";
    /// Room given back.
    STORE_FREED = "llmtap_store_freed_bytes", Counter, Bytes, &[],
        "Bytes that the store gave back to the disk";
    /// Bodies removed.
    STORE_BODIES_REMOVED = "llmtap_store_bodies_removed", Counter, None, &["reason"],
        "Stored bodies that were removed for their age or for the size of all of them";
    /// Requests to the API.
    API_REQUESTS = "llmtap_api_requests", Counter, None, &["route", "status"],
        "Requests to llmtap's own API; route other: to no known path";
    /// Time to answer them.
    API_SECONDS = "llmtap_api_request_seconds", Histogram, Seconds, &["route"],
        "Time from such a request's head to the head of its answer";
    /// Requests under way.
    API_IN_FLIGHT = "llmtap_api_requests_in_flight", Gauge, None, &[],
        "Such requests whose answer has not begun, that of this scrape among them";
    /// Requests that were turned away.
    API_REFUSED = "llmtap_api_refused", Counter, None, &["reason"],
        "Requests turned away by the rules of who may ask: without a token that they need (no_token), with one that is not known (wrong_token) or after too many such (too_many_attempts), by another name than llmtap's (host, no_host), or from a page of another origin (origin)";
    /// Readers of the live feed.
    FEED_READERS = "llmtap_feed_readers", Gauge, None, &[],
        "Readers of /api/live now";
    /// Events that were left out of the live feed.
    FEED_SHED = "llmtap_feed_shed_events", Counter, None, &["reason"],
        "Events that readers of /api/live did not get: more came than could be made ready (queue), or a reader was too slow (reader)";
    /// Totals that were not kept.
    KEEP_ERRORS = "llmtap_metrics_keep_errors", Counter, None, &["reason"],
        "Times that the totals of the metrics could not be kept for the next start: the file cannot be written (failed), or not soon enough for a scrape (slow)";
    /// CPU time.
    PROCESS_CPU = "process_cpu_seconds", Counter, Seconds, &[],
        "CPU time of the process, in user and system mode";
    /// Memory that it takes.
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge, Bytes, &[],
        "Resident memory of the process";
    /// Memory that it reserved.
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, Bytes, &[],
        "Virtual memory of the process";
    /// Open files.
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, None, &[],
        "Open file descriptors";
    /// The most of them.
    PROCESS_MAX_FDS = "process_max_fds", Gauge, None, &[],
        "The most file descriptors that may be open; absent where there is no limit";
    /// Threads.
    PROCESS_THREADS = "process_threads", Gauge, None, &[],
        "Threads of the process";
    /// Spans handed to OTLP.
    OTLP_SPANS = "llmtap_otlp_spans", Counter, None, &["result"],
        "Spans of calls for the OTLP endpoint: exported, or given up (queue_full, rejected, refused, expired, too_large, timeless, shutdown)";
    /// Requests of OTLP.
    OTLP_REQUESTS = "llmtap_otlp_requests", Counter, None, &["result"],
        "Requests to the OTLP endpoint, of spans and of metrics: ok, partial, retry (it will be tried again), refused, expired";
    /// Spans that wait.
    OTLP_QUEUE = "llmtap_otlp_queue_spans", Gauge, None, &[],
        "Spans that wait to be sent to the OTLP endpoint";
    /// Start of the process.
    PROCESS_START_TIME = "process_start_time_seconds", Gauge, Seconds, &[],
        "Start of the process, seconds since the Unix epoch";
    /// The version that runs.
    BUILD_INFO = "llmtap_build_info", Gauge, None, &["version"],
        "The version that runs; always 1";
}

/// OpenTelemetry's own names of what has one: families and labels. All others are made by a rule.
const OTEL_NAMES: &[(&str, &str)] = &[
    (REQUEST_DURATION.name, "gen_ai.server.request.duration"),
    (
        TIME_TO_FIRST_TOKEN.name,
        "gen_ai.server.time_to_first_token",
    ),
    (
        TIME_PER_OUTPUT_TOKEN.name,
        "gen_ai.server.time_per_output_token",
    ),
    (TOKEN_USAGE.name, "gen_ai.client.token.usage"),
    (OPERATION, "gen_ai.operation.name"),
    (PROVIDER, "gen_ai.provider.name"),
    (REQUEST_MODEL, "gen_ai.request.model"),
    (RESPONSE_MODEL, "gen_ai.response.model"),
    (TOKEN_TYPE, "gen_ai.token.type"),
    (ERROR_TYPE, "error.type"),
];

impl Metric {
    /// The name in OTLP: without the unit, and with a dot behind the first word. Put into Prometheus' form, it is the
    /// name here again.
    pub fn otel_name(&self) -> Cow<'static, str> {
        let own = OTEL_NAMES.iter().find(|(name, _)| *name == self.name);
        if let Some((_, otel)) = own {
            return Cow::Borrowed(otel);
        }
        let suffix = match self.unit {
            Unit::None => "",
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
        };
        let stem = self.name.strip_suffix(suffix).unwrap_or(self.name);
        Cow::Owned(stem.replacen('_', ".", 1))
    }

    /// The unit in OTLP (UCUM).
    pub fn otel_unit(&self) -> &'static str {
        match self.unit {
            Unit::Seconds => "s",
            Unit::Bytes => "By",
            Unit::None if self.name == TOKEN_USAGE.name => "{token}",
            Unit::None => "",
        }
    }
}

/// A label's name in OTLP; ours are the same.
pub fn otel_label(label: &str) -> Cow<'_, str> {
    let own = OTEL_NAMES.iter().find(|(name, _)| *name == label);
    Cow::Borrowed(own.map_or(label, |(_, otel)| otel))
}

/// Buckets of `gen_ai_server_request_duration_seconds`: OpenTelemetry's, then on past its 81.92 s.
pub const DURATION_BUCKETS: [f64; 18] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36, 1310.72,
];

/// Buckets of `gen_ai_server_time_to_first_token_seconds`: OpenTelemetry's, then on past its 10 s:
/// a queued call waits minutes.
pub const FIRST_TOKEN_BUCKETS: [f64; 23] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0,
];

/// Buckets of `gen_ai_server_time_per_output_token_seconds`: OpenTelemetry's, with three below its
/// 0.01 s for small models and two above its 2.5 s.
pub const PER_TOKEN_BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
    5.0, 10.0,
];

/// Buckets of `gen_ai_client_token_usage`: OpenTelemetry's.
pub const USAGE_BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Buckets of `llmtap_store_commit_seconds`: from a fast disk's flush to a stuck one.
pub const COMMIT_BUCKETS: [f64; 10] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Buckets of `llmtap_api_request_seconds`: from a figure in memory to an export.
pub const API_BUCKETS: [f64; 10] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_in_their_unit_and_help_needs_no_escaping() {
        for metric in ALL {
            let suffix = match metric.unit {
                Unit::None => "",
                Unit::Seconds => "_seconds",
                Unit::Bytes => "_bytes",
            };
            assert!(metric.name.ends_with(suffix), "{}", metric.name);
            assert!(!metric.name.ends_with("_total"), "{}", metric.name);
            assert!(!metric.help.contains(['"', '\\', '\n']), "{}", metric.name);
            assert!(!metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    /// As Prometheus makes its names of OpenTelemetry's.
    #[test]
    fn names_of_opentelemetry_lead_back_to_ours() {
        for metric in ALL {
            let unit = match metric.otel_unit() {
                "s" => "_seconds",
                "By" => "_bytes",
                _ => "",
            };
            let back = format!("{}{unit}", metric.otel_name().replace('.', "_"));
            assert_eq!(back, metric.name);
            for label in metric.labels {
                assert_eq!(otel_label(label).replace('.', "_"), *label);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn buckets_rise() {
        for buckets in [
            &DURATION_BUCKETS[..],
            &FIRST_TOKEN_BUCKETS,
            &PER_TOKEN_BUCKETS,
            &USAGE_BUCKETS,
            &COMMIT_BUCKETS,
            &API_BUCKETS,
        ] {
            assert!(buckets.is_sorted_by(|a, b| a < b));
        }
    }
}
