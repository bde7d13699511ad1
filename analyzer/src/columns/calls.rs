//! The columns of a call. A new one is one line here: with `.since(N)`, where `N` is the next schema version.

use super::{Column, Kind, Value};
use crate::{call::Call, cost::Unpriced};

/// The columns of a call after `id`, in order.
#[rustfmt::skip]
pub const CALL_COLUMNS: &[Column<Call>] = &[
    key("call_key", "hash of the addresses, request_start and the exchange's number: unique", |c| Value::Key(c.call_key)),
    text("source", "where it was seen: ebpf, pcap, file, report, import", |c| c.source.as_str().into()),
    text("dialect", "the wire API, such as openai_chat", |c| c.dialect.into()),
    text("operation", "the OpenTelemetry operation: chat, text_completion, ...", |c| c.operation.into()),
    bool("stream", "whether the answer was streamed", |c| c.stream.into()),
    text("method", "the request's method", |c| c.method.as_ref().into()),
    text("path", "the request's path, without its query string", |c| c.path.as_ref().into()),
    int("status", "the HTTP status code", |c| c.status.into()),
    text("outcome", "how it ended: ok, error_in_200, client_error, ...", |c| c.outcome.as_str().into()),
    text("error_type", "the type in the server's error object", |c| c.error_type.as_ref().into()),
    text("error_code", "the code in the server's error object", |c| c.error_code.as_ref().into()),
    text("request_model", "the model that was asked for", |c| c.request_model.as_ref().into()),
    text("response_model", "the model that answered", |c| c.response_model.as_ref().into()),
    int("input_tokens", "all prompt tokens, cached ones included", |c| c.input_tokens.into()),
    int("output_tokens", "all generated tokens, reasoning included", |c| c.output_tokens.into()),
    int("total_tokens", "the sum of the two", |c| c.total_tokens.into()),
    text("input_source", "where input_tokens comes from: reported, counted, none", |c| c.input_source.as_str().into()),
    text("output_source", "where output_tokens comes from: reported, counted, none", |c| c.output_source.as_str().into()),
    bool("output_partial", "whether the call broke off before its end", |c| c.output_partial.into()),
    int("reported_input_tokens", "the server's figure, unchanged", |c| c.reported_input_tokens.into()),
    int("reported_output_tokens", "the server's figure, unchanged", |c| c.reported_output_tokens.into()),
    int("counted_input_tokens", "llmtap's count", |c| c.counted_input_tokens.into()),
    int("counted_output_tokens", "llmtap's count", |c| c.counted_output_tokens.into()),
    text("tokenizer", "the tokenizer that counted", |c| c.tokenizer.into()),
    int("cached_tokens", "prompt tokens that came from a cache", |c| c.cached_tokens.into()),
    int("cache_write_tokens", "prompt tokens written to a cache", |c| c.cache_write_tokens.into()),
    int("reasoning_tokens", "generated tokens that were reasoning", |c| c.reasoning_tokens.into()),
    int("audio_tokens", "audio tokens, input and output", |c| c.audio_tokens.into()),
    time("request_start", "the first byte of the request", |c| c.marks.request_start.into()),
    time("request_end", "its last byte", |c| c.marks.request_end.into()),
    time("response_head", "the last byte of the final response head", |c| c.marks.response_head.into()),
    time("first_event", "the first event with a choice or content block (streams)", |c| c.marks.first_event.into()),
    time("first_token", "the first event with output in it (streams)", |c| c.marks.first_token.into()),
    time("last_token", "the last such event (streams)", |c| c.marks.last_token.into()),
    time("response_end", "the last byte of the response, if it came to an end", |c| c.marks.response_end.into()),
    time("ended", "response_end, or what broke the exchange off", |c| c.marks.ended.into()),
    span("elapsed", "ended - request_start", |c| micros(c.elapsed)),
    span("upload", "request_end - request_start", |c| micros(c.upload)),
    span("ttft", "first_token - request_start", |c| micros(c.ttft)),
    fine_span("tpot", "(last_token - first_token) / (output_tokens - 1)", |c| c.tpot.map_or(Value::Null, Value::FineDuration)),
    real("tokens_per_second", "total_tokens / elapsed", |c| c.tokens_per_second.into()),
    span("gap_p50", "median gap between content events on the wire", |c| micros(c.gap_p50)),
    span("gap_p95", "95th percentile of those gaps", |c| micros(c.gap_p95)),
    span("gap_max", "the largest of those gaps", |c| micros(c.gap_max)),
    int("stalls", "how many of those gaps passed the stall threshold", |c| c.stalls.into()),
    span("wasted", "the server's last payload after the client left, minus that leaving; 0 where a complete answer followed, and else", |c| Value::Duration(c.wasted)),
    list("finish_reasons", "finish reasons in the order of the choices", |c| Value::List(&c.finish_reasons)),
    text("peer", "the TCP client's address", |c| c.peer.as_ref().into()),
    text("client", "the client's address, by the headers of a trusted peer", |c| c.client.as_ref().into()),
    text("user", "the user, by the body's field or a configured header", |c| c.user.as_ref().into()),
    text("key", "keyed hash of the bearer token or api-key", |c| c.key.as_ref().into()),
    text("server", "the TCP server's address and port", |c| c.server.as_ref().into()),
    int("missing_request_bytes", "request bytes that were not seen", |c| c.missing_request_bytes.into()),
    int("missing_response_bytes", "response bytes that were not seen", |c| c.missing_response_bytes.into()),
    bool("truncated", "whether something was seen but not read", |c| c.truncated.into()),
    text("confidence", "complete or partial: whether the row rests on all bytes", |c| c.confidence.as_str().into()),
    text("provider", "the provider's name, by the dialect", |c| c.provider.into()),
    text("reported_timestamp", "a report's own timestamp, unchanged", |c| c.reported_timestamp.as_ref().into()),
    other_key("outer_of", "the call_key of the same call nearer to the model server: leave this row out of sums", |c| c.outer_of.map_or(Value::Null, Value::Key)).since(2),
    text("response_dialect", "the wire API that the answer follows, where it is another one", |c| c.response_dialect.into()).since(2),
    text("response_id", "the answer's own id", |c| c.response_id.as_ref().into()).since(2),
    int("max_tokens", "the most tokens that were to be generated", |c| c.max_tokens.into()).since(2),
    real("temperature", "the sampling temperature that was asked for", |c| c.temperature.into()).since(2),
    int("n", "how many choices were asked for", |c| c.n.map(u64::from).into()).since(2),
    int("message_count", "messages of the prompt", |c| c.message_count.into()).since(2),
    int("tool_count", "tools on offer", |c| c.tool_count.into()).since(2),
    text("tool_choice", "whether and which tool must be called, in the wire's word", |c| c.tool_choice.as_ref().into()).since(2),
    text("response_format", "the form of the answer that was asked for, in the wire's word", |c| c.response_format.as_ref().into()).since(2),
    int("file_bytes", "bytes of the files that were uploaded", |c| c.file_bytes.into()).since(2),
    text("file_type", "the Content-Type of the first of them", |c| c.file_type.as_ref().into()).since(2),
    list("tool_calls", "names of the tools that the answer calls", |c| Value::List(&c.tool_calls)).since(2),
    int("content_chars", "characters of the answer itself", |c| c.content_chars.into()).since(2),
    int("reasoning_chars", "characters of its thoughts", |c| c.reasoning_chars.into()).since(2),
    int("tool_chars", "characters of the arguments of its tool calls", |c| c.tool_chars.into()).since(2),
    span("server_queue", "waiting for its turn, as the server says", |c| micros(c.server_queue)).since(2),
    span("server_prefill", "computing the prompt, as the server says", |c| micros(c.server_prefill)).since(2),
    span("server_decode", "generating, as the server says", |c| micros(c.server_decode)).since(2),
    span("server_load", "loading the model, as the server says", |c| micros(c.server_load)).since(2),
    span("server_total", "all of it, as the server says", |c| micros(c.server_total)).since(2),
    span("retry_after", "how long the client was asked to wait before it tries again", |c| micros(c.retry_after)).since(2),
    json("timeline", "the stream's events as [wait, span, kind, events, bytes], microseconds", |c| c.timeline.as_ref().map_or(Value::Null, |t| Value::Json(t.to_json()))).since(2),
    text("user_agent", "the request's User-Agent", |c| c.whose.user_agent.as_ref().into()).since(2),
    text("trace_id", "the trace of the request's traceparent", |c| c.whose.trace_id.as_ref().into()).since(2),
    text("span_id", "the caller's span in that trace", |c| c.whose.span_id.as_ref().into()).since(2),
    text("request_id", "the request's name for itself, by X-Request-Id or the like", |c| c.whose.request_id.as_ref().into()).since(2),
    text("server_request_id", "the answer's name for the request, by x-request-id, request-id or the like", |c| c.whose.server_request_id.as_ref().into()).since(2),
    json("labels", "values of the headers that --label names", |c| c.whose.labels_json().map_or(Value::Null, Value::Json)).since(2),
    int("redactions", "secrets that were taken out of this row and its bodies", |c| c.redactions.into()).since(2),
    money("cost", "what it costs by the price table; of what is known, where unpriced names a side", |c| c.cost.nanos.map_or(Value::Null, Value::Money)).since(3),
    text("currency", "the currency of the cost", |c| c.cost.currency.as_deref().into()).since(3),
    text("unpriced", "why the cost is missing or too low: model, time, tokens, input_tokens, output_tokens, too_high", |c| c.cost.unpriced.map(Unpriced::as_str).into()).since(3),
];

type Get = for<'a> fn(&'a Call) -> Value<'a>;

const fn bool(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Bool, doc, get)
}

const fn int(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Integer, doc, get)
}

const fn real(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Real, doc, get)
}

const fn text(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Text, doc, get)
}

const fn list(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::List, doc, get)
}

const fn json(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Json, doc, get)
}

const fn key(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Key, doc, get)
}

const fn other_key(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::OtherKey, doc, get)
}

const fn time(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Time, doc, get)
}

const fn span(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Duration, doc, get)
}

const fn money(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::Money, doc, get)
}

const fn fine_span(name: &'static str, doc: &'static str, get: Get) -> Column<Call> {
    Column::new(name, Kind::FineDuration, doc, get)
}

fn micros(value: Option<i64>) -> Value<'static> {
    value.map_or(Value::Null, Value::Duration)
}
