//! A call as a span of OpenTelemetry's GenAI conventions.
//!
//! The kind is SERVER: the tap sees what reached the model server. Its parent is the caller's span where the request
//! brought a `traceparent`; without one, the call is a trace of its own. Both ids come from the call's key, so that a
//! call sent twice is the same span twice.

use super::{
    proto::{Any, Array, KeyValue, Span, SpanEvent, SpanKind, Status, StatusCode},
    settings::Content,
};
use crate::{
    call::{Call, CallKey, Marks, Outcome},
    columns::Value,
    record::Record,
    store::body_text,
    time::Timestamp,
};

/// Stands in the required operation where it is not known, as in the metrics.
const UNKNOWN: &str = "unknown";

/// That a parent is in another process: bits 8 and 9 of a span's flags.
const PARENT_IS_REMOTE: u32 = 0x300;

type Get = for<'a> fn(&'a Call) -> Value<'a>;

/// The attributes and where they come from; NULLs are left out. Durations are seconds. Names of OpenTelemetry's first
/// (GenAI conventions as of schema 1.42), then ours.
#[rustfmt::skip]
const ATTRIBUTES: &[(&str, Get)] = &[
    ("gen_ai.operation.name", |c| c.operation.unwrap_or(UNKNOWN).into()),
    ("gen_ai.provider.name", |c| c.provider.unwrap_or(UNKNOWN).into()),
    ("gen_ai.request.model", |c| c.request_model.as_ref().into()),
    ("gen_ai.request.stream", |c| c.stream.filter(|stream| *stream).into()),
    ("gen_ai.request.max_tokens", |c| c.max_tokens.into()),
    ("gen_ai.request.temperature", |c| c.temperature.into()),
    ("gen_ai.request.choice.count", |c| c.n.filter(|n| *n != 1).map(u64::from).into()),
    ("gen_ai.response.id", |c| c.response_id.as_ref().into()),
    ("gen_ai.response.model", |c| c.response_model.as_ref().into()),
    ("gen_ai.response.finish_reasons", |c| list(&c.finish_reasons)),
    ("gen_ai.response.time_to_first_chunk", |c| time_to_first_chunk(&c.marks)),
    ("gen_ai.usage.input_tokens", |c| c.input_tokens.into()),
    ("gen_ai.usage.output_tokens", |c| c.output_tokens.into()),
    ("gen_ai.usage.cache_read.input_tokens", |c| c.cached_tokens.into()),
    ("gen_ai.usage.cache_creation.input_tokens", |c| c.cache_write_tokens.into()),
    ("gen_ai.usage.reasoning.output_tokens", |c| c.reasoning_tokens.into()),
    ("error.type", |c| (c.outcome != Outcome::Ok).then(|| c.outcome.as_str()).into()),
    ("http.request.method", |c| c.method.as_ref().into()),
    ("http.response.status_code", |c| c.status.into()),
    ("url.path", |c| c.path.as_ref().into()),
    ("user_agent.original", |c| c.whose.user_agent.as_ref().into()),
    ("client.address", |c| c.client.as_ref().or(c.peer.as_ref()).into()),
    ("network.peer.address", |c| c.peer.as_ref().into()),
    ("user.id", |c| c.user.as_ref().into()),
    ("llmtap.call_key", |c| Value::Key(c.call_key)),
    ("llmtap.source", |c| c.source.as_str().into()),
    ("llmtap.dialect", |c| c.dialect.into()),
    ("llmtap.response_dialect", |c| c.response_dialect.into()),
    ("llmtap.outcome", |c| c.outcome.as_str().into()),
    ("llmtap.error_type", |c| c.error_type.as_ref().into()),
    ("llmtap.error_code", |c| c.error_code.as_ref().into()),
    ("llmtap.input_source", |c| c.input_source.as_str().into()),
    ("llmtap.output_source", |c| c.output_source.as_str().into()),
    ("llmtap.output_partial", |c| c.output_partial.into()),
    ("llmtap.audio_tokens", |c| c.audio_tokens.into()),
    ("llmtap.ttft", |c| duration(c.ttft)),
    ("llmtap.tpot", |c| c.tpot.map_or(Value::Null, Value::FineDuration)),
    ("llmtap.gap_max", |c| duration(c.gap_max)),
    ("llmtap.stalls", |c| c.stalls.into()),
    ("llmtap.wasted", |c| duration(Some(c.wasted).filter(|wasted| *wasted > 0))),
    ("llmtap.key", |c| c.key.as_ref().into()),
    ("llmtap.missing_request_bytes", |c| c.missing_request_bytes.into()),
    ("llmtap.missing_response_bytes", |c| c.missing_response_bytes.into()),
    ("llmtap.confidence", |c| c.confidence.as_str().into()),
    ("llmtap.request_id", |c| c.whose.request_id.as_ref().into()),
    ("llmtap.server_request_id", |c| c.whose.server_request_id.as_ref().into()),
    ("llmtap.cost", |c| c.cost.nanos.map_or(Value::Null, Value::Money)),
    ("llmtap.currency", |c| c.cost.currency.as_deref().into()),
];

type Mark = fn(&Marks) -> Option<Timestamp>;

/// The marks that are events of the span.
const EVENTS: &[(&str, Mark)] = &[
    ("llmtap.request_end", |m| m.request_end),
    ("llmtap.response_head", |m| m.response_head),
    ("llmtap.first_token", |m| m.first_token),
    ("llmtap.last_token", |m| m.last_token),
];

/// The span of a call; `None` where no mark of it is known.
pub(super) fn span(record: &Record, content: Content) -> Option<Span> {
    let call = &record.call;
    let marks = &call.marks;
    let end = marks.ended.or(marks.response_head).or(marks.request_end);
    let start = marks.request_start.or(marks.response_head).or(end)?;
    let end = end.unwrap_or(start).max(start);
    let (trace_id, parent_span_id) = match caller(call) {
        Some((trace, span)) => (trace, span),
        None => (whole_id(call.call_key), Vec::new()),
    };
    let operation = call.operation.unwrap_or(UNKNOWN);
    let name = match call.request_model.as_deref() {
        Some(model) => format!("{operation} {model}"),
        None => operation.to_owned(),
    };
    let flags = if parent_span_id.is_empty() {
        0
    } else {
        PARENT_IS_REMOTE
    };
    Some(Span {
        trace_id,
        span_id: span_id(call.call_key),
        parent_span_id,
        name,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(end),
        attributes: attributes(record, content),
        events: events(marks),
        status: status(call),
        flags,
    })
}

/// Nanoseconds since the Unix epoch; times before it are the epoch.
pub(super) fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros())
        .unwrap_or(0)
        .saturating_mul(1_000)
}

/// The id of a call's span: half of its key. An id of zeros is none.
pub(super) fn span_id(key: CallKey) -> Vec<u8> {
    not_zero(key.0.iter().copied().take(8).collect())
}

fn whole_id(key: CallKey) -> Vec<u8> {
    not_zero(key.0.to_vec())
}

fn not_zero(mut id: Vec<u8>) -> Vec<u8> {
    if id.iter().all(|byte| *byte == 0)
        && let Some(last) = id.last_mut()
    {
        *last = 1;
    }
    id
}

/// The trace and the span of the caller, by its `traceparent`.
fn caller(call: &Call) -> Option<(Vec<u8>, Vec<u8>)> {
    let trace = bytes(call.whose.trace_id.as_deref()?, 16)?;
    let span = bytes(call.whose.span_id.as_deref()?, 8)?;
    Some((trace, span))
}

/// The bytes of a hexadecimal id; none of another length, and none of zeros.
fn bytes(hex: &str, length: usize) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != length || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    let id = pairs.iter().map(byte).collect::<Option<Vec<_>>>()?;
    id.iter().any(|byte| *byte != 0).then_some(id)
}

fn attributes(record: &Record, content: Content) -> Vec<KeyValue> {
    let call = &record.call;
    let own = ATTRIBUTES
        .iter()
        .filter_map(|(key, get)| Some(KeyValue::new(key, any(get(call))?)));
    let mut attributes: Vec<_> = own.collect();
    if let Some((address, port)) = call.server.as_deref().and_then(address_and_port) {
        attributes.push(KeyValue::text("server.address", address));
        attributes.push(KeyValue::new("server.port", Any::Int(port.into())));
    }
    for label in &call.whose.labels {
        let key = format!("llmtap.label.{}", label.name);
        attributes.push(KeyValue::text(&key, &label.value));
    }
    if content == Content::Sent
        && let Some(bodies) = &record.bodies
    {
        for (key, body) in [
            ("llmtap.request.body", &bodies.request),
            ("llmtap.response.body", &bodies.response),
        ] {
            attributes.push(KeyValue::new(key, Any::Text(body_text(body))));
        }
    }
    attributes
}

fn any(value: Value<'_>) -> Option<Any> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => Any::Bool(yes),
        Value::Integer(number) => Any::Int(number),
        Value::Real(number) => Any::Double(number),
        Value::Text(text) => Any::Text(text.into_owned()),
        Value::Time(time) => Any::Double(time.as_seconds()),
        Value::Duration(micros) => Any::Double(micros as f64 / 1e6),
        Value::FineDuration(micros) => Any::Double(micros / 1e6),
        Value::Money(nanos) => Any::Double(nanos as f64 / 1e9),
        Value::List(items) => Any::Array(Array {
            values: items.iter().map(|i| Any::Text(i.clone()).into()).collect(),
        }),
        Value::Json(text) => Any::Text(text),
        Value::Key(key) => Any::Text(key.to_string()),
    })
}

fn list(items: &[String]) -> Value<'_> {
    if items.is_empty() {
        return Value::Null;
    }
    Value::List(items)
}

fn duration(micros: Option<i64>) -> Value<'static> {
    micros.map_or(Value::Null, Value::Duration)
}

fn time_to_first_chunk(marks: &Marks) -> Value<'static> {
    let micros = marks.first_event.zip(marks.request_start);
    let micros = micros.map(|(event, start)| event.micros_since(start));
    duration(micros.filter(|micros| *micros >= 0))
}

/// `10.0.0.2:8000` or `[::1]:8000`, in two.
fn address_and_port(server: &str) -> Option<(&str, u16)> {
    let (address, port) = server.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    Some((address, port.parse().ok()?))
}

fn events(marks: &Marks) -> Vec<SpanEvent> {
    let seen = EVENTS.iter().filter_map(|(name, get)| {
        Some(SpanEvent {
            time_unix_nano: nanos(get(marks)?),
            name: (*name).to_owned(),
        })
    });
    seen.collect()
}

/// An error, with the server's own word where it gave one. Of what was not seen to its end, nothing is said.
fn status(call: &Call) -> Option<Status> {
    let message = match call.outcome {
        Outcome::Ok | Outcome::Incomplete | Outcome::Other => return None,
        _ => call.error_type.clone().or_else(|| call.error_code.clone()),
    };
    Some(Status {
        message: message.unwrap_or_else(|| call.outcome.as_str().to_owned()),
        code: StatusCode::Error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn attribute(span: &Span, key: &str) -> Option<Any> {
        let mut found = span.attributes.iter().filter(|pair| pair.key == key);
        let value = found.next()?.value.clone()?.value;
        assert!(found.next().is_none(), "{key} stands twice");
        value
    }

    #[expect(clippy::unnecessary_wraps, reason = "as attributes are found")]
    fn text(text: &str) -> Option<Any> {
        Some(Any::Text(text.to_owned()))
    }

    #[test]
    fn a_call_is_a_span_of_the_conventions() {
        let record = fixtures::record(7);
        let span = span(&record, Content::Left).unwrap();
        assert_eq!(span.name, "chat qwen3");
        assert_eq!(span.kind, 2);
        assert_eq!(span.trace_id, [7; 16]);
        assert_eq!(span.span_id, [7; 8]);
        assert_eq!(span.parent_span_id, [0; 0]);
        assert_eq!(span.start_time_unix_nano, 1_767_225_600_000_000_000);
        assert_eq!(span.end_time_unix_nano, 1_767_225_601_500_000_000);
        assert_eq!(span.status, None);
        for (key, value) in [
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.request.model", text("qwen3")),
            ("gen_ai.request.stream", Some(Any::Bool(true))),
            ("gen_ai.request.choice.count", Some(Any::Int(2))),
            ("gen_ai.usage.input_tokens", Some(Any::Int(10))),
            ("gen_ai.usage.output_tokens", Some(Any::Int(20))),
            (
                "gen_ai.response.time_to_first_chunk",
                Some(Any::Double(0.05)),
            ),
            ("server.address", text("10.0.0.2")),
            ("server.port", Some(Any::Int(8000))),
            ("client.address", text("192.0.2.7")),
            ("http.response.status_code", Some(Any::Int(200))),
            ("llmtap.ttft", Some(Any::Double(0.052))),
            ("llmtap.output_source", text("counted")),
            ("error.type", None),
            ("llmtap.cost", None),
            ("llmtap.request.body", None),
        ] {
            assert_eq!(attribute(&span, key), value, "{key}");
        }
        let events = span.events.iter().map(|event| event.name.as_str());
        assert_eq!(
            events.collect::<Vec<_>>(),
            EVENTS.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_callers_span_is_the_parent_where_it_is_one() {
        let mut record = fixtures::record(7);
        let whose = &mut record.call.whose;
        whose.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
        whose.span_id = Some("00f067aa0ba902b7".to_owned());
        let child = span(&record, Content::Left).unwrap();
        assert_eq!(child.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(
            child.parent_span_id,
            [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
        );
        assert_eq!(child.span_id, [7; 8]);
        for bad in [
            "0000000000000000",
            "00f067aa0ba902b",
            "00f067aa0ba902bg",
            "",
            "00f067aa0ba902b7ff",
        ] {
            record.call.whose.span_id = Some(bad.to_owned());
            let own = span(&record, Content::Left).unwrap();
            assert_eq!(
                (own.trace_id, own.parent_span_id),
                (vec![7; 16], Vec::new()),
                "{bad}"
            );
        }
        record.call.call_key = CallKey([0; 16]);
        let zeros = span(&record, Content::Left).unwrap();
        assert_eq!(
            (zeros.trace_id[15], zeros.span_id[7]),
            (1, 1),
            "zeros are no id"
        );
    }

    #[test]
    fn content_goes_where_it_is_asked_for() {
        let mut record = fixtures::record(1);
        let with = span(&record, Content::Sent).unwrap();
        assert_eq!(attribute(&with, "llmtap.request.body"), text("{\"q\":1}"));
        assert_eq!(
            attribute(&with, "llmtap.response.body"),
            text("data: [DONE]\n\n")
        );
        if let Some(bodies) = &mut record.bodies {
            bodies.request.omitted = 5;
            bodies.request.tail = b"end".to_vec();
        }
        let cut = span(&record, Content::Sent).unwrap();
        assert_eq!(
            attribute(&cut, "llmtap.request.body"),
            text("{\"q\":1}[... 5 bytes left out ...]end")
        );
    }

    #[test]
    fn errors_are_the_spans_status() {
        let mut record = fixtures::record(1);
        record.call.outcome = Outcome::RateLimited;
        let refused = span(&record, Content::Left).unwrap();
        assert_eq!(attribute(&refused, "error.type"), text("rate_limited"));
        let status = refused.status.unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "rate_limited"));
        record.call.outcome = Outcome::Incomplete;
        assert_eq!(span(&record, Content::Left).unwrap().status, None);
    }

    #[test]
    fn a_call_without_times_is_no_span_and_one_with_a_single_one_is() {
        let mut record = fixtures::record(1);
        record.call.marks = Marks::default();
        assert!(span(&record, Content::Left).is_none());
        record.call.marks.ended = Some(Timestamp::from_micros(5));
        let short = span(&record, Content::Left).unwrap();
        assert_eq!(
            (short.start_time_unix_nano, short.end_time_unix_nano),
            (5_000, 5_000)
        );
    }

    #[test]
    fn addresses_of_both_families_are_split() {
        assert_eq!(address_and_port("10.0.0.2:80"), Some(("10.0.0.2", 80)));
        assert_eq!(
            address_and_port("[2001:db8::1]:8000"),
            Some(("2001:db8::1", 8000))
        );
        assert_eq!(address_and_port("nothing"), None);
    }
}
