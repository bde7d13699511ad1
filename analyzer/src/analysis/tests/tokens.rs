//! Token figures, prompts and output text, and the clocks that rest on them.

use super::*;

#[test]
fn usage_is_read_wherever_it_stands_and_the_last_wins() {
    let tail = [
        (
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#,
            (Some(5), Some(7)),
        ),
        (
            r#"{"choices":[{"index":0,"delta":{},"usage":{"prompt_tokens":5,"completion_tokens":7}}]}"#,
            (Some(5), Some(7)),
        ),
        (
            r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":5,"completion_tokens":7}}}"#,
            (Some(5), Some(7)),
        ),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":5}}"#,
            (Some(5), Some(3)),
        ),
        (r#"{"choices":[],"usage":null}"#, (Some(1), Some(3))),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":"7"}}"#,
            (Some(1), Some(3)),
        ),
    ];
    for (event, expected) in tail {
        // vLLM's continuous usage: cumulative in every chunk.
        let call = Script::new()
            .post(CHAT, ASK)
            .stream(1)
            .data(r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, 2)
            .data(r#"{"choices":[{"index":0,"delta":{"content":"b"}}],"usage":{"prompt_tokens":1,"completion_tokens":3}}"#, 3)
            .data(event, 4)
            .complete(5)
            .call();
        assert_eq!(
            (call.reported_input_tokens, call.reported_output_tokens),
            expected,
            "{event}"
        );
    }
}

#[test]
fn a_usage_that_output_followed_is_of_a_part_only() {
    let usage = |output: u64| {
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":5,"completion_tokens":{output}}}}}"#)
    };
    let begun = |first: u64| {
        Script::new()
            .post(CHAT, ASK)
            .stream(1)
            .data(&usage(first), 2)
            .delta(r#"{"content":"hello"}"#, 3)
            .delta(r#"{"content":" world"}"#, 4)
    };
    let output = |script: Script| {
        let call = script.call();
        assert_eq!(call.input_source, TokenSource::Reported);
        (
            call.reported_output_tokens,
            call.output_tokens,
            call.output_source,
        )
    };
    // The figure came with the first chunk, and the client left.
    assert_eq!(
        output(begun(0).end(Ending::ClientFin, 9)),
        (Some(0), Some(2), TokenSource::Counted)
    );
    // Ours is no better.
    assert_eq!(
        output(begun(7).end(Ending::ClientFin, 9)),
        (Some(7), Some(7), TokenSource::Reported)
    );
    // Another one came at the end.
    assert_eq!(
        output(begun(0).data(&usage(1), 8).complete(9)),
        (Some(1), Some(1), TokenSource::Reported)
    );
    // A figure holds for the output of its own event, before it or after it.
    let same = r#"{"usage":{"prompt_tokens":5,"completion_tokens":1},"choices":[{"index":0,"delta":{"content":" hello"}}]}"#;
    assert_eq!(
        output(begun(0).data(same, 8).end(Ending::ClientFin, 9)),
        (Some(1), Some(1), TokenSource::Reported)
    );
}

#[test]
fn llama_cpps_timings_stand_in_for_a_usage() {
    let figures = |last: &str| {
        let call = Script::new()
            .post(CHAT, ASK)
            .stream(1)
            .delta(r#"{"content":"hello"}"#, 3)
            .data(last, 4)
            .complete(9)
            .call();
        [
            call.reported_input_tokens,
            call.reported_output_tokens,
            call.cached_tokens,
        ]
    };
    let timings = r#""timings":{"prompt_n":3,"prompt_ms":1.5,"predicted_n":7,"predicted_ms":90.1,"predicted_per_second":77.6,"cache_n":40}"#;
    assert_eq!(
        figures(&format!(r#"{{"choices":[],{timings}}}"#)),
        [Some(43), Some(7), Some(40)]
    );
    let usage = r#""usage":{"prompt_tokens":43,"completion_tokens":8}"#;
    assert_eq!(
        figures(&format!(r#"{{"choices":[],{usage},{timings}}}"#)),
        [Some(43), Some(8), Some(40)]
    );
    // Older servers: how much of the prompt came from the cache is not said.
    assert_eq!(
        figures(r#"{"choices":[],"timings":{"prompt_n":3,"predicted_n":0}}"#),
        [None, Some(0), None]
    );
}

#[test]
fn prompts_are_counted_by_the_old_rule() {
    for (messages, expected) in [
        // An empty list is an empty prompt.
        ("[]", 2),
        (
            r#"[{"role":"user","content":"hello world"}]"#,
            2 + 4 + 1 + 2,
        ),
        (
            r#"[{"role":"user","content":"hello"},{"role":"user","content":"world"}]"#,
            2 + 2 * (4 + 1 + 1),
        ),
        (
            r#"[{"role":"user","name":"user","content":"hello"}]"#,
            2 + 4 + 1 + 1 + 1,
        ),
        (r#"[{"role":"user","content":null}]"#, 2 + 4 + 1),
        // Vision: the part's type and the picture do not count.
        (
            r#"[{"role":"user","content":[{"type":"text","text":"hello world"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"text"}},{"type":"input_audio","input_audio":{"data":"AAAA"}},{"type":"text","text":"hello"}]}]"#,
            2 + 4 + 1 + 2 + 1,
        ),
        (
            r#"[{"role":"user","content":["hello world"]}]"#,
            2 + 4 + 1 + 2,
        ),
        (
            r#"[{"role":"user","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"hello","arguments":"hello world"}}]}]"#,
            2 + 4 + 1 + 1 + 2,
        ),
        (
            r#"[{"role":"user","function_call":{"name":"hello","arguments":"hello world"}}]"#,
            2 + 4 + 1 + 1 + 2,
        ),
    ] {
        let body = format!(
            r#"{{"messages":{messages},"tools":[{{"type":"function","function":{{"name":"unused"}}}}]}}"#
        );
        let call = Script::new()
            .post(CHAT, &body)
            .plain(200, &answer("", "null"))
            .call();
        assert_eq!(call.counted_input_tokens, Some(expected), "{messages}");
    }
}

#[test]
fn completion_prompts_are_texts_or_token_ids() {
    for (prompt, expected) in [
        (r#""hello world""#, Some(2)),
        (r#"["hello world","hello"]"#, Some(3)),
        ("[15339,1917,15339]", Some(3)),
        ("[[15339,1917],[15339]]", Some(3)),
        ("[]", Some(0)),
        ("null", None),
    ] {
        let body = format!(r#"{{"model":"m","prompt":{prompt}}}"#);
        let response = r#"{"object":"text_completion","choices":[{"text":"hello world","index":0,"finish_reason":"length"}]}"#;
        let call = Script::new()
            .post("/v1/completions", &body)
            .plain(200, response)
            .call();
        assert_eq!(call.dialect, Some("openai_completions"));
        assert_eq!(call.operation, Some("text_completion"));
        assert_eq!(call.counted_input_tokens, expected, "{prompt}");
        assert_eq!(call.counted_output_tokens, Some(2));
        assert_eq!(call.finish_reasons, ["length"]);
    }
}

#[test]
fn an_echoed_prompt_is_no_output_and_a_suffix_is_input() {
    let response = |texts: &[&str]| {
        let choices: Vec<_> = (0..)
            .zip(texts)
            .map(|(index, text)| format!(r#"{{"text":"{text}","index":{index},"logprobs":{{"tokens":["hello"],"text_offset":[0]}},"finish_reason":"stop"}}"#))
            .collect();
        format!(
            r#"{{"object":"text_completion","choices":[{}]}}"#,
            choices.join(",")
        )
    };
    for (request, texts, input, output) in [
        (
            r#""prompt":"hello","echo":true"#,
            &["hello world"][..],
            1,
            1,
        ),
        (r#""prompt":"hello","echo":false"#, &["hello world"], 1, 2),
        (r#""prompt":"hello","echo":null"#, &["hello world"], 1, 2),
        (
            r#""prompt":["hello","hello world"],"echo":true"#,
            &["hello world", "hello world hello"],
            3,
            2,
        ),
        (
            r#""prompt":["hello"],"n":2,"echo":true"#,
            &["hello world", "hello hello"],
            1,
            2,
        ),
        (r#""prompt":[15339],"echo":true"#, &["hello world"], 1, 2),
        (r#""prompt":"hello","suffix":" world""#, &["x"], 2, 1),
        (r#""suffix":null,"prompt":"hello""#, &["x"], 1, 1),
    ] {
        let call = Script::new()
            .post("/v1/completions", &format!(r#"{{"model":"m",{request}}}"#))
            .plain(200, &response(texts))
            .call();
        assert_eq!(
            (call.counted_input_tokens, call.counted_output_tokens),
            (Some(input), Some(output)),
            "{request}"
        );
    }
}

#[test]
fn each_prompt_of_a_list_gets_its_choices() {
    let event = |index: u32, reason: &str| {
        format!(
            r#"{{"object":"text_completion","choices":[{{"index":{index},"text":"a","finish_reason":{reason}}}]}}"#
        )
    };
    for (asked, choices) in [
        (r#""prompt":"a""#, 1),
        (r#""prompt":[1,2,3]"#, 1),
        (r#""prompt":["a","b"]"#, 2),
        (r#""prompt":[[1],[2,3]]"#, 2),
        (r#""prompt":["a","b"],"n":2"#, 4),
    ] {
        let mut script = Script::new()
            .post("/v1/completions", &format!("{{{asked}}}"))
            .stream(1);
        for index in 0..choices {
            let call = script.clone().end(Ending::ClientReset, 60).call();
            assert_eq!(call.outcome, Outcome::ClientAbort, "{asked} {index}");
            script = script.data(&event(index, "\"stop\""), 10 + i64::from(index));
        }
        let call = script.end(Ending::ClientReset, 60).call();
        assert_eq!(call.outcome, Outcome::Ok, "{asked}");
    }
}

#[test]
fn streamed_completions_are_read() {
    let event = |text: &str, reason: &str| {
        format!(
            r#"{{"object":"text_completion","choices":[{{"index":0,"text":"{text}","finish_reason":{reason}}}]}}"#
        )
    };
    let call = Script::new()
        .post("/v1/completions", r#"{"prompt":"hello"}"#)
        .stream(1)
        .data(&event("hello", "null"), 10)
        .data(&event(" world", "\"stop\""), 30)
        .end(Ending::ClientFin, 40)
        .call();
    assert_eq!((call.output_tokens, call.outcome), (Some(2), Outcome::Ok));
    assert_eq!((call.ttft, call.tpot), (Some(10), Some(20.0)));
    assert_eq!(call.stream, Some(true));
}

#[test]
fn what_counts_as_a_token() {
    for (delta, is_token) in [
        (r#"{"role":"assistant"}"#, false),
        (r#"{"role":"assistant","content":""}"#, false),
        (r#"{"content":null}"#, false),
        ("{}", false),
        (r#"{"content":"a"}"#, true),
        (r#"{"reasoning_content":"a"}"#, true),
        (r#"{"reasoning":"a"}"#, true),
        (r#"{"reasoning_content":"","content":""}"#, false),
        (r#"{"refusal":"a"}"#, true),
        (
            r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"","arguments":""}}]}"#,
            false,
        ),
        (
            r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#,
            true,
        ),
        (
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
            true,
        ),
        (r#"{"function_call":{"name":"f"}}"#, true),
        (r#"{"audio":{"id":"a","data":"AAAA"}}"#, true),
        (r#"{"audio":{"transcript":"a"}}"#, true),
        (r#"{"content":[{"type":"text","text":"a"}]}"#, true),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}"#,
            true,
        ),
    ] {
        let call = Script::new()
            .post(CHAT, ASK)
            .stream(1)
            .delta(delta, 5)
            .complete(9)
            .call();
        assert_eq!(call.marks.first_event, Some(t(5)), "{delta}");
        assert_eq!(call.marks.first_token, is_token.then_some(t(5)), "{delta}");
    }
    let usage = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .data(r#"{"choices":[],"usage":{}}"#, 5);
    assert_eq!(usage.complete(9).call().marks.first_event, None);
}

#[test]
fn reasoning_is_output_and_counts_once_under_two_names() {
    let call = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .delta(r#"{"reasoning_content":"hello","reasoning":"hello"}"#, 10)
        .delta(r#"{"reasoning_content":" world","reasoning":" world"}"#, 20)
        .delta(r#"{"content":"hello"}"#, 30)
        .complete(40)
        .call();
    assert_eq!(call.counted_output_tokens, Some(3));
    assert_eq!(call.ttft, Some(10));
}

#[test]
fn tool_calls_interleave_by_index_and_their_arguments_join() {
    let piece = |index: u32, function: &str| {
        format!(r#"{{"tool_calls":[{{"index":{index},"function":{function}}}]}}"#)
    };
    let call = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .delta(&piece(0, r#"{"name":"hello","arguments":""}"#), 10)
        .delta(&piece(1, r#"{"name":"hello","arguments":"hel"}"#), 20)
        .delta(&piece(0, r#"{"arguments":"hel"}"#), 30)
        .delta(&piece(1, r#"{"arguments":"lo wo"}"#), 40)
        .delta(&piece(0, r#"{"name":"hello","arguments":"lo world"}"#), 50)
        .delta(&piece(1, r#"{"arguments":"rld"}"#), 60)
        .complete(70)
        .call();
    // Twice "hello" and "hello world"; the repeated name counts once.
    assert_eq!(call.counted_output_tokens, Some(6));
}

#[test]
fn an_index_may_come_after_the_text() {
    let event = |text: &str, index: u32| {
        format!(
            r#"{{"choices":[{{"delta":{{"content":"{text}"}},"finish_reason":null,"index":{index}}}]}}"#
        )
    };
    let call = Script::new()
        .post(CHAT, ASK)
        .stream(1)
        .data(&event("hel", 0), 10)
        .data(&event("wor", 1), 20)
        .data(&event("lo", 0), 30)
        .data(&event("ld", 1), 40)
        .complete(50)
        .call();
    assert_eq!(call.counted_output_tokens, Some(2));
}

#[test]
fn several_choices_count_each_and_have_no_tpot() {
    let ask = r#"{"n":2,"messages":[{"role":"user","content":"hello world"}]}"#;
    let script = Script::new()
        .post(CHAT, ask)
        .stream(1)
        .data(&chunk(0, r#"{"content":"hello"}"#, "null"), 10)
        .data(&chunk(1, r#"{"content":"hello"}"#, "null"), 20)
        .data(&chunk(1, r#"{"content":" world"}"#, "\"length\""), 30)
        .data(&chunk(0, r#"{"content":" world"}"#, "\"stop\""), 40);
    let call = script.clone().complete(50).call();
    assert_eq!(call.counted_output_tokens, Some(4));
    assert_eq!(call.finish_reasons, ["stop", "length"]);
    assert_eq!((call.tpot, call.ttft), (None, Some(10)));
    // Both choices ended: the answer is complete, whatever follows.
    assert_eq!(
        script.end(Ending::ClientReset, 60).call().outcome,
        Outcome::Ok
    );
    // Only one of the two that were asked for.
    let half = Script::new()
        .post(CHAT, ask)
        .stream(1)
        .data(&chunk(0, r#"{"content":"hello"}"#, "\"stop\""), 10)
        .end(Ending::ClientReset, 60);
    assert_eq!(half.call().outcome, Outcome::ClientAbort);
}

#[test]
fn tpot_needs_two_tokens_two_times_and_the_whole_answer() {
    let tpot = |usage: &str, deltas: &[(&str, i64)]| {
        let mut script = Script::new().post(CHAT, ASK).stream(1);
        for (delta, at) in deltas {
            script = script.delta(delta, *at);
        }
        script
            .data(&format!(r#"{{"choices":[],"usage":{usage}}}"#), 900)
            .complete(1_000)
            .call()
            .tpot
    };
    let two = &[
        (r#"{"content":"hello"}"#, 100),
        (r#"{"content":" world"}"#, 400),
    ][..];
    assert_eq!(tpot("null", two), Some(300.0));
    assert_eq!(tpot(r#"{"completion_tokens":4}"#, two), Some(100.0));
    assert_eq!(tpot(r#"{"completion_tokens":1}"#, two), None);
    assert_eq!(tpot(r#"{"completion_tokens":0}"#, two), None);
    assert_eq!(tpot("null", &two[..1]), None);
    // All at one time.
    assert_eq!(
        tpot(
            "null",
            &[
                (r#"{"content":"hello"}"#, 100),
                (r#"{"content":" world"}"#, 100)
            ]
        ),
        None
    );
    // Thoughts that never crossed the wire are no tokens of these gaps; those that did are.
    let hidden = r#"{"completion_tokens":14,"completion_tokens_details":{"reasoning_tokens":10}}"#;
    assert_eq!(tpot(hidden, two), Some(100.0));
    let shown = &[
        (r#"{"reasoning":"hello"}"#, 100),
        (r#"{"content":" world"}"#, 1_400),
    ];
    assert_eq!(tpot(hidden, shown), Some(100.0));
    let lost = stream().gap(Place::ResponseBody, 1).call();
    assert_eq!(lost.tpot, None);
}

#[test]
fn the_tokenizer_follows_the_model() {
    let ask = |model: &str| format!(r#"{{"model":"{model}","messages":[]}}"#);
    let call = |model: &str, tokenizers: Tokenizers| {
        let script = Script::new()
            .post(CHAT, &ask(model))
            .plain(200, &answer("a", "null"));
        script
            .finish()
            .call
            .unwrap()
            .count(&Counter::always_by(tokenizers))
            .call
            .tokenizer
            .map(|name| name.to_string())
    };
    assert_eq!(
        call("gpt-4o", Tokenizers::by_model()).as_deref(),
        Some("o200k_base")
    );
    assert_eq!(
        call("alias", Tokenizers::by_model()).as_deref(),
        Some("cl100k_base")
    );
    let always = Tokenizers::always(Vocabulary::P50kBase);
    assert_eq!(call("gpt-4o", always).as_deref(), Some("p50k_base"));
}
