use super::*;

pub(super) const PATH: &str = "/completion";

pub(super) const ASK: &str =
    r#"{"prompt":"hello world","n_predict":10,"temperature":0.2,"stream":true}"#;

pub(super) const EVENTS: [&str; 3] = [
    "data: {\"index\":0,\"content\":\"hello\",\"tokens\":[1],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":1,\"tokens_evaluated\":2}\n\n",
    "data: {\"index\":0,\"content\":\" world\",\"tokens\":[2],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":2,\"tokens_evaluated\":2}\n\n",
    "data: {\"index\":0,\"content\":\"\",\"tokens\":[],\"id_slot\":0,\"stop\":true,\"model\":\"m.gguf\",\"tokens_predicted\":2,\"tokens_evaluated\":2,\"generation_settings\":{\"n_predict\":10},\"prompt\":\"<s> hello world\",\"stop_type\":\"limit\",\"stopping_word\":\"\",\"tokens_cached\":3,\"timings\":{\"cache_n\":1,\"prompt_n\":1,\"prompt_ms\":7.5,\"predicted_n\":2,\"predicted_ms\":12.25}}\n\n",
];

#[test]
fn a_stream_without_a_done_mark() {
    let call = call_however_cut(PATH, [JSON, ASK], 200, [SSE, &EVENTS.concat()]);
    assert_eq!(
        (call.dialect, call.operation),
        (Some("llamacpp"), Some("text_completion"))
    );
    assert_eq!(call.response_model.as_deref(), Some("m.gguf"));
    assert_eq!(
        (call.max_tokens, call.temperature, call.stream),
        (Some(10), Some(0.2), Some(true))
    );
    assert_eq!((call.input_tokens, call.output_tokens), (Some(2), Some(2)));
    assert_eq!(
        (call.cached_tokens, call.counted_output_tokens),
        (Some(1), Some(2))
    );
    assert_eq!(
        (call.server_prefill, call.server_decode),
        (Some(7_500), Some(12_250))
    );
    assert_eq!(call.finish_reasons, ["limit"]);
    assert_eq!(call.outcome, Outcome::Ok);
    let call = events(PATH, ASK, &EVENTS);
    assert_eq!(marks(&call), [Some(0), Some(0), Some(1)]);
}

#[test]
fn the_last_event_ends_it_and_nothing_before() {
    let ended = |count: usize| {
        let script = EVENTS[..count].iter().fold(
            Script::new().post(PATH, ASK).stream(500),
            |script, event| script.piece(*event, 600),
        );
        script.end(Ending::ClientReset, 700).call()
    };
    assert_eq!(ended(3).outcome, Outcome::Ok);
    assert_eq!(ended(2).outcome, Outcome::ClientAbort);
}

#[test]
fn a_plain_answer_and_a_list_of_them() {
    let plain = EVENTS[2]
        .trim_start_matches("data: ")
        .replace("\"content\":\"\"", "\"content\":\"hello world\"");
    let call = call_however_cut(
        "/infill",
        [JSON, r#"{"input_prefix":"hello","input_suffix":" world"}"#],
        200,
        [JSON, &plain],
    );
    assert_eq!((call.dialect, call.stream), (Some("llamacpp"), Some(false)));
    assert_eq!(
        (call.counted_input_tokens, call.counted_output_tokens),
        (Some(2), Some(2))
    );
    let list = format!("[{plain},{}]", plain.replace("\"index\":0", "\"index\":1"));
    let call = call_however_cut(
        PATH,
        [JSON, r#"{"prompt":[[1,2],"hello",[3]]}"#],
        200,
        [JSON, &list],
    );
    assert_eq!(call.finish_reasons, ["limit", "limit"]);
    assert_eq!(
        (call.counted_input_tokens, call.content_chars),
        (Some(4), Some(22))
    );
}

#[test]
fn errors() {
    let body = r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
    let call = call_however_cut(PATH, [JSON, ASK], 503, [JSON, body]);
    assert_eq!(call.outcome, Outcome::ServerError);
    assert_eq!(
        (call.error_type.as_deref(), call.error_code.as_deref()),
        (Some("unavailable_error"), Some("503"))
    );
    let event = format!("data: {body}\n\n");
    let call = events(PATH, ASK, &[EVENTS[0], &event]);
    assert_eq!(call.outcome, Outcome::ErrorIn200);
}

#[test]
fn vectors_are_passed_over() {
    let call = call_however_cut(
        "/embedding",
        [JSON, r#"{"content":"hello world"}"#],
        200,
        [JSON, r#"[{"index":0,"embedding":[[0.1,0.2]]}]"#],
    );
    assert_eq!(
        (call.dialect, call.operation),
        (Some("llamacpp_embedding"), Some("embeddings"))
    );
    assert_eq!((call.input_tokens, call.output_tokens), (Some(2), None));
}

#[test]
fn an_unknown_path_is_known_by_its_shape() {
    assert_eq!(events("/llm", ASK, &EVENTS).dialect, Some("llamacpp"));
    let mixed = events(
        "/v1/completions",
        r#"{"model":"m","prompt":"hello"}"#,
        &EVENTS,
    );
    assert_eq!(
        (mixed.dialect, mixed.response_dialect),
        (Some("openai_completions"), Some("llamacpp"))
    );
    assert_eq!(mixed.output_tokens, Some(2));
}
