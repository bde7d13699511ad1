use super::*;

pub(super) const ASK: &str = r#"{"inputs":"hello world","parameters":{"max_new_tokens":20,"temperature":0.7,"details":true}}"#;

pub(super) const EVENTS: [&str; 3] = [
    "data:{\"index\":1,\"token\":{\"id\":1,\"text\":\"hello\",\"logprob\":-0.5,\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
    "data:{\"index\":2,\"token\":{\"id\":2,\"text\":\" world\",\"logprob\":-0.5,\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
    "data:{\"index\":3,\"token\":{\"id\":3,\"text\":\"</s>\",\"logprob\":-0.5,\"special\":true},\"generated_text\":\"hello world\",\"details\":{\"finish_reason\":\"eos_token\",\"generated_tokens\":3,\"seed\":null,\"input_length\":4}}\n\n",
];

#[test]
fn a_stream_of_tokens() {
    let call = call_however_cut(
        "/generate_stream",
        [JSON, ASK],
        200,
        [SSE, &EVENTS.concat()],
    );
    assert_eq!((call.dialect, call.stream), (Some("tgi"), Some(true)));
    assert_eq!((call.max_tokens, call.temperature), (Some(20), Some(0.7)));
    assert_eq!((call.input_tokens, call.output_tokens), (Some(4), Some(3)));
    // The end's mark is no text, and the whole text at the end is not counted again.
    assert_eq!(
        (call.content_chars, call.counted_output_tokens),
        (Some(11), Some(2))
    );
    assert_eq!(call.finish_reasons, ["eos_token"]);
    let call = events("/generate_stream", ASK, &EVENTS);
    assert_eq!(marks(&call), [Some(0), Some(0), Some(1)]);
    assert_eq!(call.outcome, Outcome::Ok);
}

#[test]
fn a_plain_answer_and_its_head() {
    let body = r#"{"generated_text":"hello world","details":null}"#;
    let head = [
        ("x-prompt-tokens", "2"),
        ("x-generated-tokens", "5"),
        ("x-queue-time", "3"),
        ("x-inference-time", "120"),
        ("x-total-time", "125"),
    ];
    let call = Script::new()
        .post("/generate", ASK)
        .head_with(200, JSON, &head, 500)
        .piece(body, 600)
        .complete(700)
        .call();
    assert_eq!((call.dialect, call.stream), (Some("tgi"), Some(false)));
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.output_source),
        (Some(2), Some(5), TokenSource::Reported)
    );
    assert_eq!(
        (call.server_queue, call.server_decode, call.server_total),
        (Some(3_000), Some(120_000), Some(125_000))
    );
    let list = r#"[{"generated_text":"hello"}]"#;
    let call = call_however_cut("/", [JSON, ASK], 200, [JSON, list]);
    assert_eq!(
        (call.dialect, call.counted_output_tokens),
        (Some("tgi"), Some(1))
    );
}

#[test]
fn a_tokens_text_may_be_long_and_is_never_cut_unseen() {
    let read = |length: usize| {
        let text = "a".repeat(length);
        let token =
            format!("data:{{\"token\":{{\"id\":1,\"text\":\"{text}\",\"special\":false}}}}\n\n");
        let call = events("/generate_stream", ASK, &[&token]);
        (call.content_chars, call.truncated)
    };
    assert_eq!(read(1_000), (Some(1_000), false));
    assert_eq!(read(100_000), (Some(64 << 10), true));
}

#[test]
fn errors() {
    let body = r#"{"error":"`inputs` must have less than 1024 tokens","error_type":"validation"}"#;
    let call = call_however_cut("/generate", [JSON, ASK], 422, [JSON, body]);
    assert_eq!(
        (call.outcome, call.error_type.as_deref()),
        (Outcome::ClientError, Some("validation"))
    );
    let event = format!("data:{body}\n\n");
    let call = events("/generate_stream", ASK, &[EVENTS[0], &event]);
    assert_eq!(
        (call.outcome, call.error_type.as_deref()),
        (Outcome::ErrorIn200, Some("validation"))
    );
}

#[test]
fn the_last_event_ends_it() {
    let ended = |count: usize| {
        let script = EVENTS[..count].iter().fold(
            Script::new().post("/generate_stream", ASK).stream(500),
            |script, event| script.piece(*event, 600),
        );
        script.end(Ending::ClientReset, 700).call()
    };
    assert_eq!(ended(3).outcome, Outcome::Ok);
    assert_eq!(
        (ended(2).outcome, ended(2).output_source),
        (Outcome::ClientAbort, TokenSource::Counted)
    );
}

#[test]
fn other_servers_take_inputs_too() {
    let infer = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}"#;
    let other = Script::new()
        .post("/v2/models/resnet/infer", infer)
        .head(200, JSON, 5)
        .piece(r#"{"outputs":[]}"#, 6)
        .complete(7);
    assert!(!other.is_call());
}
