use super::*;

pub(super) const PATH: &str = "/v2/chat";

pub(super) const ASK: &str = r#"{"model":"command-a","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hello world"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;

pub(super) const EVENTS: [&str; 12] = [
    "event: message-start\ndata: {\"id\":\"i\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n",
    "event: tool-plan-delta\ndata: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"hello\"}}}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}}}\n\n",
    "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":1,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"d\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}}}}\n\n",
    "event: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
    "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"hello\"}}}}\n\n",
    "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\" world\"}}}}\n\n",
    "event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\n",
    "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":2,\"output_tokens\":5},\"tokens\":{\"input_tokens\":69,\"output_tokens\":6},\"cached_tokens\":4}}}\n\n",
    "data: [DONE]\n\n",
];

#[test]
fn a_stream() {
    let call = call_however_cut(PATH, [JSON, ASK], 200, [SSE, &EVENTS.concat()]);
    assert_eq!(
        (call.dialect, call.stream, call.response_dialect),
        (Some("cohere_chat"), Some(true), None)
    );
    assert_eq!(
        (call.request_model.as_deref(), call.max_tokens),
        (Some("command-a"), Some(9))
    );
    assert_eq!((call.message_count, call.tool_count), (Some(1), Some(1)));
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.cached_tokens),
        (Some(69), Some(6), Some(4))
    );
    assert_eq!(call.tool_calls, ["f", "g"]);
    assert_eq!(
        [call.content_chars, call.reasoning_chars, call.tool_chars],
        [Some(11), Some(5), Some(2)]
    );
    assert_eq!(call.finish_reasons, ["COMPLETE"]);
    let call = events(PATH, ASK, &EVENTS);
    assert_eq!(marks(&call), [Some(1), Some(1), Some(8)]);
    assert_eq!(call.outcome, Outcome::Ok);
}

#[test]
fn the_events_tell_on_an_unknown_path_and_the_last_one_ends_it() {
    let call = events("/llm", ASK, &EVENTS);
    assert_eq!(
        (call.dialect, call.response_dialect),
        (Some("cohere_chat"), None)
    );
    assert_eq!(call.output_tokens, Some(6));
    let left = |count: usize| {
        let script = EVENTS[..count].iter().fold(
            Script::new().post(PATH, ASK).stream(500),
            |script, event| script.piece(*event, 600),
        );
        script.end(Ending::ClientReset, 700).call().outcome
    };
    assert_eq!(left(11), Outcome::Ok);
    assert_eq!(left(10), Outcome::ClientAbort);
}

#[test]
fn a_plain_answer() {
    let body = r#"{"id":"i","message":{"role":"assistant","content":[{"type":"thinking","thinking":"hello"},{"type":"text","text":"hello world"}],"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],"citations":[{"start":0,"end":5,"text":"hello","sources":[{"tool_output":{"content":"hello"}}]}]},"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":2,"output_tokens":5}}}"#;
    let call = call_however_cut(PATH, [JSON, ASK], 200, [JSON, body]);
    // What was billed stands in for figures that are missing.
    assert_eq!((call.input_tokens, call.output_tokens), (Some(2), Some(5)));
    assert_eq!(call.tool_calls, ["f"]);
    assert_eq!(
        [call.content_chars, call.reasoning_chars, call.tool_chars],
        [Some(11), Some(5), Some(2)]
    );
    assert_eq!(call.finish_reasons, ["TOOL_CALL"]);
    let refused = call_however_cut(PATH, [JSON, ASK], 429, [JSON, r#"{"message":"slow down"}"#]);
    assert_eq!(
        (refused.dialect, refused.outcome),
        (Some("cohere_chat"), Outcome::RateLimited)
    );
}

#[test]
fn the_first_version() {
    let ask = r#"{"message":"hello","model":"command","chat_history":[{"role":"user","message":"hello"}],"stream":true}"#;
    let whole = r#"{"response_id":"r","text":"hello world","generation_id":"g","chat_history":[{"role":"CHATBOT","message":"hello world"}],"finish_reason":"COMPLETE","meta":{"tokens":{"input_tokens":69,"output_tokens":2}},"tool_calls":[{"name":"f","parameters":{"a":[1,"x"]}}]}"#;
    let lines = format!(
        "{}\n{}\n{}\n{{\"is_finished\":true,\"event_type\":\"stream-end\",\"finish_reason\":\"COMPLETE\",\"response\":{whole}}}\n",
        r#"{"is_finished":false,"event_type":"stream-start","generation_id":"g"}"#,
        r#"{"is_finished":false,"event_type":"text-generation","text":"hello"}"#,
        r#"{"is_finished":false,"event_type":"text-generation","text":" world"}"#,
    );
    for [kind, body] in [[JSON, whole], ["application/stream+json", lines.as_str()]] {
        let call = call_however_cut("/v1/chat", [JSON, ask], 200, [kind, body]);
        assert_eq!(
            (call.dialect, call.stream),
            (Some("cohere_chat"), Some(kind != JSON))
        );
        assert_eq!(call.message_count, Some(2));
        assert_eq!((call.input_tokens, call.output_tokens), (Some(69), Some(2)));
        assert_eq!(
            (call.content_chars, call.tool_chars),
            (Some(11), Some(r#"{"a":[1,"x"]}"#.len() as u64))
        );
        assert_eq!(
            (call.tool_calls, call.finish_reasons),
            (vec!["f".to_owned()], vec!["COMPLETE".to_owned()])
        );
    }
    // Somebody else's chat is no call.
    let other = Script::new()
        .post("/v1/chat", r#"{"message":"hello","model":"x"}"#)
        .head(200, JSON, 5)
        .piece(r#"{"reply":"hello"}"#, 6)
        .complete(7);
    assert!(!other.is_call());
}
