use super::*;

const PATH: &str = "/v1/complete";

const ASK: &str =
    r#"{"max_tokens_to_sample":3,"model":"claude-2.1","prompt":"hello world","stream":true}"#;

const EVENTS: [&str; 4] = [
    "event: completion\r\ndata: {\"type\":\"completion\",\"id\":\"i\",\"completion\":\"hello\",\"stop_reason\":null,\"model\":\"claude-2.1\",\"log_id\":\"i\"}\r\n\r\n",
    "event: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n",
    "event: completion\r\ndata: {\"type\":\"completion\",\"id\":\"i\",\"completion\":\" world\",\"stop_reason\":null,\"model\":\"claude-2.1\",\"log_id\":\"i\"}\r\n\r\n",
    "event: completion\r\ndata: {\"type\":\"completion\",\"id\":\"i\",\"completion\":\"\",\"stop_reason\":\"max_tokens\",\"model\":\"claude-2.1\",\"log_id\":\"i\"}\r\n\r\n",
];

#[test]
fn streamed_and_not() {
    let body = r#"{"type":"completion","id":"i","completion":"hello world","stop_reason":"max_tokens","model":"claude-2.1","stop":null,"log_id":"i"}"#;
    for path in [PATH, "/llm"] {
        for answer in [[SSE, &EVENTS.concat()], [JSON, body]] {
            let call = call_however_cut(path, [JSON, ASK], 200, answer);
            assert_eq!(
                (call.dialect, call.response_dialect),
                (Some("anthropic_complete"), None)
            );
            assert_eq!(
                (
                    call.request_model.as_deref(),
                    call.response_model.as_deref()
                ),
                (Some("claude-2.1"), Some("claude-2.1"))
            );
            assert_eq!((call.max_tokens, call.content_chars), (Some(3), Some(11)));
            assert_eq!(
                (call.counted_input_tokens, call.counted_output_tokens),
                (Some(2), Some(2))
            );
            assert_eq!(call.finish_reasons, ["max_tokens"]);
        }
    }
    let call = events(PATH, ASK, &EVENTS);
    assert_eq!(marks(&call), [Some(0), Some(0), Some(2)]);
    assert_eq!(call.outcome, Outcome::Ok);
}

#[test]
fn errors_and_breaks() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    let call = call_however_cut(PATH, [JSON, ASK], 400, [JSON, body]);
    assert_eq!(
        (call.dialect, call.error_type.as_deref()),
        (Some("anthropic_complete"), Some("invalid_request_error"))
    );
    let left = |count: usize| {
        let script = EVENTS[..count].iter().fold(
            Script::new().post(PATH, ASK).stream(500),
            |script, event| script.piece(*event, 600),
        );
        script.end(Ending::ClientReset, 700).call().outcome
    };
    assert_eq!((left(3), left(4)), (Outcome::ClientAbort, Outcome::Ok));
}
