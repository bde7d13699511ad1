use super::*;

pub(super) const PATH: &str = CHAT;

pub(super) const ASK_ALL: &str = r#"{"model":"gpt-x","n":1,"max_completion_tokens":77,"temperature":0.25,"stream":true,"stream_options":{"include_usage":true},"user":"u","tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}},{"type":"function","function":{"name":"b"}}],"tool_choice":{"type":"function","function":{"name":"get_weather"}},"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}},"messages":[{"role":"user","content":[{"type":"text","text":"hello world"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#;

fn data(body: &str) -> String {
    format!("data: {body}\n\n")
}

fn usage(rest: &str) -> String {
    data(&format!(
        r#"{{"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[],"usage":{{"prompt_tokens":11,"completion_tokens":6,"total_tokens":17{rest}}}}}"#
    ))
}

fn read(request: &str, stream: &[String]) -> Call {
    let stream: Vec<_> = stream.iter().map(String::as_str).collect();
    events(CHAT, request, &stream)
}

pub(super) fn interleaved() -> [String; 9] {
    [
        data(&chunk(0, r#"{"role":"assistant","content":""}"#, "null")),
        data(&chunk(0, r#"{"reasoning_content":"hello"}"#, "null")),
        data(&chunk(0, r#"{"content":"hello world"}"#, "null")),
        data(&chunk(
            0,
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"get_weather","arguments":""}}]}"#,
            "null",
        )),
        data(&chunk(
            0,
            r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"b","arguments":"{"}},{"index":0,"function":{"arguments":"{\"é\":1"}}]}"#,
            "null",
        )),
        data(&chunk(
            0,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}},{"index":1,"function":{"arguments":"}"}}]}"#,
            "null",
        )),
        data(&chunk(0, "{}", "\"tool_calls\"")),
        usage(
            r#","prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":1}"#,
        ),
        data("[DONE]"),
    ]
}

#[test]
fn reasoning_comes_first_and_tools_interleave() {
    let stream = interleaved();
    let call = read(ASK_ALL, &stream);
    assert_eq!(marks(&call), [Some(0), Some(1), Some(5)]);
    assert_eq!(call.tool_calls, ["get_weather", "b"]);
    assert_eq!(
        (call.content_chars, call.reasoning_chars, call.tool_chars),
        (Some(11), Some(5), Some(9))
    );
    assert_eq!((call.input_tokens, call.output_tokens), (Some(11), Some(6)));
    assert_eq!(
        (call.cached_tokens, call.reasoning_tokens),
        (Some(8), Some(1))
    );
    assert_eq!(
        (call.max_tokens, call.temperature, call.n),
        (Some(77), Some(0.25), Some(1))
    );
    assert_eq!((call.message_count, call.tool_count), (Some(1), Some(2)));
    assert_eq!(call.tool_choice.as_deref(), Some("get_weather"));
    assert_eq!(call.response_format.as_deref(), Some("json_schema"));
    assert_eq!(call.response_id.as_deref(), Some("c"));
    let timeline: serde_json::Value =
        serde_json::from_str(&call.timeline.unwrap().to_json()).unwrap();
    let kinds: Vec<_> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e[2].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "empty",
            "reasoning",
            "content",
            "tool",
            "tool",
            "tool",
            "empty",
            "other"
        ]
    );

    let whole = call_however_cut(CHAT, [JSON, ASK_ALL], 200, [SSE, &stream.concat()]);
    assert_eq!(whole.tool_chars, Some(9));
}

#[test]
fn a_call_of_nothing_but_a_tool_has_a_first_token() {
    let stream = [
        data(&chunk(0, r#"{"role":"assistant","content":null}"#, "null")),
        data(&chunk(
            0,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
            "null",
        )),
        data(&chunk(0, "{}", "\"tool_calls\"")),
        usage(""),
    ];
    let call = read(ASK, &stream);
    assert_eq!(marks(&call), [Some(0), Some(1), Some(1)]);
    assert_eq!((call.content_chars, call.tool_chars), (Some(0), Some(2)));
    // One event of output: no time between tokens can be told.
    assert_eq!(call.tpot, None);
}

#[test]
fn each_choice_counts_and_has_its_finish_reason() {
    let ask = ASK.replace(r#""stream""#, r#""n":2,"stream""#);
    let stream = [
        data(&chunk(1, r#"{"content":"hello"}"#, "null")),
        data(&chunk(0, r#"{"content":"hello world"}"#, "\"length\"")),
        data(&chunk(1, r#"{"content":" world"}"#, "\"stop\"")),
    ];
    let call = read(&ask, &stream);
    assert_eq!(call.finish_reasons, ["length", "stop"]);
    assert_eq!(
        (call.output_tokens, call.content_chars),
        (Some(4), Some(22))
    );
    assert_eq!((call.n, call.tpot), (Some(2), None));
}

#[test]
fn servers_say_where_their_time_went() {
    for (rest, expected) in [
        // llama.cpp
        (
            r#""timings":{"prompt_n":5,"prompt_ms":12.5,"predicted_n":7,"predicted_ms":80.0004}"#,
            [None, Some(12_500), Some(80_000), None],
        ),
        // vLLM
        (
            r#""metrics":{"time_to_first_token_ms":30.5,"queue_time_ms":1.25,"generation_time_ms":100,"mean_itl_ms":9}"#,
            [Some(1_250), None, Some(100_000), None],
        ),
        // Groq
        (
            r#""usage":{"queue_time":0.25,"prompt_tokens":1,"prompt_time":0.001,"completion_tokens":2,"completion_time":0.5,"total_time":0.501}"#,
            [Some(250_000), Some(1_000), Some(500_000), Some(501_000)],
        ),
        // No spans of time.
        (
            r#""metrics":{"queue_time_ms":-1,"generation_time_ms":1e300},"timings":{"prompt_ms":null,"predicted_ms":"1"}"#,
            [None, None, None, None],
        ),
    ] {
        let body = format!(
            r#"{{"object":"chat.completion","choices":[{{"message":{{"content":"hello"}}}}],{rest}}}"#
        );
        let call = Script::new().post(CHAT, ASK).plain(200, &body).call();
        assert_eq!(
            [
                call.server_queue,
                call.server_prefill,
                call.server_decode,
                call.server_total
            ],
            expected,
            "{rest}"
        );
        assert_eq!(call.server_load, None);
    }
}

#[test]
fn a_refusal_to_serve_says_when_to_try_again() {
    let refused = |retry: &str| {
        let script = Script::new()
            .post(CHAT, ASK)
            .add(EventKind::ResponseHead(ResponseHead {
                status: 429,
                version: Version::Http11,
                headers: fields(&[("Content-Type", JSON), ("retry-after", retry)]),
                first: t(100),
                last: t(100),
            }));
        let body = r#"{"error":{"message":"m","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
        script.piece(body, 200).complete(200).call()
    };
    let call = refused("20");
    assert_eq!(call.outcome, Outcome::RateLimited);
    assert_eq!(
        (call.error_type.as_deref(), call.error_code.as_deref()),
        (Some("requests"), Some("rate_limit_exceeded"))
    );
    assert_eq!(call.retry_after, Some(20_000_000));
    assert_eq!((call.output_tokens, call.content_chars), (None, None));
    assert_eq!(refused("Fri, 31 Dec 1999 23:59:59 GMT").retry_after, None);
}

#[test]
fn chunks_on_lines_are_a_stream_whatever_their_type_says() {
    let lines = format!(
        "{}\n{}\r\n\n{}",
        chunk(0, r#"{"role":"assistant","content":""}"#, "null"),
        chunk(0, r#"{"content":"hello"}"#, "null"),
        chunk(0, r#"{"content":" world"}"#, "\"stop\"")
    );
    for kind in ["application/x-ndjson", JSON, ""] {
        let call = call_however_cut(CHAT, [JSON, ASK], 200, [kind, &lines]);
        assert_eq!(call.stream, Some(true), "{kind}");
        assert_eq!((call.output_tokens, call.outcome), (Some(2), Outcome::Ok));
        assert_eq!(call.finish_reasons, ["stop"]);
    }
    let mut script = Script::new().post(CHAT, ASK).head(200, "", 500);
    for (line, at) in lines
        .split_inclusive('\n')
        .zip([1_000, 1_010, 1_020, 1_030])
    {
        script = script.piece(line, at);
    }
    let call = script.complete(1_040).call();
    assert_eq!(marks(&call), [Some(0), Some(1), Some(3)]);
}

#[test]
fn lines_go_on_behind_a_hole_and_behind_what_is_no_json() {
    let line = |text: &str| {
        format!(
            "{}\n",
            chunk(0, &format!(r#"{{"content":"{text}"}}"#), "null")
        )
    };
    let lines = |script: Script| script.post(CHAT, ASK).head(200, "application/x-ndjson", 1);
    let call = lines(Script::new())
        .piece(line("hello"), 10)
        .piece("oops {\n{\"choices\":[{]\n", 20)
        .piece(line(" world"), 30)
        .complete(40)
        .call();
    assert_eq!(call.output_tokens, Some(2));
    assert_eq!(call.marks.last_token, Some(t(30)));

    let call = lines(Script::new())
        .piece(line("hello"), 10)
        .piece("{\"choices\":[", 20)
        .gap(Place::ResponseBody, 10)
        .piece("\"index\":0}]}{\"choices\":[]}\n", 25)
        .piece(line(" world"), 30)
        .complete(40)
        .call();
    assert_eq!(
        (call.output_tokens, call.confidence),
        (Some(2), Confidence::Partial)
    );
    assert_eq!(call.gap_max, None);
}

#[test]
fn text_that_is_no_utf8_is_replaced_and_counted() {
    let mut body = answer("hello X", "null").into_bytes();
    let place = body.iter().position(|b| *b == b'X').unwrap();
    body[place] = 0xFF;
    let script = Script::new().post(CHAT, ASK).head(200, JSON, 1);
    let script = script.piece(body, 2).complete(3);
    let (finished, counters) = script.finish_with(Settings::default());
    assert_eq!(counters.json_replaced, 1);
    assert_eq!(finished.call.unwrap().call().content_chars, Some(7));
}

#[test]
fn an_error_event_ends_its_stream_unless_output_follows() {
    let error = r#"{"error":{"message":"m","type":"server_error","code":500}}"#;
    let broken = |script: Script| script.end(Ending::ClientReset, 90).call();
    let begun = || {
        Script::new()
            .post(CHAT, ASK)
            .stream(1)
            .delta(r#"{"content":"hello"}"#, 10)
    };
    let call = broken(begun().data(error, 20));
    assert_eq!(call.outcome, Outcome::ErrorIn200);
    assert_eq!(call.error_code.as_deref(), Some("500"));
    let call = broken(begun().data(error, 20).delta(r#"{"content":"hello"}"#, 30));
    assert_eq!(call.outcome, Outcome::ClientAbort);
    assert_eq!(broken(begun()).outcome, Outcome::ClientAbort);
    // Half an event is none.
    let call = broken(begun().piece("data: {\"error\":{\"type\":\"server_error\"", 20));
    assert_eq!(call.outcome, Outcome::ClientAbort);
}
