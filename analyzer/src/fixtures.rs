//! Rows for the tests of this crate.

use crate::{
    call::{
        Bodies, Call, CallKey, Confidence, ExchangeRow, Marks, Outcome, StoredBody, TokenSource,
        Whose,
    },
    cost::Cost,
    exchange::Source,
    record::Record,
    time::Timestamp,
    timeline::{EventKind, Timeline},
};

/// A finished, streamed call; `number` makes its key.
pub(crate) fn call(number: u8) -> Call {
    let start = 1_767_225_600_000_000;
    let at = |micros: i64| Some(Timestamp::from_micros(start + micros));
    Call {
        call_key: CallKey([number; 16]),
        source: Source::File,
        dialect: Some("openai_chat"),
        operation: Some("chat"),
        provider: Some("openai"),
        stream: Some(true),
        method: Some("POST".into()),
        path: Some("/v1/chat/completions".into()),
        status: Some(200),
        outcome: Outcome::Ok,
        error_type: None,
        error_code: None,
        request_model: Some("qwen3".into()),
        response_model: Some("qwen3".into()),
        input_tokens: Some(10),
        output_tokens: Some(20),
        total_tokens: Some(30),
        input_source: TokenSource::Reported,
        output_source: TokenSource::Counted,
        output_partial: false,
        reported_input_tokens: Some(10),
        reported_output_tokens: None,
        counted_input_tokens: None,
        counted_output_tokens: Some(20),
        tokenizer: Some("cl100k_base"),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        audio_tokens: None,
        marks: Marks {
            request_start: at(0),
            request_end: at(100),
            response_head: at(1_000),
            first_event: at(50_000),
            first_token: at(52_000),
            last_token: at(1_400_000),
            response_end: at(1_500_000),
            ended: at(1_500_000),
        },
        elapsed: Some(1_500_000),
        upload: Some(100),
        ttft: Some(52_000),
        tpot: Some(70_947.368_421),
        tokens_per_second: Some(20.0),
        gap_p50: Some(70_000),
        gap_p95: Some(90_000),
        gap_max: Some(95_000),
        stalls: Some(0),
        wasted: 0,
        finish_reasons: vec!["stop".into(), "length".into()],
        peer: Some("10.0.0.1".into()),
        client: Some("192.0.2.7".into()),
        user: None,
        key: None,
        server: Some("10.0.0.2:8000".into()),
        missing_request_bytes: 0,
        missing_response_bytes: 0,
        truncated: false,
        confidence: Confidence::Complete,
        reported_timestamp: None,
        outer_of: None,
        response_dialect: None,
        response_id: Some("chatcmpl-1".into()),
        max_tokens: Some(256),
        temperature: Some(0.7),
        n: Some(2),
        message_count: Some(3),
        tool_count: Some(1),
        tool_choice: Some("auto".into()),
        response_format: None,
        file_bytes: None,
        file_type: None,
        tool_calls: vec!["get_weather".into()],
        content_chars: Some(80),
        reasoning_chars: Some(0),
        tool_chars: Some(15),
        server_queue: Some(1_500),
        server_prefill: Some(40_000),
        server_decode: Some(1_300_000),
        server_load: None,
        server_total: None,
        retry_after: None,
        timeline: Some(timeline()),
        whose: Whose::default(),
        redactions: 0,
        cost: Cost::default(),
    }
}

fn timeline() -> Timeline {
    let mut timeline = Timeline::default();
    timeline.push(
        EventKind::Content,
        120,
        Timestamp::from_micros(1_767_225_600_052_000),
    );
    timeline.set_start(Some(Timestamp::from_micros(1_767_225_600_000_000)));
    timeline
}

/// A record with short bodies.
pub(crate) fn record(number: u8) -> Record {
    Record {
        call: call(number),
        bodies: Some(Bodies {
            request: body(b"{\"q\":1}"),
            response: body(b"data: [DONE]\n\n"),
        }),
    }
}

/// A whole body.
pub(crate) fn body(bytes: &[u8]) -> StoredBody {
    StoredBody {
        head: bytes.to_vec(),
        ..StoredBody::default()
    }
}

/// An exchange that is no call.
pub(crate) fn exchange() -> ExchangeRow {
    ExchangeRow {
        peer: Some("10.0.0.1".into()),
        client_port: Some(40_000),
        server: Some("10.0.0.2:8000".into()),
        method: Some("GET".into()),
        target: Some("/health".into()),
        version: Some("1.1"),
        status: Some(200),
        request_body_len: 0,
        response_body_len: 2,
        request_decoded_len: 0,
        response_decoded_len: 2,
        request_start: Some(Timestamp::from_micros(1)),
        request_end: Some(Timestamp::from_micros(2)),
        response_head: Some(Timestamp::from_micros(3)),
        response_end: Some(Timestamp::from_micros(4)),
        ended: Some(Timestamp::from_micros(4)),
        missing_request_head: 0,
        missing_request_body: 0,
        missing_response_head: 0,
        missing_response_body: 0,
        protocol: "http/1.1",
        ending: "complete",
        dialect: None,
    }
}
