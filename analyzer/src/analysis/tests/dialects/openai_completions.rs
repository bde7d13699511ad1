use super::*;

pub(super) const PATH: &str = "/v1/completions";

pub(super) const ASK: &str = r#"{"model":"m","prompt":["hello","hello world"],"suffix":"hello","n":1,"max_tokens":16,"temperature":0,"stream":true,"user":"u","response_format":{"type":"json_object"}}"#;

fn piece(index: u32, text: &str, reason: &str) -> String {
    format!(
        "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m-1\",\"choices\":[{{\"index\":{index},\"text\":\"{text}\",\"logprobs\":null,\"finish_reason\":{reason},\"stop_reason\":null}}]}}\n\n"
    )
}

pub(super) fn stream() -> Vec<String> {
    vec![
        piece(0, "", "null"),
        piece(0, "hello", "null"),
        piece(1, " world", "\"stop\""),
        piece(0, " world", "\"length\""),
        "data: {\"object\":\"text_completion\",\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":4,\"total_tokens\":9}}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ]
}

#[test]
fn a_stream_of_two_prompts() {
    let stream = stream();
    let call = events(
        PATH,
        ASK,
        &stream.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(call.dialect, Some("openai_completions"));
    assert_eq!(call.operation, Some("text_completion"));
    assert_eq!(marks(&call), [Some(0), Some(1), Some(3)]);
    assert_eq!((call.input_tokens, call.output_tokens), (Some(5), Some(4)));
    assert_eq!(
        (call.counted_input_tokens, call.counted_output_tokens),
        (Some(4), Some(3))
    );
    assert_eq!(call.finish_reasons, ["length", "stop"]);
    assert_eq!(
        (call.n, call.max_tokens, call.temperature),
        (Some(1), Some(16), Some(0.0))
    );
    assert_eq!(call.response_format.as_deref(), Some("json_object"));
    assert_eq!(
        (call.response_id.as_deref(), call.user.as_deref()),
        (Some("cmpl-1"), Some("u"))
    );
    assert_eq!((call.message_count, call.content_chars), (None, Some(17)));
    assert_eq!(call.outcome, Outcome::Ok);
    call_however_cut(PATH, [JSON, ASK], 200, [SSE, &stream.concat()]);
}

#[test]
fn a_chats_answer_to_a_completion_is_read_for_what_it_is() {
    let body = answer("hello", r#"{"prompt_tokens":5,"completion_tokens":1}"#);
    let call = Script::new().post(PATH, ASK).plain(200, &body).call();
    assert_eq!(
        (call.dialect, call.response_dialect),
        (Some("openai_completions"), Some("openai_chat"))
    );
    assert_eq!((call.input_tokens, call.output_tokens), (Some(5), Some(1)));
    assert_eq!(call.counted_input_tokens, Some(4));
}

#[test]
fn the_body_names_it_where_the_path_does_not() {
    let stream = stream();
    let events_of_it: Vec<_> = stream.iter().map(String::as_str).collect();
    let call = events("/", ASK, &events_of_it);
    assert_eq!(call.dialect, Some("openai_completions"));
    assert_eq!(call.counted_input_tokens, Some(4));
    // No model, no sign: but the answer bears one.
    let call = events("/", r#"{"prompt":"hello"}"#, &events_of_it);
    assert_eq!(call.dialect, Some("openai_completions"));
    assert_eq!(call.counted_input_tokens, Some(1));
}
