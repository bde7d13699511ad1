use super::*;

pub(super) const ASK: &str = r#"{"text":"hello world","sampling_params":{"max_new_tokens":16,"temperature":0},"stream":true}"#;

pub(super) const EVENTS: [&str; 4] = [
    "data: {\"text\":\"hello\",\"output_ids\":[1],\"meta_info\":{\"id\":\"i\",\"finish_reason\":null,\"prompt_tokens\":2,\"completion_tokens\":1,\"cached_tokens\":1}}\n\n",
    "data: {\"text\":\"hello world\",\"output_ids\":[1,2],\"meta_info\":{\"id\":\"i\",\"finish_reason\":null,\"prompt_tokens\":2,\"completion_tokens\":2,\"cached_tokens\":1}}\n\n",
    "data: {\"text\":\"hello world\",\"output_ids\":[1,2],\"meta_info\":{\"id\":\"i\",\"finish_reason\":{\"type\":\"length\",\"length\":16},\"prompt_tokens\":2,\"completion_tokens\":3,\"cached_tokens\":1,\"e2e_latency\":0.25}}\n\n",
    "data: [DONE]\n\n",
];

#[test]
fn a_stream_that_repeats_itself() {
    let call = call_however_cut("/generate", [JSON, ASK], 200, [SSE, &EVENTS.concat()]);
    assert_eq!((call.dialect, call.stream), (Some("sglang"), Some(true)));
    assert_eq!((call.max_tokens, call.temperature), (Some(16), Some(0.0)));
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.cached_tokens),
        (Some(2), Some(3), Some(1))
    );
    assert_eq!(
        (call.content_chars, call.counted_output_tokens),
        (Some(11), Some(2))
    );
    assert_eq!(
        (call.finish_reasons.clone(), call.response_id.as_deref()),
        (vec!["length".to_owned()], Some("i"))
    );
    assert_eq!(call.server_total, Some(250_000));
    let call = events("/generate", ASK, &EVENTS);
    assert_eq!(marks(&call), [Some(0), Some(0), Some(1)]);
    assert_eq!(call.outcome, Outcome::Ok);
}

#[test]
fn a_stream_of_pieces_counts_each() {
    let pieces = [
        EVENTS[0],
        &EVENTS[1].replace("hello world", " world"),
        EVENTS[3],
    ];
    let call = events("/generate", ASK, &pieces);
    assert_eq!(
        (call.content_chars, call.counted_output_tokens),
        (Some(11), Some(2))
    );
}

#[test]
fn a_text_past_the_bound_is_told() {
    let read = |length: usize| {
        let text = "a".repeat(length);
        let event = EVENTS[0].replace("hello", &text);
        let call = events("/generate", ASK, &[&event, EVENTS[3]]);
        (call.content_chars, call.truncated)
    };
    assert_eq!(read(4 << 20), (Some(4 << 20), false));
    assert_eq!(read((4 << 20) + 1), (Some(4 << 20), true));
}

#[test]
fn lists_and_token_ids() {
    let body = r#"[{"text":"hello","meta_info":{"id":"a","finish_reason":{"type":"stop"},"prompt_tokens":3,"completion_tokens":1}},{"text":"hello world","meta_info":{"id":"b","finish_reason":{"type":"stop"},"prompt_tokens":2,"completion_tokens":2}}]"#;
    let call = call_however_cut(
        "/generate",
        [JSON, r#"{"input_ids":[[1,2,3],[4,5]]}"#],
        200,
        [JSON, body],
    );
    assert_eq!(
        (call.dialect, call.counted_input_tokens),
        (Some("sglang"), Some(5))
    );
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.content_chars),
        (Some(5), Some(3), Some(16))
    );
    assert_eq!(call.finish_reasons, ["stop", "stop"]);
}

#[test]
fn errors_and_breaks() {
    let body = r#"{"error":{"message":"too long"}}"#;
    let call = call_however_cut("/generate", [JSON, ASK], 400, [JSON, body]);
    assert_eq!(call.outcome, Outcome::ClientError);
    let error = format!("data: {body}\n\n");
    assert_eq!(
        events("/generate", ASK, &[EVENTS[0], &error]).outcome,
        Outcome::ErrorIn200
    );
    let broken = Script::new()
        .post("/generate", ASK)
        .stream(500)
        .piece(EVENTS[0], 600)
        .end(Ending::ClientFin, 700)
        .call();
    assert_eq!(broken.outcome, Outcome::ClientAbort);
    assert!(broken.output_partial);
}
