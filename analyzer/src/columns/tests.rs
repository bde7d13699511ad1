use super::*;
use crate::fixtures;

/// The list of the design, word for word.
const DESIGN: &str = "id, call_key, source, dialect, operation, stream, method, path, status, outcome, \
    error_type, error_code, request_model, response_model, input_tokens, output_tokens, total_tokens, \
    input_source, output_source, output_partial, reported_input_tokens, reported_output_tokens, \
    counted_input_tokens, counted_output_tokens, tokenizer, cached_tokens, cache_write_tokens, \
    reasoning_tokens, audio_tokens, request_start, request_end, response_head, first_event, first_token, \
    last_token, response_end, ended, elapsed, upload, ttft, tpot, tokens_per_second, gap_p50, gap_p95, \
    gap_max, stalls, wasted, finish_reasons, peer, client, user, key, server, missing_request_bytes, \
    missing_response_bytes, truncated, confidence";

#[test]
fn columns_stand_in_the_order_of_the_design() {
    let names: Vec<_> = call_headings().collect();
    let design: Vec<_> = DESIGN.split(',').map(str::trim).collect();
    assert_eq!(names[..design.len()], design);
    assert_eq!(
        names[design.len()..][..3],
        ["provider", "reported_timestamp", "outer_of"]
    );
}

#[test]
fn names_are_unique() {
    for names in [
        call_headings().collect::<Vec<_>>(),
        exchange_headings().collect(),
    ] {
        let unique: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }
}

#[test]
fn values_match_their_columns_kind() {
    let call = fixtures::call(1);
    for column in CALL_COLUMNS {
        let value = (column.get)(&call);
        let fits = match value {
            Value::Null => true,
            Value::Bool(_) => column.kind == Kind::Bool,
            Value::Integer(_) => column.kind == Kind::Integer,
            Value::Real(_) => column.kind == Kind::Real,
            Value::Text(_) => column.kind == Kind::Text,
            Value::Time(_) => column.kind == Kind::Time,
            Value::Duration(_) => column.kind == Kind::Duration,
            Value::Money(_) => column.kind == Kind::Money,
            Value::FineDuration(_) => column.kind == Kind::FineDuration,
            Value::List(_) => column.kind == Kind::List,
            Value::Json(_) => column.kind == Kind::Json,
            Value::Key(_) => matches!(column.kind, Kind::Key | Kind::OtherKey),
        };
        assert!(fits, "{}: {value:?}", column.name);
    }
}

#[test]
fn json_shows_seconds_with_exact_microseconds() {
    let mut call = fixtures::call(1);
    call.marks.request_start = Some(Timestamp::from_micros(1_767_225_600_123_457));
    call.ttft = Some(52_001);
    call.tpot = Some(12_345.5);
    let line = serde_json::to_string(&Row::call(&call, Some(7))).unwrap();
    assert!(line.starts_with(r#"{"id":7,"call_key":"01"#), "{line}");
    assert!(
        line.contains(r#""request_start":1767225600.123457,"#),
        "{line}"
    );
    assert!(line.contains(r#""ttft":0.052001,"#), "{line}");
    assert!(line.contains(r#""tpot":0.0123455,"#), "{line}");
    assert!(
        line.contains(r#""finish_reasons":["stop","length"],"#),
        "{line}"
    );
}

#[test]
fn the_map_and_the_stream_say_the_same_in_the_same_order() {
    let call = fixtures::call(1);
    let map = row_json(&call, None);
    assert_eq!(
        map.keys().map(String::as_str).collect::<Vec<_>>(),
        call_headings().collect::<Vec<_>>()
    );
    assert_eq!(
        serde_json::to_string(&map).unwrap(),
        serde_json::to_string(&Row::call(&call, None)).unwrap()
    );
}

#[test]
fn csv_has_a_field_for_each_heading() {
    let call = fixtures::call(1);
    let fields = Row::call(&call, None).csv_fields();
    let field = |name: &str| {
        let place = call_headings().position(|heading| heading == name).unwrap();
        fields[place].as_str()
    };
    assert_eq!(fields.len(), call_headings().count());
    assert_eq!(field("id"), "");
    assert_eq!(field("finish_reasons"), "stop;length");
    assert_eq!(field("stream"), "true");
    assert_eq!(field("elapsed"), "1.500000");
}

#[test]
fn seconds_keep_their_sign_and_their_ends() {
    assert_eq!(micros_as_seconds(-1), "-0.000001");
    assert_eq!(micros_as_seconds(1_000_000), "1.000000");
    assert_eq!(micros_as_seconds(i64::MIN), "-9223372036854.775808");
}

#[test]
fn an_exchange_has_its_row() {
    let row = fixtures::exchange();
    let line = serde_json::to_string(&Row::exchange(&row)).unwrap();
    assert!(
        line.starts_with(r#"{"peer":"10.0.0.1","client_port":40000,"#),
        "{line}"
    );
    assert!(
        line.ends_with(r#""ending":"complete","dialect":null}"#),
        "{line}"
    );
    assert_eq!(
        EXCHANGE_COLUMNS.len(),
        serde_json::to_value(&row)
            .unwrap()
            .as_object()
            .unwrap()
            .len()
    );
}
