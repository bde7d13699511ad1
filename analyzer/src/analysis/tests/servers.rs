//! Streams and answers in the shapes of the servers that people run. "hello", " world" and "user"
//! are one token each in cl100k_base, which counts texts as they stand, so the counts can be checked by eye.

use super::*;

/// What a stream must come to. Each event is a segment, 10 µs after the one before it; the first
/// comes at 10 µs.
struct Expected {
    model: &'static str,
    /// Position of the first event with a choice, of the first and of the last with output.
    marks: [usize; 3],
    /// Input, output, cached and reasoning tokens as the server says.
    reported: [Option<u64>; 4],
    counted_output: u64,
    finish: &'static [&'static str],
}

fn check(server: &str, target: &str, request: &str, stream: &str, expected: &Expected) {
    // The blank line that ends an event stays with it.
    let ending = if stream.contains("\r\n") {
        "\r\n\r\n"
    } else {
        "\n\n"
    };
    let mut script = Script::new().post(target, request).stream(5);
    let mut at = 0;
    for event in stream.split_inclusive(ending) {
        at += 10;
        script = script.piece(event, at);
    }
    let whole = script.clone().complete(at + 1).plain_call();
    let time = |event: usize| Some(t(10 * (event as i64 + 1)));
    let [first_event, first_token, last_token] = expected.marks.map(time);
    assert_eq!(
        whole.response_model.as_deref(),
        Some(expected.model),
        "{server}"
    );
    assert_eq!(whole.outcome, Outcome::Ok, "{server}");
    assert_eq!(whole.stream, Some(true), "{server}");
    assert_eq!(
        whole.marks.first_event, first_event,
        "{server}: first_event"
    );
    assert_eq!(
        whole.marks.first_token, first_token,
        "{server}: first_token"
    );
    assert_eq!(whole.marks.last_token, last_token, "{server}: last_token");
    assert_eq!(
        [
            whole.reported_input_tokens,
            whole.reported_output_tokens,
            whole.cached_tokens,
            whole.reasoning_tokens
        ],
        expected.reported,
        "{server}"
    );
    assert_eq!(
        whole.counted_output_tokens,
        Some(expected.counted_output),
        "{server}"
    );
    assert_eq!(whole.finish_reasons, expected.finish, "{server}");
    assert_eq!(
        (whole.error_type, whole.error_code),
        (None, None),
        "{server}"
    );

    // Whatever the cuts, only the times may change.
    for size in [1, 7, 64] {
        let mut cut = Script::new().post(target, request).stream(5);
        for piece in stream.as_bytes().chunks(size) {
            cut = cut.piece(piece, 10);
        }
        let call = cut.complete(11).plain_call();
        assert_eq!(
            (
                call.reported_output_tokens,
                call.counted_output_tokens,
                call.finish_reasons
            ),
            (
                whole.reported_output_tokens,
                whole.counted_output_tokens,
                whole.finish_reasons.clone()
            ),
            "{server} in pieces of {size}"
        );
    }
}

#[expect(clippy::too_many_lines, reason = "a server a paragraph")]
#[test]
fn chat_streams() {
    check(
        "vLLM with continuous usage",
        "/v1/chat/completions",
        ASK,
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":9,"total_tokens":9,"completion_tokens":0}}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":"hello"},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1}}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":" world"},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3}}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}

data: [DONE]

"#,
        &Expected {
            model: "Qwen/Qwen3-8B",
            marks: [0, 1, 2],
            reported: [Some(9), Some(3), Some(8), None],
            counted_output: 2,
            finish: &["stop"],
        },
    );
    check(
        "SGLang, thinking",
        "/v1/chat/completions",
        ASK,
        r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"r1","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"r1","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":"hello","tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"r1","choices":[{"index":0,"delta":{"role":null,"content":"hello","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"r1","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"stop","matched_stop":151645}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"r1","choices":[],"usage":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4,"prompt_tokens_details":null,"reasoning_tokens":2}}

data: [DONE]

"#,
        &Expected {
            model: "r1",
            marks: [0, 1, 2],
            reported: [Some(9), Some(4), None, Some(2)],
            counted_output: 2,
            finish: &["stop"],
        },
    );
    check(
        "Xinference, with the CRLF and pings of its event library",
        "/v1/chat/completions",
        ASK,
        &r#": ping - 2025-08-01 12:00:00.123456+00:00

data: {"id": "chat-1", "model": "qwen", "created": 1, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}

data: {"id": "chat-1", "model": "qwen", "created": 1, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": null}]}

: ping - 2025-08-01 12:00:15.123456+00:00

data: {"id": "chat-1", "model": "qwen", "created": 1, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}

data: [DONE]

"#
        .replace('\n', "\r\n"),
        &Expected {
            model: "qwen",
            marks: [1, 2, 2],
            reported: [None; 4],
            counted_output: 1,
            finish: &["stop"],
        },
    );
    check(
        "llama.cpp",
        "/v1/chat/completions",
        ASK,
        r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-a","model":"gpt-3.5-turbo","system_fingerprint":"b5999-1","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"hello"}}],"created":1,"id":"chatcmpl-a","model":"gpt-3.5-turbo","system_fingerprint":"b5999-1","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1,"id":"chatcmpl-a","model":"gpt-3.5-turbo","system_fingerprint":"b5999-1","object":"chat.completion.chunk","timings":{"cache_n":5,"prompt_n":4,"prompt_ms":9.1,"prompt_per_token_ms":2.2,"prompt_per_second":439.5,"predicted_n":2,"predicted_ms":30.5,"predicted_per_token_ms":15.2,"predicted_per_second":65.5}}

data: [DONE]

"#,
        &Expected {
            model: "gpt-3.5-turbo",
            marks: [0, 1, 1],
            reported: [Some(9), Some(2), Some(5), None],
            counted_output: 1,
            finish: &["stop"],
        },
    );
    check(
        "Ollama, thinking and a tool call",
        "/v1/chat/completions",
        ASK,
        r#"data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"hello"},"finish_reason":null}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_1","index":0,"type":"function","function":{"name":"hello","arguments":"{}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":20,"total_tokens":29}}

data: [DONE]

"#,
        &Expected {
            model: "qwen3",
            marks: [0, 0, 1],
            reported: [Some(9), Some(20), None, None],
            // "hello", "hello" and "{}".
            counted_output: 3,
            finish: &["tool_calls"],
        },
    );
    check(
        "TGI, without a space after the colon",
        "/v1/chat/completions",
        ASK,
        r#"data:{"object":"chat.completion.chunk","id":"","created":1,"model":"tgi","system_fingerprint":"3.3.0-native","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"logprobs":null,"finish_reason":null}],"usage":null}

data:{"object":"chat.completion.chunk","id":"","created":1,"model":"tgi","system_fingerprint":"3.3.0-native","choices":[{"index":0,"delta":{"role":"assistant","content":" world"},"logprobs":null,"finish_reason":"length"}],"usage":null}

data:[DONE]

"#,
        &Expected {
            model: "tgi",
            marks: [0, 0, 1],
            reported: [None; 4],
            counted_output: 2,
            finish: &["length"],
        },
    );
    check(
        "Azure, with its filters",
        "/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ASK,
        r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4-0613","object":"chat.completion.chunk","system_fingerprint":"fp"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"hello"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4-0613","object":"chat.completion.chunk","system_fingerprint":"fp"}

data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4-0613","object":"chat.completion.chunk","system_fingerprint":"fp"}

data: {"choices":[{"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":198},"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}

data: [DONE]

"#,
        &Expected {
            model: "gpt-4-0613",
            marks: [1, 2, 2],
            reported: [None; 4],
            counted_output: 1,
            finish: &["stop"],
        },
    );
    check(
        "OpenRouter, in the queue first",
        "/api/v1/chat/completions",
        ASK,
        r#": OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id":"gen-1","provider":"X","model":"deepseek/deepseek-r1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"hello","reasoning_details":[{"type":"reasoning.text","text":"hello","format":"unknown","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

data: {"id":"gen-1","provider":"X","model":"deepseek/deepseek-r1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"hello","reasoning":null},"finish_reason":"stop","native_finish_reason":"stop","logprobs":null}]}

data: {"id":"gen-1","provider":"X","model":"deepseek/deepseek-r1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15,"cost":0.0001,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}}}

data: [DONE]

"#,
        &Expected {
            model: "deepseek/deepseek-r1",
            marks: [2, 2, 3],
            reported: [Some(9), Some(6), Some(0), Some(4)],
            counted_output: 2,
            finish: &["stop"],
        },
    );
    check(
        "Groq",
        "/openai/v1/chat/completions",
        ASK,
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"llama-3.3-70b-versatile","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1"}}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"llama-3.3-70b-versatile","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"hello"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"llama-3.3-70b-versatile","system_fingerprint":"fp","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.02,"prompt_tokens":9,"prompt_time":0.01,"completion_tokens":2,"completion_time":0.01,"total_tokens":11,"total_time":0.02}}}

data: [DONE]

"#,
        &Expected {
            model: "llama-3.3-70b-versatile",
            marks: [0, 1, 1],
            reported: [Some(9), Some(2), None, None],
            counted_output: 1,
            finish: &["stop"],
        },
    );
    check(
        "DeepSeek",
        "/chat/completions",
        ASK,
        r#": keep-alive

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"hello"},"logprobs":null,"finish_reason":null}]}

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"hello","reasoning_content":null},"logprobs":null,"finish_reason":null}]}

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3},"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}}

data: [DONE]

"#,
        &Expected {
            model: "deepseek-reasoner",
            marks: [1, 2, 3],
            reported: [Some(9), Some(5), Some(4), Some(3)],
            counted_output: 2,
            finish: &["stop"],
        },
    );
    check(
        "Mistral, thinking in parts",
        "/v1/chat/completions",
        ASK,
        r#"data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral-small","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral-small","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hello"}]}]},"finish_reason":null}],"p":"abcdef"}

data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral-small","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}],"p":"abc"}

data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral-small","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3},"p":"abcd"}

data: [DONE]

"#,
        &Expected {
            model: "magistral-small",
            marks: [0, 1, 2],
            reported: [Some(9), Some(3), None, None],
            counted_output: 2,
            finish: &["stop"],
        },
    );
    check(
        "OpenAI, spoken",
        "/v1/chat/completions",
        ASK,
        r#"data: {"id":"o","object":"chat.completion.chunk","created":1,"model":"gpt-4","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":null,"audio":{"id":"audio_1","transcript":""}},"finish_reason":null}],"usage":null,"obfuscation":"x"}

data: {"id":"o","object":"chat.completion.chunk","created":1,"model":"gpt-4","service_tier":"default","choices":[{"index":0,"delta":{"audio":{"transcript":"hello"}},"finish_reason":null}],"usage":null}

data: {"id":"o","object":"chat.completion.chunk","created":1,"model":"gpt-4","service_tier":"default","choices":[{"index":0,"delta":{"audio":{"data":"AAAA"}},"finish_reason":null}],"usage":null}

data: {"id":"o","object":"chat.completion.chunk","created":1,"model":"gpt-4","service_tier":"default","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"o","object":"chat.completion.chunk","created":1,"model":"gpt-4","service_tier":"default","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":30,"total_tokens":39,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":25,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}

data: [DONE]

"#,
        &Expected {
            model: "gpt-4",
            marks: [0, 1, 2],
            reported: [Some(9), Some(30), Some(0), Some(0)],
            counted_output: 1,
            finish: &["stop"],
        },
    );
}

#[test]
fn completion_streams() {
    const PROMPT: &str = r#"{"model":"m","prompt":"hello","stream":true}"#;
    check(
        "vLLM, with the old logprobs",
        "/serving/qwen/v1/completions",
        PROMPT,
        r#"data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"qwen","choices":[{"index":0,"text":"hello","logprobs":{"text_offset":[0],"token_logprobs":[-0.1],"tokens":["hello"],"top_logprobs":[{"hello":-0.1,"text":-2.5}]},"finish_reason":null,"stop_reason":null}],"usage":null}

data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"qwen","choices":[{"index":0,"text":" world","logprobs":{"text_offset":[5],"token_logprobs":[-0.1],"tokens":[" world"],"top_logprobs":[{" world":-0.1}]},"finish_reason":"length","stop_reason":null}],"usage":null}

data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"qwen","choices":[],"usage":{"prompt_tokens":1,"total_tokens":3,"completion_tokens":2}}

data: [DONE]

"#,
        &Expected {
            model: "qwen",
            marks: [0, 0, 1],
            reported: [Some(1), Some(2), None, None],
            counted_output: 2,
            finish: &["length"],
        },
    );
    check(
        "llama.cpp",
        "/v1/completions/",
        PROMPT,
        r#"data: {"choices":[{"text":"hello","index":0,"logprobs":null,"finish_reason":null}],"created":1,"model":"g","system_fingerprint":"b1","object":"text_completion","id":"c"}

data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],"created":1,"model":"g","system_fingerprint":"b1","object":"text_completion","usage":{"completion_tokens":2,"prompt_tokens":1,"total_tokens":3},"id":"c","timings":{"prompt_n":1,"predicted_n":2}}

data: [DONE]

"#,
        &Expected {
            model: "g",
            marks: [0, 0, 0],
            reported: [Some(1), Some(2), None, None],
            counted_output: 1,
            finish: &["stop"],
        },
    );
}

#[test]
fn paths_as_proxies_and_providers_have_them() {
    for (target, dialect, model) in [
        ("/v1/chat/completions?api-version=1", "openai_chat", "m"),
        ("/serving/qwen/v1/chat/completions", "openai_chat", "m"),
        ("/v1/chat/completions/", "openai_chat", "m"),
        ("//v1//chat/completions", "openai_chat", "m"),
        ("/inference/v1/completions", "openai_completions", "m"),
        (
            "/openai/deployments/d-1/completions",
            "openai_completions",
            "m",
        ),
    ] {
        let ask = r#"{"model":"m","prompt":"a","messages":[]}"#;
        let call = Script::new().post(target, ask).plain(200, "{}").call();
        assert_eq!(
            (call.dialect, call.request_model.as_deref()),
            (Some(dialect), Some(model)),
            "{target}"
        );
        assert!(!call.path.unwrap().contains('?'));
    }
}

#[test]
fn refusals() {
    for (server, status, body, kind, code) in [
        (
            "vLLM",
            404,
            r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}"#,
            Some("NotFoundError"),
            Some("404"),
        ),
        (
            "vLLM before 0.10, and SGLang",
            400,
            r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#,
            Some("BadRequestError"),
            Some("400"),
        ),
        (
            "TGI",
            422,
            r#"{"error":"Input validation error: `inputs` must be short","error_type":"validation"}"#,
            Some("validation"),
            None,
        ),
        (
            "llama.cpp",
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            Some("unavailable_error"),
            Some("503"),
        ),
        (
            "Ollama",
            404,
            r#"{"error":{"message":"model \"x\" not found","type":"api_error","param":null,"code":null}}"#,
            Some("api_error"),
            None,
        ),
        (
            "Xinference",
            400,
            r#"{"detail":"[address=0.0.0.0:1, pid=2] Model not found"}"#,
            None,
            None,
        ),
        (
            "Azure's filter",
            400,
            r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
            None,
            Some("content_filter"),
        ),
        (
            "Azure's gate",
            401,
            r#"{"statusCode":401,"message":"Access denied due to invalid subscription key."}"#,
            None,
            None,
        ),
        (
            "Mistral",
            422,
            r#"{"object":"error","message":{"detail":[{"type":"missing","loc":["body"],"msg":"x"}]},"type":"invalid_request_message_order","param":null,"code":"3230"}"#,
            Some("invalid_request_message_order"),
            Some("3230"),
        ),
        (
            "OpenRouter",
            429,
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"code\":1}}","provider_name":"X"}},"user_id":"u"}"#,
            None,
            Some("429"),
        ),
        (
            "Groq",
            413,
            r#"{"error":{"message":"Request too large","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Some("tokens"),
            Some("rate_limit_exceeded"),
        ),
    ] {
        let call = Script::new().post(CHAT, ASK).plain(status, body).call();
        let outcome = match status {
            429 => Outcome::RateLimited,
            500.. => Outcome::ServerError,
            _ => Outcome::ClientError,
        };
        assert_eq!(call.outcome, outcome, "{server}");
        assert_eq!(
            (call.error_type.as_deref(), call.error_code.as_deref()),
            (kind, code),
            "{server}"
        );
        assert_eq!(call.total_tokens, None, "{server}");
        assert!(!call.output_partial, "{server}");
    }
}
