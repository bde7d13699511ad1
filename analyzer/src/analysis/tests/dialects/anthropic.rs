use super::*;

pub(super) const PATH: &str = "/v1/messages";

pub(super) const ASK: &str = r#"{"model":"claude-x","max_tokens":1024,"temperature":0.5,"stream":true,"system":[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}],"metadata":{"user_id":"u-1"},"tools":[{"name":"get_weather","description":"d","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"get_weather"},"messages":[{"role":"user","content":"hello world"},{"role":"user","content":[{"type":"text","text":"hello"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#;

pub(super) const THINKING: [&str; 14] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x-1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":1000,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hello world\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQBCgIYAhIM\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"get_weather\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\":\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\\\"Köln\\\"}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":89}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

#[test]
fn a_stream_with_thinking_and_a_tool() {
    let call = events(PATH, ASK, &THINKING);
    assert_eq!(call.dialect, Some("anthropic"));
    assert_eq!(
        (call.operation, call.provider),
        (Some("chat"), Some("anthropic"))
    );
    assert_eq!(call.request_model.as_deref(), Some("claude-x"));
    assert_eq!(call.response_model.as_deref(), Some("claude-x-1"));
    assert_eq!(call.response_id.as_deref(), Some("msg_1"));
    assert_eq!(call.user.as_deref(), Some("u-1"));
    assert_eq!(
        (call.max_tokens, call.temperature, call.tool_count),
        (Some(1024), Some(0.5), Some(1))
    );
    assert_eq!(call.tool_choice.as_deref(), Some("get_weather"));
    assert_eq!(call.message_count, Some(2));
    // All of the prompt: beside the cache, written to it, read from it.
    assert_eq!(
        (call.input_tokens, call.reported_input_tokens),
        (Some(1_125), Some(25))
    );
    assert_eq!(
        (call.cached_tokens, call.cache_write_tokens),
        (Some(1_000), Some(100))
    );
    assert_eq!(
        (call.output_tokens, call.output_source),
        (Some(89), TokenSource::Reported)
    );
    // hello, user, hello world, user, hello; 4 a message and 2; the tool's definition.
    assert_eq!(call.counted_input_tokens, Some(6 + 2 * 4 + 2 + 23));
    assert_eq!(call.uncounted_parts, Some(1), "a picture of unknown size");
    assert_eq!(call.finish_reasons, ["tool_use"]);
    assert_eq!(call.tool_calls, ["get_weather"]);
    assert_eq!(
        (call.content_chars, call.reasoning_chars, call.tool_chars),
        (Some(5), Some(11), Some(15))
    );
    assert_eq!(marks(&call), [Some(2), Some(3), Some(11)]);
    assert_eq!(call.outcome, Outcome::Ok);
    assert!(!call.output_partial);
    assert_eq!(call.response_dialect, None);
    let timeline = call.timeline.unwrap().to_json();
    assert!(timeline.starts_with("[[1000,0,\"other\",1,"), "{timeline}");
    assert!(timeline.contains("[10,0,\"reasoning\",1,"), "{timeline}");

    let whole = call_however_cut(PATH, [JSON, ASK], 200, [SSE, &THINKING.concat()]);
    assert_eq!(whole.tool_calls, ["get_weather"]);
    assert_eq!(whole.output_tokens, Some(89));
    assert_eq!(whole.tool_chars, Some(15));
}

#[test]
fn a_plain_message() {
    let body = r#"{"id":"msg_2","type":"message","role":"assistant","model":"claude-x-1","content":[{"type":"thinking","thinking":"hello","signature":"x"},{"type":"text","text":"hello world"},{"type":"tool_use","id":"t","name":"a","input":{"x":[1,"é"],"y":{}}},{"type":"tool_use","id":"u","name":"b","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":12}}"#;
    let call = call_however_cut(PATH, [JSON, ASK], 200, [JSON, body]);
    assert_eq!(call.stream, Some(false));
    assert_eq!((call.input_tokens, call.output_tokens), (Some(9), Some(12)));
    assert_eq!(call.tool_calls, ["a", "b"]);
    assert_eq!(
        call.tool_chars,
        Some(r#"{"x":[1,"é"],"y":{}}{}"#.chars().count() as u64)
    );
    assert_eq!(
        (call.content_chars, call.reasoning_chars),
        (Some(11), Some(5))
    );
    assert_eq!(call.finish_reasons, ["tool_use"]);
    assert_eq!((call.ttft, call.timeline), (None, None));
}

#[test]
fn errors() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
    let call = call_however_cut(PATH, [JSON, ASK], 529, [JSON, body]);
    assert_eq!(call.outcome, Outcome::ServerError);
    assert_eq!(call.error_type.as_deref(), Some("overloaded_error"));
    assert_eq!(call.output_tokens, None);

    let mut stream = THINKING[..4].to_vec();
    let error = format!("event: error\ndata: {body}\n\n");
    stream.push(&error);
    let call = events(PATH, ASK, &stream);
    assert_eq!(call.outcome, Outcome::ErrorIn200);
    assert_eq!(call.error_type.as_deref(), Some("overloaded_error"));
}

#[test]
fn the_final_event_ends_it_whatever_the_connection_does() {
    let ended = |count: usize| {
        let mut script = Script::new().post(PATH, ASK).stream(500);
        for event in &THINKING[..count] {
            script = script.piece(*event, 600);
        }
        script.end(Ending::ClientReset, 700).call()
    };
    assert_eq!(ended(THINKING.len()).outcome, Outcome::Ok);
    let broken = ended(7);
    assert_eq!(broken.outcome, Outcome::ClientAbort);
    assert!(broken.output_partial);
    // The first event's figure is of a beginning only.
    assert_eq!(broken.output_source, TokenSource::Counted);
    assert_eq!(broken.input_tokens, Some(1_125));
}

#[test]
fn a_zero_in_the_last_event_is_no_prompt() {
    let last = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":0,\"output_tokens\":3}}\n\n";
    let call = events(PATH, ASK, &[THINKING[0], THINKING[6], last]);
    assert_eq!(
        (call.reported_input_tokens, call.output_tokens),
        (Some(25), Some(3))
    );
    let late = last.replace("\"input_tokens\":0", "\"input_tokens\":30");
    let call = events(PATH, ASK, &[THINKING[0], THINKING[6], &late]);
    assert_eq!(call.reported_input_tokens, Some(30));
}

#[test]
fn an_anthropic_answer_to_an_openai_request_is_read_for_what_it_is() {
    let call = call_however_cut(CHAT, [JSON, super::ASK], 200, [SSE, &THINKING.concat()]);
    assert_eq!(call.dialect, Some("openai_chat"));
    assert_eq!(call.response_dialect, Some("anthropic"));
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(1_125), Some(89))
    );
    assert_eq!(call.counted_input_tokens, Some(9));
    assert_eq!(call.finish_reasons, ["tool_use"]);
}

#[test]
fn an_unknown_path_is_known_by_its_shape() {
    let call = events("/llm", ASK, &THINKING);
    assert_eq!(call.dialect, Some("anthropic"));
    assert_eq!(call.counted_input_tokens, Some(6 + 2 * 4 + 2 + 23));
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    // It may be either; the answer tells.
    let call = events("/llm", plain, &THINKING);
    assert_eq!(
        (call.dialect, call.response_dialect),
        (Some("anthropic"), None)
    );
    assert_eq!(call.counted_input_tokens, Some(2 + 4 + 2));
    let lost = Script::new()
        .stream(1)
        .piece(THINKING.concat(), 5)
        .complete(6)
        .call();
    assert_eq!(
        (lost.dialect, lost.output_tokens),
        (Some("anthropic"), Some(89))
    );
}
