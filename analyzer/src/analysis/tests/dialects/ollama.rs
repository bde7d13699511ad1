use super::*;
use crate::tokens::PromptRule;

const LINES: &str = "application/x-ndjson";

pub(super) const ASK: &str = r#"{"model":"llama3.2:1b","messages":[{"role":"user","content":"hello world","images":["AAAA"]},{"role":"user","content":"","tool_calls":[{"function":{"name":"hello","arguments":{"city":"hello","n":3}}}]}],"tools":[{"type":"function","function":{"name":"get_weather"}}],"format":{"type":"object"},"options":{"temperature":0.1,"num_predict":99,"seed":1},"keep_alive":"5m"}"#;

pub(super) const THINKING: [&str; 5] = [
    "{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-08-04T08:52:19Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hello\"},\"done\":false}\n",
    "{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-08-04T08:52:19Z\",\"message\":{\"role\":\"assistant\",\"content\":\"hello wörld\"},\"done\":false}\n",
    "{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-08-04T08:52:19Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"a\",\"arguments\":{\"x\":1}}},{\"function\":{\"index\":1,\"name\":\"b\",\"arguments\":{}}}]},\"done\":false}\n",
    "{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-08-04T08:52:19Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"c\",\"arguments\":{\"y\":\"z\"}}}]},\"done\":false}\n",
    "{\"model\":\"llama3.2:1b\",\"created_at\":\"2025-08-04T08:52:19Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,\"total_duration\":4883583458,\"load_duration\":1334875,\"prompt_eval_count\":26,\"prompt_eval_duration\":342546000,\"eval_count\":282,\"eval_duration\":4535599000}\n",
];

#[test]
fn a_chat_streams_lines() {
    let call = call_however_cut("/api/chat", [JSON, ASK], 200, [LINES, &THINKING.concat()]);
    assert_eq!(
        (call.dialect, call.operation, call.provider),
        (Some("ollama_chat"), Some("chat"), Some("ollama"))
    );
    assert_eq!(call.stream, Some(true));
    assert_eq!(
        (
            call.request_model.as_deref(),
            call.response_model.as_deref()
        ),
        (Some("llama3.2:1b"), Some("llama3.2:1b"))
    );
    assert_eq!(
        (call.max_tokens, call.temperature, call.tool_count),
        (Some(99), Some(0.1), Some(1))
    );
    assert_eq!(call.response_format.as_deref(), Some("json_schema"));
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(26), Some(282))
    );
    assert_eq!(call.output_source, TokenSource::Reported);
    assert_eq!(call.finish_reasons, ["stop"]);
    assert_eq!(call.tool_calls, ["a", "b", "c"]);
    assert_eq!(
        (call.content_chars, call.reasoning_chars),
        (Some(11), Some(5))
    );
    // By Llama's template, its system block and what it says of tools included; the picture is one token.
    assert_eq!(
        (
            call.prompt_rule,
            call.counted_pictures,
            call.counted_input_tokens
        ),
        (Some(PromptRule::Family), Some(1), Some(123))
    );
    assert_eq!(
        (call.server_load, call.server_prefill),
        (Some(1_335), Some(342_546))
    );
    assert_eq!(
        (call.server_decode, call.server_total),
        (Some(4_535_599), Some(4_883_583))
    );
    assert_eq!(call.outcome, Outcome::Ok);

    let call = events("/api/chat", ASK, &THINKING);
    assert_eq!(marks(&call), [Some(0), Some(0), Some(3)]);
}

#[test]
fn a_plain_chat() {
    let ask = ASK.replace("\"keep_alive\":\"5m\"", "\"stream\":false");
    let call = call_however_cut("/proxy/api/chat", [JSON, &ask], 200, [JSON, THINKING[4]]);
    assert_eq!((call.stream, call.ttft), (Some(false), None));
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(26), Some(282))
    );
    assert_eq!(call.finish_reasons, ["stop"]);
}

#[test]
fn a_prompt_is_completed() {
    let ask = r#"{"model":"m","prompt":"hello world","system":"hello","context":[1,2,3]}"#;
    let lines = [
        "{\"model\":\"m\",\"created_at\":\"x\",\"response\":\"hello\",\"done\":false}\n",
        "{\"model\":\"m\",\"created_at\":\"x\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"context\":[1,2],\"prompt_eval_count\":3,\"eval_count\":1}\n",
    ];
    let call = call_however_cut("/api/generate", [JSON, ask], 200, [LINES, &lines.concat()]);
    assert_eq!(
        (call.dialect, call.operation),
        (Some("ollama_generate"), Some("text_completion"))
    );
    assert_eq!(
        (
            call.input_tokens,
            call.output_tokens,
            call.counted_input_tokens
        ),
        (Some(3), Some(1), Some(3))
    );
    assert_eq!(call.finish_reasons, ["length"]);
    assert_eq!(call.stream, Some(true));
}

#[test]
fn vectors_are_passed_over() {
    let ask = r#"{"model":"m","input":["hello world","hello"]}"#;
    let body = r#"{"model":"m","embeddings":[[0.1,-0.2],[0.3,0.4]],"total_duration":14143917,"load_duration":1019500,"prompt_eval_count":8}"#;
    let call = call_however_cut("/api/embed", [JSON, ask], 200, [JSON, body]);
    assert_eq!(
        (call.dialect, call.operation),
        (Some("ollama_embed"), Some("embeddings"))
    );
    assert_eq!(
        (call.input_tokens, call.output_tokens, call.stream),
        (Some(8), None, Some(false))
    );
    let old = call_however_cut(
        "/api/embeddings",
        [JSON, r#"{"model":"m","prompt":"hello"}"#],
        200,
        [JSON, r#"{"embedding":[0.5]}"#],
    );
    assert_eq!(
        (old.dialect, old.counted_input_tokens, old.input_tokens),
        (Some("ollama_embed"), Some(1), Some(1))
    );
}

#[test]
fn errors() {
    let body = r#"{"error":"model 'm' not found"}"#;
    let call = call_however_cut("/api/chat", [JSON, ASK], 404, [JSON, body]);
    assert_eq!(
        (call.outcome, call.output_tokens),
        (Outcome::ClientError, None)
    );
    // What was asked for: streams are the default.
    assert_eq!(call.stream, Some(true));

    let error = "{\"error\":\"an error was encountered while running the model\"}\n";
    let call = events("/api/chat", ASK, &[THINKING[0], THINKING[1], error]);
    assert_eq!(call.outcome, Outcome::ErrorIn200);
    assert_eq!(marks(&call), [Some(0), Some(0), Some(1)]);
}

#[test]
fn a_stream_that_breaks_off_is_partial() {
    let broken = Script::new()
        .post("/api/chat", ASK)
        .stream(500)
        .piece(THINKING[0], 600)
        .piece(THINKING[1], 700)
        .end(Ending::ClientReset, 800)
        .call();
    assert_eq!(broken.outcome, Outcome::ClientAbort);
    assert!(broken.output_partial);
    assert_eq!(broken.output_source, TokenSource::Counted);
    let whole = THINKING.iter().fold(
        Script::new().post("/api/chat", ASK).stream(500),
        |s, line| s.piece(*line, 600),
    );
    assert_eq!(
        whole.end(Ending::ClientReset, 800).call().outcome,
        Outcome::Ok
    );
}

#[test]
fn an_unknown_path_is_known_by_its_shape() {
    let call = events("/llm", ASK, &THINKING);
    assert_eq!(call.dialect, Some("ollama_chat"));
    let ask = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    assert_eq!(events("/llm", ask, &THINKING).dialect, Some("ollama_chat"));
    let mixed = events(CHAT, ask, &THINKING);
    assert_eq!(
        (mixed.dialect, mixed.response_dialect),
        (Some("openai_chat"), Some("ollama_chat"))
    );
    assert_eq!(mixed.output_tokens, Some(282));
}
