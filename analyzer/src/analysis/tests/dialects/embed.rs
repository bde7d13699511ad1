use super::*;

const COHERE_ASK: &str = r#"{"model":"embed-v4","texts":["hello"," world"],"input_type":"search_document","embedding_types":["float"]}"#;

#[test]
fn coheres_vectors_in_both_versions() {
    let new = r#"{"id":"i","embeddings":{"float":[[0.1,0.2],[0.3,0.4]]},"texts":["hello"," world"],"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":7}},"response_type":"embeddings_by_type"}"#;
    let old = r#"{"id":"i","texts":["hello"," world"],"embeddings":[[0.1,0.2],[0.3,0.4]],"meta":{"billed_units":{"input_tokens":7}}}"#;
    for (path, body) in [("/v2/embed", new), ("/v1/embed", old), ("/llm", new)] {
        let call = call_however_cut(path, [JSON, COHERE_ASK], 200, [JSON, body]);
        assert_eq!(
            (call.dialect, call.operation, call.request_model.as_deref()),
            (Some("cohere_embed"), Some("embeddings"), Some("embed-v4")),
            "{path}"
        );
        assert_eq!((call.input_tokens, call.output_tokens), (Some(7), None));
        assert_eq!(call.counted_input_tokens, Some(2));
        assert_eq!(call.outcome, Outcome::Ok);
    }
}

#[test]
fn text_embeddings_inference_tells_its_figures_in_the_head() {
    for (inputs, counted) in [
        (r#""hello world""#, 2),
        (r#"["hello"," world"]"#, 2),
        (r"[[1,2,3],[4]]", 4),
    ] {
        let ask = format!(r#"{{"inputs":{inputs},"truncate":true}}"#);
        let call = call_however_cut("/embed", [JSON, &ask], 200, [JSON, "[[0.1,0.2]]"]);
        assert_eq!(
            (call.dialect, call.counted_input_tokens, call.output_tokens),
            (Some("tei_embed"), Some(counted), None)
        );
    }
    let headers = [("x-compute-tokens", "6"), ("x-inference-time", "3")];
    let call = Script::new()
        .post("/embed", r#"{"inputs":["hello"," world"]}"#)
        .head_with(200, JSON, &headers, 5)
        .piece("[[0.1],[0.2]]", 6)
        .complete(7)
        .call();
    assert_eq!(
        (call.input_tokens, call.server_decode),
        (Some(6), Some(3_000))
    );
    let body = r#"{"error":"`inputs` cannot be empty","error_type":"validation"}"#;
    let call = call_however_cut("/embed", [JSON, r#"{"inputs":""}"#], 422, [JSON, body]);
    assert_eq!(
        (call.outcome, call.error_type.as_deref()),
        (Outcome::ClientError, Some("validation"))
    );
}
