use super::*;

pub(super) const PATH: &str = "/v1/embeddings";

pub(super) const ASK: &str = r#"{"input":["hello","hello world"],"model":"text-embedding-3-small","encoding_format":"float","user":"u"}"#;

pub(super) const VECTORS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3,NaN]},{"object":"embedding","index":1,"embedding":"AAAAAA=="}],"model":"text-embedding-3-small","usage":{"prompt_tokens":4,"total_tokens":4},"id":"e-1"}"#;

#[test]
fn texts_are_counted_and_vectors_passed_over() {
    let call = call_however_cut(PATH, [JSON, ASK], 200, [JSON, VECTORS]);
    assert_eq!(call.dialect, Some("openai_embeddings"));
    assert_eq!(call.operation, Some("embeddings"));
    assert_eq!((call.input_tokens, call.output_tokens), (Some(4), None));
    assert_eq!(call.total_tokens, Some(4));
    assert_eq!(call.counted_input_tokens, Some(3));
    assert_eq!(call.response_format.as_deref(), Some("float"));
    assert_eq!(call.stream, Some(false));
    assert_eq!(call.outcome, Outcome::Ok);
    assert_eq!(call.content_chars, None);
    assert_eq!(call.response_id.as_deref(), Some("e-1"));
}

#[test]
fn token_ids_are_their_own_count() {
    for (input, expected) in [
        ("[1,2,3]", 3),
        ("[[1,2,3],[4]]", 4),
        (r#"[{"text":"hello"},{"image":"AAAA"}]"#, 1),
        (r#""hello world""#, 2),
    ] {
        let call = Script::new()
            .post(PATH, &format!(r#"{{"model":"m","input":{input}}}"#))
            .plain(200, r#"{"data":[]}"#)
            .call();
        assert_eq!(call.input_tokens, Some(expected), "{input}");
        assert_eq!(call.input_source, TokenSource::Counted);
    }
}

#[test]
fn vectors_are_not_stored_but_errors_are() {
    let stored = |status, body: &str| {
        let settings = Settings {
            bodies: KeepBodies::Full,
            ..Settings::default()
        };
        let script = Script::new().post(PATH, r#"{"model":"m","input":"a"}"#);
        let finished = script.plain(status, body).finish_with(settings).0;
        let call = finished.call.unwrap();
        call.count(&Counter::always()).bodies.unwrap()
    };
    let vectors = r#"{"data":[{"embedding":[1]}]}"#;
    let bodies = stored(200, vectors);
    assert!(bodies.response.head.is_empty());
    assert_eq!(bodies.response.omitted, vectors.len() as u64);
    assert!(!bodies.request.head.is_empty());
    let error = r#"{"error":{"type":"t"}}"#;
    assert_eq!(stored(400, error).response.head, error.as_bytes());
    assert_eq!(stored(200, error).response.head, error.as_bytes());
}

#[test]
fn an_unknown_path_is_known_by_the_answer() {
    let script = Script::new().post("/llm", r#"{"model":"m","input":"hello"}"#);
    let call = script.plain(200, r#"{"data":[{"embedding":[1]}]}"#).call();
    assert_eq!(call.dialect, Some("openai_embeddings"));
    assert_eq!(call.input_tokens, Some(1));
}
