//! Call: the one wide row. Every column and every clock is defined here.

use serde::Serialize;

use crate::{cost::Cost, exchange::Source, time::Timestamp, timeline::Timeline};

/// How a call ended; the first that matches, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its status or its ending was not observed.
    Incomplete,
    /// The client left (RST, or FIN with no complete answer following).
    ClientAbort,
    /// The server closed or reset before the answer was complete.
    ServerAbort,
    /// Status 429.
    RateLimited,
    /// Another 4xx.
    ClientError,
    /// A 5xx.
    ServerError,
    /// A 1xx or 3xx.
    Other,
    /// An error event or error body under a 2xx.
    ErrorIn200,
    /// A complete answer under a 2xx.
    Ok,
}

impl Outcome {
    /// The name used in rows and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::ClientAbort => "client_abort",
            Self::ServerAbort => "server_abort",
            Self::RateLimited => "rate_limited",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Other => "other",
            Self::ErrorIn200 => "error_in_200",
            Self::Ok => "ok",
        }
    }
}

/// Where an effective token figure comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenSource {
    /// The server's own usage.
    Reported,
    /// llmtap's tokenizer.
    Counted,
    /// There is no figure.
    #[default]
    None,
}

impl TokenSource {
    /// The name used in rows and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::None => "none",
        }
    }
}

/// Whether a call's row rests on all of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// No byte of it was lost.
    Complete,
    /// Some were.
    Partial,
}

impl Confidence {
    /// The name used in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
        }
    }
}

/// One LLM call. Fields stand in the order of the columns; marks are microseconds since the Unix
/// epoch, durations are microseconds, and `None` is SQL's NULL: not known, or not defined for this call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Hash of the two addresses, `request_start` and the exchange's number on the connection: a second insert is ignored.
    pub call_key: CallKey,
    /// Where it was seen.
    pub source: Source,
    /// The wire API, such as `openai_chat`; `None` where a report's bodies follow none.
    pub dialect: Option<&'static str>,
    /// The OpenTelemetry operation name: `chat`, `text_completion`, `embeddings`, …
    pub operation: Option<&'static str>,
    /// The dialect's family, such as `openai`: the provider's name unless one is set.
    pub provider: Option<&'static str>,
    /// Whether the answer was streamed; where there is none, or a refusal, whether a stream was asked for.
    pub stream: Option<bool>,
    /// The request's method.
    pub method: Option<String>,
    /// The request's path without its query string.
    pub path: Option<String>,
    /// The status code.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// The `type` of the server's error object.
    pub error_type: Option<String>,
    /// The `code` of the server's error object.
    pub error_code: Option<String>,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answered.
    pub response_model: Option<String>,
    /// All prompt tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// All generated tokens, reasoning included.
    pub output_tokens: Option<u64>,
    /// The sum, where at least one is known.
    pub total_tokens: Option<u64>,
    /// Where `input_tokens` comes from.
    pub input_source: TokenSource,
    /// Where `output_tokens` comes from.
    pub output_source: TokenSource,
    /// Whether the call broke off before its end, so that `output_tokens` is what came until then.
    pub output_partial: bool,
    /// The server's figure, unchanged.
    pub reported_input_tokens: Option<u64>,
    /// The server's figure, unchanged.
    pub reported_output_tokens: Option<u64>,
    /// llmtap's count.
    pub counted_input_tokens: Option<u64>,
    /// llmtap's count.
    pub counted_output_tokens: Option<u64>,
    /// The tokenizer that counted.
    pub tokenizer: Option<&'static str>,
    /// Prompt tokens that came from a cache.
    pub cached_tokens: Option<u64>,
    /// Prompt tokens written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Generated tokens that were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Audio tokens, input and output.
    pub audio_tokens: Option<u64>,
    /// The points in time.
    pub marks: Marks,
    /// ended − request_start.
    pub elapsed: Option<i64>,
    /// request_end − request_start.
    pub upload: Option<i64>,
    /// first_token − request_start.
    pub ttft: Option<i64>,
    /// (last_token − first_token) / (output_tokens − 1), in fractional microseconds.
    pub tpot: Option<f64>,
    /// total_tokens / elapsed, a second.
    pub tokens_per_second: Option<f64>,
    /// Median gap between content events on the wire.
    pub gap_p50: Option<i64>,
    /// 95th percentile of those gaps.
    pub gap_p95: Option<i64>,
    /// The largest of those gaps.
    pub gap_max: Option<i64>,
    /// How many of those gaps passed the stall threshold; `None` without a stream.
    pub stalls: Option<u64>,
    /// The server's last payload after the client's FIN or RST, minus that FIN or RST; else 0, and 0
    /// where a complete answer followed (a half-closed client still reads).
    pub wasted: i64,
    /// Finish reasons in the order of the choices.
    pub finish_reasons: Vec<String>,
    /// The TCP client's address, without its port.
    pub peer: Option<String>,
    /// The client's address, by the headers of a trusted peer.
    pub client: Option<String>,
    /// The user, by the body's field or a configured header.
    pub user: Option<String>,
    /// Keyed hash of the bearer token or api-key.
    pub key: Option<String>,
    /// The TCP server's address and port.
    pub server: Option<String>,
    /// Request bytes that were not seen.
    pub missing_request_bytes: u64,
    /// Response bytes that were not seen.
    pub missing_response_bytes: u64,
    /// Whether something was seen but not read, for a cap or a coding.
    pub truncated: bool,
    /// Whether the row rests on all bytes.
    pub confidence: Confidence,
    /// A report's own `timestamp` text, unchanged.
    pub reported_timestamp: Option<String>,
    /// The call that this row shows from farther out, at a relay's other side: sums leave this row out.
    pub outer_of: Option<CallKey>,
    /// The wire API that the answer follows, where that is another one than the request's.
    pub response_dialect: Option<&'static str>,
    /// The answer's own id.
    pub response_id: Option<String>,
    /// The most tokens that were to be generated.
    pub max_tokens: Option<u64>,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// How many choices were asked for.
    pub n: Option<u32>,
    /// Messages of the prompt, where it has such.
    pub message_count: Option<u64>,
    /// Tools on offer, where the request has such a list.
    pub tool_count: Option<u64>,
    /// Whether and which tool must be called, in the wire's word.
    pub tool_choice: Option<String>,
    /// The form of the answer that was asked for, in the wire's word.
    pub response_format: Option<String>,
    /// Bytes of the files that were uploaded, where there are some.
    pub file_bytes: Option<u64>,
    /// The Content-Type of the first of them.
    pub file_type: Option<String>,
    /// Names of the tools that the answer calls, in order, over all choices.
    pub tool_calls: Vec<String>,
    /// Characters of the answer itself, refusals and transcripts included.
    pub content_chars: Option<u64>,
    /// Characters of its thoughts.
    pub reasoning_chars: Option<u64>,
    /// Characters of the arguments of its tool calls.
    pub tool_chars: Option<u64>,
    /// How long the call waited for its turn, as the server says.
    pub server_queue: Option<i64>,
    /// How long the prompt took, as the server says.
    pub server_prefill: Option<i64>,
    /// How long generating took, as the server says.
    pub server_decode: Option<i64>,
    /// How long loading the model took, as the server says.
    pub server_load: Option<i64>,
    /// How long all of it took, as the server says.
    pub server_total: Option<i64>,
    /// How long the client was asked to wait before it tries again.
    pub retry_after: Option<i64>,
    /// The events of a stream.
    pub timeline: Option<Timeline>,
    /// What else the heads say of who called.
    pub whose: Whose,
    /// Secrets that were taken out of this row and its bodies.
    pub redactions: u64,
    /// What it costs by the price table; nothing without one.
    pub cost: Cost,
}

impl Call {
    /// Every text of the row that traffic wrote, for secrets to be taken out of.
    pub(crate) fn wire_texts(&mut self) -> impl Iterator<Item = &mut String> {
        let WireTexts {
            fields,
            lists,
            labels,
        } = self.wire_fields();
        let fields = fields.into_iter().flatten();
        let lists = lists.into_iter().flatten();
        fields
            .chain(lists)
            .chain(labels.iter_mut().map(|label| &mut label.value))
    }

    /// Where those texts stand. Texts that llmtap makes itself (addresses, names of its own, hashes) are none of
    /// them.
    fn wire_fields(&mut self) -> WireTexts<'_> {
        let whose = &mut self.whose;
        WireTexts {
            fields: vec![
                &mut self.method,
                &mut self.path,
                &mut self.error_type,
                &mut self.error_code,
                &mut self.request_model,
                &mut self.response_model,
                &mut self.user,
                &mut self.reported_timestamp,
                &mut self.response_id,
                &mut self.tool_choice,
                &mut self.response_format,
                &mut self.file_type,
                &mut whose.user_agent,
                &mut whose.request_id,
                &mut whose.server_request_id,
            ],
            lists: vec![&mut self.finish_reasons, &mut self.tool_calls],
            labels: &mut whose.labels,
        }
    }
}

/// The places of a row in which text of the wire stands.
struct WireTexts<'c> {
    fields: Vec<&'c mut Option<String>>,
    lists: Vec<&'c mut Vec<String>>,
    labels: &'c mut Vec<Label>,
}

/// What the heads of request and answer say of who called, beside the addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// The request's `User-Agent`.
    pub user_agent: Option<String>,
    /// The trace that the request belongs to: 32 hexadecimal digits of its `traceparent`.
    pub trace_id: Option<String>,
    /// The caller's span in that trace: 16 hexadecimal digits.
    pub span_id: Option<String>,
    /// The request's name for itself, by `X-Request-Id` or the like.
    pub request_id: Option<String>,
    /// The answer's name for the request, by `x-request-id`, `request-id` or the like.
    pub server_request_id: Option<String>,
    /// Values of the headers that the operator listed, in the order of the list.
    pub labels: Vec<Label>,
}

impl Whose {
    /// The labels as a JSON object; `None` where there are none.
    pub(crate) fn labels_json(&self) -> Option<String> {
        let labels = self.labels.iter();
        let object: serde_json::Map<_, _> = labels
            .map(|label| (label.name.clone(), label.value.as_str().into()))
            .collect();
        (!object.is_empty()).then(|| serde_json::Value::from(object).to_string())
    }
}

/// The value of a listed header, under the name that the operator gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The marks of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// The first byte of the request.
    pub request_start: Option<Timestamp>,
    /// Its last byte.
    pub request_end: Option<Timestamp>,
    /// The last byte of the final response head.
    pub response_head: Option<Timestamp>,
    /// The first event that carries a choice or content block, even an empty one (streams).
    pub first_event: Option<Timestamp>,
    /// The first event with output in it (streams).
    pub first_token: Option<Timestamp>,
    /// The last such event (streams).
    pub last_token: Option<Timestamp>,
    /// The last byte of the response, if it came to an end.
    pub response_end: Option<Timestamp>,
    /// `response_end`, or what broke the exchange off.
    pub ended: Option<Timestamp>,
}

impl Marks {
    /// Moves all marks alike; durations between them stay.
    pub(crate) fn shift(&mut self, micros: i64) {
        for mark in [
            &mut self.request_start,
            &mut self.request_end,
            &mut self.response_head,
            &mut self.first_event,
            &mut self.first_token,
            &mut self.last_token,
            &mut self.response_end,
            &mut self.ended,
        ] {
            *mark = mark.map(|time| time.plus_micros(micros));
        }
    }
}

/// The key that makes a row unique, whoever sends it and how often.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallKey(pub [u8; 16]);

impl std::fmt::Display for CallKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text of a call's request and response as the wire had them (decoded), cut to what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// The request's body.
    pub request: StoredBody,
    /// The response's body.
    pub response: StoredBody,
}

/// A body as kept for storage: its first 256 KiB, its last 64 KiB, and what was left out between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBody {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes, where the body was longer than the head's cap.
    pub tail: Vec<u8>,
    /// Bytes left out between the two.
    pub omitted: u64,
}

/// One finished exchange, LLM call or not: the row of `--rows exchanges`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExchangeRow {
    /// The client's address.
    pub peer: Option<String>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// The server's address and port.
    pub server: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The target as sent.
    pub target: Option<String>,
    /// The HTTP version of the request, else of the response.
    pub version: Option<&'static str>,
    /// The status code.
    pub status: Option<u16>,
    /// Length of the request's body, framing taken off.
    pub request_body_len: u64,
    /// Length of the response's body, framing taken off.
    pub response_body_len: u64,
    /// Length of the request's body, content coding taken off too.
    pub request_decoded_len: u64,
    /// Length of the response's body, content coding taken off too.
    pub response_decoded_len: u64,
    /// The first byte of the request, microseconds since the Unix epoch.
    pub request_start: Option<Timestamp>,
    /// Its last byte.
    pub request_end: Option<Timestamp>,
    /// The last byte of the final response head.
    pub response_head: Option<Timestamp>,
    /// The last byte of the response.
    pub response_end: Option<Timestamp>,
    /// The end of the exchange.
    pub ended: Option<Timestamp>,
    /// Bytes missing in the request's head.
    pub missing_request_head: u64,
    /// Bytes missing in the request's body.
    pub missing_request_body: u64,
    /// Bytes missing in the response's head.
    pub missing_response_head: u64,
    /// Bytes missing in the response's body.
    pub missing_response_body: u64,
    /// `http/1.1` and so on.
    pub protocol: &'static str,
    /// How it ended.
    pub ending: &'static str,
    /// The dialect, if it is an LLM call.
    pub dialect: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        columns::{CALL_COLUMNS, Value},
        fixtures,
    };

    /// Text columns that llmtap writes itself. A new column stands here, or in [`Call::wire_fields`].
    const OWN: [&str; 18] = [
        "source",
        "dialect",
        "operation",
        "outcome",
        "input_source",
        "output_source",
        "tokenizer",
        "peer",
        "client",
        "key",
        "server",
        "confidence",
        "provider",
        "response_dialect",
        "trace_id",
        "span_id",
        // Of the operator's price table.
        "currency",
        "unpriced",
    ];

    #[test]
    fn every_text_of_the_wire_is_looked_through() {
        let mut call = fixtures::call(1);
        call.whose.labels = vec![Label {
            name: "team".to_owned(),
            value: "blue".to_owned(),
        }];
        let places = call.wire_fields();
        for field in places.fields {
            *field = Some("SECRET".to_owned());
        }
        for list in places.lists {
            *list = vec!["SECRET".to_owned(); 2];
        }
        for text in call.wire_texts() {
            *text = text.replace("SECRET", "WIRE").replace("blue", "WIRE");
        }
        for column in CALL_COLUMNS {
            let shown = match (column.get)(&call) {
                Value::Text(text) => text.into_owned(),
                Value::List(items) => items.concat(),
                Value::Null if !OWN.contains(&column.name) && is_text(column.kind) => String::new(),
                _ => continue,
            };
            let own = OWN.contains(&column.name);
            assert!(own != shown.contains("WIRE"), "{}: {shown}", column.name);
        }
        assert_eq!(
            call.whose.labels_json().as_deref(),
            Some("{\"team\":\"WIRE\"}")
        );
    }

    fn is_text(kind: crate::columns::Kind) -> bool {
        use crate::columns::Kind;
        matches!(kind, Kind::Text | Kind::List)
    }
}
