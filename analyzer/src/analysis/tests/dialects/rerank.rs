use super::*;

pub(super) const BODY: &str = r#"{"model":"rerank-x","object":"list","usage":{"total_tokens":15,"prompt_tokens":14},"results":[{"index":0,"relevance_score":0.9,"document":{"text":"hello world"}}]}"#;

pub(super) const ASK: &str = r#"{"model":"rerank-x","query":"hello","documents":["hello world",{"text":"hello"}],"top_n":2}"#;

#[test]
fn a_query_and_its_documents() {
    let call = call_however_cut("/v1/rerank", [JSON, ASK], 200, [JSON, BODY]);
    assert_eq!(
        (call.dialect, call.operation),
        (Some("rerank"), Some("rerank"))
    );
    assert_eq!(
        (
            call.request_model.as_deref(),
            call.response_model.as_deref()
        ),
        (Some("rerank-x"), Some("rerank-x"))
    );
    assert_eq!((call.input_tokens, call.output_tokens), (Some(14), None));
    assert_eq!(
        (call.counted_input_tokens, call.stream),
        (Some(4), Some(false))
    );
}

#[test]
fn the_sum_alone_is_the_input() {
    let body = r#"{"id":"r","model":"m","usage":{"total_tokens":15},"results":[{"index":0,"relevance_score":0.9}]}"#;
    let call = call_however_cut("/rerank", [JSON, ASK], 200, [JSON, body]);
    assert_eq!(
        (call.input_tokens, call.input_source),
        (Some(15), TokenSource::Reported)
    );
}

#[test]
fn coheres_meta_and_the_bare_list() {
    let body = r#"{"id":"c","results":[{"index":0,"relevance_score":0.9}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1},"tokens":{"input_tokens":21,"output_tokens":0}}}"#;
    let call = call_however_cut("/v2/rerank", [JSON, ASK], 200, [JSON, body]);
    assert_eq!((call.input_tokens, call.output_tokens), (Some(21), None));
    let list = r#"[{"index":1,"score":0.9},{"index":0,"score":0.1}]"#;
    let call = call_however_cut(
        "/rerank",
        [JSON, r#"{"query":"hello","texts":["hello"]}"#],
        200,
        [JSON, list],
    );
    assert_eq!(
        (call.dialect, call.input_tokens, call.input_source),
        (Some("rerank"), Some(2), TokenSource::Counted)
    );
}

#[test]
fn errors_and_unknown_paths() {
    let body = r#"{"error":{"message":"no","type":"BadRequestError","code":400}}"#;
    let call = call_however_cut("/v1/rerank", [JSON, ASK], 400, [JSON, body]);
    assert_eq!(
        (call.outcome, call.error_type.as_deref()),
        (Outcome::ClientError, Some("BadRequestError"))
    );
    let body = r#"{"results":[{"index":0,"relevance_score":0.9}]}"#;
    assert_eq!(
        call_however_cut("/llm", [JSON, ASK], 200, [JSON, body]).dialect,
        Some("rerank")
    );
}
