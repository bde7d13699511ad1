use super::*;

pub(super) const PATH: &str = "/v2/models/vllm_model/generate_stream";

pub(super) const ASK: &str =
    r#"{"text_input":"hello world","parameters":{"stream":true,"temperature":0.5,"max_tokens":9}}"#;

pub(super) const EVENTS: [&str; 2] = [
    "data: {\"model_name\":\"vllm_model\",\"model_version\":\"1\",\"text_output\":\"hello\"}\n\n",
    "data: {\"model_name\":\"vllm_model\",\"model_version\":\"1\",\"text_output\":\" world\"}\n\n",
];

#[test]
fn a_stream() {
    let call = call_however_cut(PATH, [JSON, ASK], 200, [SSE, &EVENTS.concat()]);
    assert_eq!(
        (call.dialect, call.stream, call.operation),
        (Some("triton"), Some(true), Some("text_completion"))
    );
    assert_eq!(
        (
            call.request_model.as_deref(),
            call.response_model.as_deref()
        ),
        (Some("vllm_model"), Some("vllm_model"))
    );
    assert_eq!((call.max_tokens, call.temperature), (Some(9), Some(0.5)));
    assert_eq!(
        (call.input_tokens, call.input_source),
        (Some(2), TokenSource::Counted)
    );
    assert_eq!(
        (call.output_tokens, call.output_source),
        (Some(2), TokenSource::Counted)
    );
    let call = events(PATH, ASK, &EVENTS);
    assert_eq!(
        (marks(&call), call.outcome),
        ([Some(0), Some(0), Some(1)], Outcome::Ok)
    );
}

#[test]
fn a_plain_answer_of_a_version() {
    let body = r#"{"model_name":"m","model_version":"2","text_output":"hello"}"#;
    let call = call_however_cut(
        "/v2/models/m/versions/2/generate",
        [JSON, r#"{"text_input":"hello","max_tokens":3}"#],
        200,
        [JSON, body],
    );
    assert_eq!(
        (call.dialect, call.request_model.as_deref(), call.max_tokens),
        (Some("triton"), Some("m"), Some(3))
    );
    assert_eq!((call.output_tokens, call.stream), (Some(1), Some(false)));
}

#[test]
fn errors() {
    let body = r#"{"error":"Request for unknown model"}"#;
    let call = call_however_cut(
        "/v2/models/m/generate_stream",
        [JSON, ASK],
        400,
        [JSON, body],
    );
    assert_eq!(
        (call.outcome, call.stream),
        (Outcome::ClientError, Some(true))
    );
    let error = format!("data: {body}\n\n");
    assert_eq!(
        events("/v2/models/m/generate_stream", ASK, &[EVENTS[0], &error]).outcome,
        Outcome::ErrorIn200
    );
}

#[test]
fn an_unknown_path_is_known_by_its_shape() {
    assert_eq!(events("/llm", ASK, &EVENTS).dialect, Some("triton"));
}
