use super::*;

const PLAIN: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
pub(super) const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

pub(super) const ASK: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hello world"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},{"role":"user","parts":[{"functionResponse":{"name":"hello","response":{"a":"hello"}}}]}],"systemInstruction":{"parts":[{"text":"hello"}]},"tools":[{"functionDeclarations":[{"name":"a"},{"name":"b"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},"generationConfig":{"temperature":0.4,"maxOutputTokens":77,"responseMimeType":"application/json"}}"#;

const CHUNKS: [&str; 4] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"hello","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"totalTokenCount":15,"thoughtsTokenCount":3},"modelVersion":"gemini-2.5-flash-001","responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"hello world"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":2,"totalTokenCount":17,"thoughtsTokenCount":3},"modelVersion":"gemini-2.5-flash-001","responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a","args":{"x":["y",1]}}},{"functionCall":{"name":"b","args":{}}}],"role":"model"},"index":0}],"modelVersion":"gemini-2.5-flash-001","responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":12,"cachedContentTokenCount":8,"candidatesTokenCount":9,"thoughtsTokenCount":3,"totalTokenCount":24},"modelVersion":"gemini-2.5-flash-001","responseId":"r1"}"#,
];

pub(super) fn sse() -> Vec<String> {
    CHUNKS.map(|chunk| format!("data: {chunk}\r\n\r\n")).into()
}

fn check(call: &Call) {
    assert_eq!(
        (call.dialect, call.operation, call.provider),
        (Some("gemini"), Some("generate_content"), Some("gcp.gemini"))
    );
    assert_eq!(
        (
            call.request_model.as_deref(),
            call.response_model.as_deref()
        ),
        (Some("gemini-2.5-flash"), Some("gemini-2.5-flash-001"))
    );
    assert_eq!(call.response_id.as_deref(), Some("r1"));
    assert_eq!(
        (call.max_tokens, call.temperature, call.tool_count),
        (Some(77), Some(0.4), Some(2))
    );
    assert_eq!(
        (call.tool_choice.as_deref(), call.response_format.as_deref()),
        (Some("ANY"), Some("application/json"))
    );
    // What was generated, the thoughts included; the wire's own figure beside it.
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(12), Some(12))
    );
    assert_eq!(
        (
            call.reported_output_tokens,
            call.reasoning_tokens,
            call.cached_tokens
        ),
        (Some(9), Some(3), Some(8))
    );
    assert_eq!(call.finish_reasons, ["STOP"]);
    assert_eq!(call.tool_calls, ["a", "b"]);
    assert_eq!(
        (call.content_chars, call.reasoning_chars),
        (Some(11), Some(5))
    );
    // user, hello world; user, hello, hello; hello; 4 a message and 2; two tools' definitions.
    assert_eq!(
        call.counted_input_tokens,
        Some(3 + 3 + 1 + 2 * 4 + 2 + 2 * 6)
    );
    assert_eq!((call.message_count, call.outcome), (Some(2), Outcome::Ok));
}

#[test]
fn a_stream_of_events() {
    let call = call_however_cut(STREAM, [JSON, ASK], 200, [SSE, &sse().concat()]);
    check(&call);
    assert_eq!(call.stream, Some(true));
    let sse = sse();
    let call = events(
        STREAM,
        ASK,
        &sse.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(marks(&call), [Some(0), Some(0), Some(2)]);
}

#[test]
fn a_stream_that_is_one_array() {
    let path = STREAM.trim_end_matches("?alt=sse");
    let body = format!("[{}\n]\n", CHUNKS.join("\n,\r\n"));
    let call = call_however_cut(path, [JSON, ASK], 200, [JSON, &body]);
    check(&call);
    assert_eq!(call.stream, Some(true));
    let pieces: Vec<_> = CHUNKS
        .iter()
        .zip(["[", ",\n", ",\n", ",\n"])
        .map(|(chunk, before)| format!("{before}{chunk}"))
        .chain(["]".to_owned()])
        .collect();
    let script = Script::new().post(path, ASK).head(200, JSON, 500);
    let script = (0..).zip(&pieces).fold(script, |script, (n, piece)| {
        script.piece(piece.as_str(), 1_000 + n * 10)
    });
    assert_eq!(
        marks(&script.complete(2_000).call()),
        [Some(0), Some(0), Some(2)]
    );
}

#[test]
fn an_answer_in_one_piece() {
    let call = call_however_cut(PLAIN, [JSON, ASK], 200, [JSON, CHUNKS[3]]);
    assert_eq!((call.stream, call.ttft), (Some(false), None));
    assert_eq!(
        (call.output_tokens, call.reported_output_tokens),
        (Some(12), Some(9))
    );
    let vertex = "/v1/projects/p/locations/l/publishers/google/models/gemini-x:generateContent";
    assert_eq!(
        call_however_cut(vertex, [JSON, ASK], 200, [JSON, CHUNKS[3]])
            .request_model
            .as_deref(),
        Some("gemini-x")
    );
}

#[test]
fn several_candidates_and_a_blocked_prompt() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"hello"}]},"finishReason":"STOP","index":1},{"content":{"parts":[{"text":"hello world"}]},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":4,"toolUsePromptTokenCount":10,"candidatesTokenCount":3}}"#;
    let call = call_however_cut(
        PLAIN,
        [
            JSON,
            r#"{"contents":{"parts":{"text":"hello"}},"generation_config":{"candidate_count":2}}"#,
        ],
        200,
        [JSON, body],
    );
    assert_eq!(
        (call.input_tokens, call.reported_input_tokens),
        (Some(14), Some(4))
    );
    assert_eq!(call.content_chars, Some(16));
    let blocked =
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let call = call_however_cut(PLAIN, [JSON, ASK], 200, [JSON, blocked]);
    assert_eq!(
        (call.finish_reasons, call.outcome),
        (vec!["SAFETY".to_owned()], Outcome::Ok)
    );
}

#[test]
fn errors() {
    let body = r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"type":"x"}]}}"#;
    let call = call_however_cut(PLAIN, [JSON, ASK], 429, [JSON, body]);
    assert_eq!(
        (
            call.outcome,
            call.error_type.as_deref(),
            call.error_code.as_deref()
        ),
        (
            Outcome::RateLimited,
            Some("RESOURCE_EXHAUSTED"),
            Some("429")
        )
    );
    let list = format!("[{body}]");
    let call = call_however_cut(STREAM, [JSON, ASK], 503, [JSON, &list]);
    assert_eq!(
        (call.error_type.as_deref(), call.stream),
        (Some("RESOURCE_EXHAUSTED"), Some(true))
    );
    let sse = sse();
    let error = format!("data: {body}\n\n");
    assert_eq!(
        events(STREAM, ASK, &[&sse[0], &error]).outcome,
        Outcome::ErrorIn200
    );
}

#[test]
fn the_finish_reason_ends_it() {
    let sse = sse();
    let ended = |count: usize| {
        let script = sse[..count].iter().fold(
            Script::new().post(STREAM, ASK).stream(500),
            |script, event| script.piece(event.as_str(), 600),
        );
        script.end(Ending::ClientReset, 700).call()
    };
    assert_eq!(ended(4).outcome, Outcome::Ok);
    let broken = ended(3);
    assert_eq!(
        (broken.outcome, broken.output_source),
        (Outcome::ClientAbort, TokenSource::Counted)
    );
}

#[test]
fn vectors_are_passed_over() {
    let ask = r#"{"requests":[{"model":"models/e","content":{"parts":[{"text":"hello world"}]}},{"model":"models/e","content":{"parts":[{"text":"hello"}]}}]}"#;
    let call = call_however_cut(
        "/v1beta/models/e:batchEmbedContents",
        [JSON, ask],
        200,
        [
            JSON,
            r#"{"embeddings":[{"values":[0.1]},{"values":[0.2]}]}"#,
        ],
    );
    assert_eq!(
        (call.dialect, call.request_model.as_deref()),
        (Some("gemini_embed"), Some("e"))
    );
    assert_eq!((call.input_tokens, call.output_tokens), (Some(3), None));
    let one = call_however_cut(
        "/v1beta/models/e:embedContent",
        [JSON, r#"{"content":{"parts":[{"text":"hello"}]}}"#],
        200,
        [JSON, r#"{"embedding":{"values":[0.1]}}"#],
    );
    assert_eq!(
        (one.dialect, one.input_tokens),
        (Some("gemini_embed"), Some(1))
    );
}

#[test]
fn the_servers_own_tools_count_as_tools() {
    let ask = r#"{"contents":[{"parts":[{"text":"hello"}]}],"tools":[{"functionDeclarations":[{"name":"a"}]},{"codeExecution":{}},{"google_search":{},"urlContext":{}}]}"#;
    let call = call_however_cut(PLAIN, [JSON, ask], 200, [JSON, CHUNKS[0]]);
    assert_eq!(call.tool_count, Some(4));
}

#[test]
fn an_unknown_path_is_known_by_its_shape() {
    let sse = sse();
    let sse: Vec<_> = sse.iter().map(String::as_str).collect();
    assert_eq!(events("/llm", ASK, &sse).dialect, Some("gemini"));
    let mixed = events(CHAT, super::super::ASK, &sse);
    assert_eq!(
        (mixed.dialect, mixed.response_dialect),
        (Some("openai_chat"), Some("gemini"))
    );
    assert_eq!(mixed.output_tokens, Some(12));
    let array = format!("[{}]", CHUNKS.join(",\n"));
    let mixed = call_however_cut(CHAT, [JSON, super::super::ASK], 200, [JSON, &array]);
    assert_eq!(mixed.response_dialect, Some("gemini"));
    assert_eq!((mixed.output_tokens, mixed.stream), (Some(12), Some(true)));
}
