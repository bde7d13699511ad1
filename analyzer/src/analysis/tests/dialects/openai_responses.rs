use super::*;

pub(super) const PATH: &str = "/v1/responses";

pub(super) const ASK: &str = r#"{"model":"gpt-5","instructions":"hello","input":[{"role":"user","content":[{"type":"input_text","text":"hello world"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},{"type":"function_call","call_id":"c","name":"hello","arguments":"hello"},{"type":"function_call_output","call_id":"c","output":"hello world"}],"max_output_tokens":300,"temperature":1,"stream":true,"safety_identifier":"u","tools":[{"type":"function","name":"f"},{"type":"web_search"}],"tool_choice":"auto","text":{"format":{"type":"json_schema","name":"x","schema":{}}}}"#;

fn usage(cached: u64) -> String {
    format!(
        r#"{{"input_tokens":40,"input_tokens_details":{{"cached_tokens":{cached}}},"output_tokens":30,"output_tokens_details":{{"reasoning_tokens":20}},"total_tokens":70}}"#
    )
}

const OUTPUT: &str = r#"[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hello"}],"content":[{"type":"reasoning_text","text":" world"}]},{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"hello world","annotations":[]},{"type":"refusal","refusal":"hello"}]},{"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}","status":"completed"}]"#;

fn response(status: &str, output: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"resp_1","object":"response","created_at":1,"status":"{status}","error":null,"incomplete_details":null,"instructions":"hello","model":"gpt-5-2025","output":{output},"usage":{usage},"tools":[{{"type":"function","name":"f"}}]}}"#
    )
}

fn event(data: &str) -> String {
    let kind = data.split('"').nth(3).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}

pub(super) fn stream() -> Vec<String> {
    let with = |kind: &str, rest: &str| event(&format!(r#"{{"type":"response.{kind}",{rest}}}"#));
    let answer = |kind: &str, body: &str| with(kind, &format!(r#""response":{body}"#));
    vec![
        answer("created", &response("in_progress", "[]", "null")),
        answer("in_progress", &response("in_progress", "[]", "null")),
        with(
            "output_item.added",
            r#""output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}"#,
        ),
        with(
            "reasoning_summary_text.delta",
            r#""item_id":"rs_1","output_index":0,"summary_index":0,"delta":"hello world""#,
        ),
        with(
            "reasoning_summary_text.done",
            r#""item_id":"rs_1","output_index":0,"summary_index":0,"text":"hello world""#,
        ),
        with(
            "content_part.added",
            r#""output_index":1,"part":{"type":"output_text","text":""}"#,
        ),
        with(
            "output_text.delta",
            r#""output_index":1,"content_index":0,"delta":"hello""#,
        ),
        with(
            "output_text.done",
            r#""output_index":1,"content_index":0,"text":"hello""#,
        ),
        with(
            "output_item.added",
            r#""output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":""}"#,
        ),
        with(
            "function_call_arguments.delta",
            r#""delta":"{\"a\":","output_index":2"#,
        ),
        with(
            "function_call_arguments.delta",
            r#""delta":"\"é\"}","output_index":2"#,
        ),
        with(
            "output_item.done",
            r#""output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"a\":\"é\"}"}"#,
        ),
        answer("completed", &response("completed", OUTPUT, &usage(8))),
    ]
}

fn read(stream: &[String]) -> Call {
    let stream: Vec<_> = stream.iter().map(String::as_str).collect();
    events(PATH, ASK, &stream)
}

#[test]
fn a_stream_is_its_deltas_and_its_last_event_has_the_figures() {
    let call = read(&stream());
    assert_eq!(call.dialect, Some("openai_responses"));
    assert_eq!(call.response_id.as_deref(), Some("resp_1"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-5-2025"));
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(40), Some(30))
    );
    assert_eq!(
        (call.cached_tokens, call.reasoning_tokens),
        (Some(8), Some(20))
    );
    // hello | user, hello world | hello, hello | hello world; two messages.
    // Four messages of 3, their words and values, 3 around the call and 3 for the answer; two tools of 7, their
    // names, and 12 for both.
    assert_eq!(
        call.counted_input_tokens,
        Some(4 * 3 + 2 + 3 + 3 + 3 + 3 + 3 + 2 * 7 + 3 + 12)
    );
    assert_eq!(
        (call.message_count, call.max_tokens, call.temperature),
        (Some(2), Some(300), Some(1.0))
    );
    assert_eq!(
        (call.tool_count, call.tool_choice.as_deref()),
        (Some(2), Some("auto"))
    );
    assert_eq!(call.response_format.as_deref(), Some("json_schema"));
    assert_eq!(call.user.as_deref(), Some("u"));
    assert_eq!(
        (call.content_chars, call.reasoning_chars, call.tool_chars),
        (Some(5), Some(11), Some(9))
    );
    assert_eq!(call.tool_calls, ["f"]);
    assert_eq!(call.finish_reasons, ["completed"]);
    assert_eq!(marks(&call), [Some(2), Some(3), Some(10)]);
    assert_eq!(call.outcome, Outcome::Ok);

    let whole = call_however_cut(PATH, [JSON, ASK], 200, [SSE, &stream().concat()]);
    assert_eq!(whole.output_tokens, Some(30));
    assert_eq!(whole.tool_chars, Some(9));
}

#[test]
fn a_plain_answer() {
    let body = response("completed", OUTPUT, &usage(0));
    let call = call_however_cut(PATH, [JSON, ASK], 200, [JSON, &body]);
    assert_eq!(call.stream, Some(false));
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(40), Some(30))
    );
    assert_eq!(
        (call.content_chars, call.reasoning_chars, call.tool_chars),
        (Some(16), Some(11), Some(7))
    );
    assert_eq!(
        (call.tool_calls, call.finish_reasons),
        (vec!["f".to_owned()], vec!["completed".to_owned()])
    );
}

#[test]
fn a_stream_of_nothing_but_its_last_event_is_read_from_that() {
    let stream = stream();
    let call = read(&[stream[0].clone(), stream[12].clone()]);
    assert_eq!((call.content_chars, call.tool_chars), (Some(16), Some(7)));
    assert_eq!(marks(&call), [Some(1), Some(1), Some(1)]);
}

#[test]
fn incomplete_and_failed_answers() {
    let incomplete = response("incomplete", "[]", &usage(0)).replace(
        r#""incomplete_details":null"#,
        r#""incomplete_details":{"reason":"max_output_tokens"}"#,
    );
    let last = event(&format!(
        r#"{{"type":"response.incomplete","response":{incomplete}}}"#
    ));
    let mut events = stream();
    events[12] = last;
    let call = read(&events);
    assert_eq!(call.finish_reasons, ["max_output_tokens"]);
    assert_eq!((call.outcome, call.output_tokens), (Outcome::Ok, Some(30)));

    let failed = response("failed", "[]", "null").replace(
        r#""error":null"#,
        r#""error":{"code":"server_error","message":"m"}"#,
    );
    events[12] = event(&format!(
        r#"{{"type":"response.failed","response":{failed}}}"#
    ));
    let call = read(&events);
    assert_eq!(call.outcome, Outcome::ErrorIn200);
    assert_eq!(call.error_code.as_deref(), Some("server_error"));

    events[12] =
        event(r#"{"type":"error","code":"rate_limit_exceeded","message":"m","param":null}"#);
    let call = read(&events);
    assert_eq!(call.outcome, Outcome::ErrorIn200);
    assert_eq!(call.error_code.as_deref(), Some("rate_limit_exceeded"));
}

#[test]
fn a_broken_stream_keeps_what_came() {
    let mut script = Script::new().post(PATH, ASK).stream(500);
    for event in &stream()[..8] {
        script = script.piece(event.as_str(), 600);
    }
    let call = script.end(Ending::ServerReset, 700).call();
    assert_eq!(call.outcome, Outcome::ServerAbort);
    assert_eq!(
        (call.output_tokens, call.output_source),
        (Some(3), TokenSource::Counted)
    );
    assert!(call.output_partial);
}

#[test]
fn every_delta_is_output_of_its_kind() {
    for (kind, kinds) in [
        ("output_text", [1, 0, 0]),
        ("refusal", [1, 0, 0]),
        ("audio.transcript", [1, 0, 0]),
        ("reasoning_text", [0, 1, 0]),
        ("reasoning_summary_text", [0, 1, 0]),
        ("function_call_arguments", [0, 0, 1]),
        ("custom_tool_call_input", [0, 0, 1]),
        ("mcp_call_arguments", [0, 0, 1]),
        ("code_interpreter_call_code", [0, 0, 1]),
        ("apply_patch_call_operation_diff", [0, 0, 1]),
        ("shell_call_command", [0, 0, 1]),
    ] {
        // The type may come last.
        for data in [
            format!(r#"{{"type":"response.{kind}.delta","output_index":3,"delta":"x"}}"#),
            format!(r#"{{"delta":"x","output_index":3,"type":"response.{kind}.delta"}}"#),
        ] {
            let call = read(&[stream()[0].clone(), event(&data)]);
            let chars = [call.content_chars, call.reasoning_chars, call.tool_chars];
            assert_eq!(chars, kinds.map(Some), "{data}");
            assert_eq!(marks(&call)[1], Some(1), "{data}");
        }
    }
    let sound = event(r#"{"type":"response.audio.delta","delta":"AAAA"}"#);
    let call = read(&[stream()[0].clone(), sound]);
    assert_eq!(marks(&call)[1], Some(1));
    let other = event(r#"{"type":"response.web_search_call.searching","output_index":0}"#);
    let call = read(&[stream()[0].clone(), other]);
    assert_eq!(marks(&call), [None, None, None]);
}

#[test]
fn an_event_of_megabytes_is_read_to_its_figures() {
    let text = "hello ".repeat(500_000);
    let output = format!(
        r#"[{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"{text}"}}]}}]"#
    );
    let mut events = stream();
    events[12] = event(&format!(
        r#"{{"type":"response.completed","response":{}}}"#,
        response("completed", &output, &usage(8))
    ));
    let call = read(&events);
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(40), Some(30))
    );
    assert_eq!(call.content_chars, Some(5));
}

#[test]
fn a_plain_text_is_one_message_and_an_unknown_path_is_no_hindrance() {
    let ask = r#"{"model":"m","input":"hello world"}"#;
    let body = response("completed", OUTPUT, &usage(0));
    for path in [PATH, "/llm", "/responses"] {
        let call = Script::new().post(path, ask).plain(200, &body).call();
        assert_eq!(call.dialect, Some("openai_responses"), "{path}");
        assert_eq!(
            (call.message_count, call.counted_input_tokens),
            (Some(1), Some(3 + 1 + 2 + 3))
        );
    }
}
