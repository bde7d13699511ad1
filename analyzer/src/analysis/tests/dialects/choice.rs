//! Which dialect it is: paths that tell little, shapes that tell late, and bodies with holes.

use super::*;
use crate::dialect::{MAX_ANSWER_PROBED, MAX_REQUEST_PROBED};

#[test]
fn a_path_that_others_use_needs_a_sign() {
    let nothing = r#"{"text":"hello","channel":"c"}"#;
    for path in ["/messages", "/responses"] {
        let script = Script::new()
            .post(path, nothing)
            .plain(200, r#"{"ok":true}"#);
        assert!(!script.is_call(), "{path}");
        let script = Script::new().post(path, nothing).plain(400, "");
        assert!(!script.is_call(), "{path}");
    }
    let asked = Script::new().post("/messages", ASK).plain(400, "{}").call();
    assert_eq!(asked.dialect, Some("openai_chat"));
    let answered = Script::new()
        .post("/messages", nothing)
        .plain(200, r#"{"type":"message","role":"assistant","content":[]}"#)
        .call();
    assert_eq!(answered.dialect, Some("anthropic"));
}

#[test]
fn a_long_request_is_read_whole_by_what_its_beginning_says() {
    let text = "hello ".repeat(MAX_REQUEST_PROBED / 3);
    let ask = format!(
        r#"{{"messages":[{{"role":"user","content":"{text}"}}],"system":"hello","model":"m","max_tokens":5}}"#
    );
    assert!(ask.len() > MAX_REQUEST_PROBED);
    for size in [1_000, MAX_REQUEST_PROBED, ask.len()] {
        let mut script = Script::new().request_head("POST", "/llm", &[]);
        for piece in ask.as_bytes().chunks(size) {
            script = script.request_piece(piece);
        }
        let call = script.request_end().plain(200, "{}").call();
        // What stands behind the text says that it is the other API's.
        assert_eq!(call.dialect, Some("anthropic"), "in pieces of {size}");
        assert_eq!(
            (call.request_model.as_deref(), call.max_tokens),
            (Some("m"), Some(5))
        );
        assert!(call.counted_input_tokens > Some(MAX_REQUEST_PROBED as u64 / 3));
    }
}

#[test]
fn an_answer_without_a_sign_is_read_as_its_request_in_time() {
    // Its choices come behind more than is held back.
    let filler = "x".repeat(2 * MAX_ANSWER_PROBED);
    let body =
        format!(r#"{{"filler":"{filler}","choices":[{{"message":{{"content":"hello"}}}}]}}"#);
    for size in [100, MAX_ANSWER_PROBED, body.len()] {
        let mut script = Script::new().post(CHAT, ASK).head(200, JSON, 1);
        for piece in body.as_bytes().chunks(size) {
            script = script.piece(piece, 2);
        }
        let call = script.complete(3).call();
        assert_eq!(call.output_tokens, Some(1), "in pieces of {size}");
        assert_eq!(call.response_dialect, None);
    }
    let unknown = Script::new().post("/any", "{}").plain(200, &body);
    assert!(!unknown.is_call());
}

#[test]
fn times_of_what_was_held_back_are_kept() {
    let call = Script::new()
        .post("/llm", "{}")
        .stream(1)
        .piece(": keep-alive\n\n", 10)
        .piece("data: {\"ping\":1}\n\n", 20)
        .piece("data: {\"choices\":[{\"index\":0,", 30)
        .piece("\"delta\":{\"content\":\"hello\"}}]}\n\n", 40)
        .complete(50)
        .call();
    assert_eq!(call.dialect, Some("openai_chat"));
    assert_eq!(call.ttft, Some(40));
    assert_eq!(
        call.timeline.unwrap().to_json(),
        r#"[[20,0,"other",1,10],[20,0,"content",1,53]]"#
    );
}

#[test]
fn a_hole_before_any_sign_is_no_hindrance() {
    let call = Script::new()
        .stream(1)
        .gap(Place::ResponseBody, 500)
        .piece("lost\":1}\n\n", 10)
        .delta(r#"{"content":"hello"}"#, 20)
        .complete(50)
        .call();
    assert_eq!(
        (call.dialect, call.output_tokens),
        (Some("openai_chat"), Some(1))
    );

    let call = Script::new()
        .request_head("POST", "/llm", &[])
        .request_piece(r#"{"model":"m","messages":[{"role":"user","content":"hel"#)
        .gap(Place::RequestBody, 9)
        .request_piece(r#"lo"}]}"#)
        .request_end()
        .plain(200, "{}")
        .call();
    assert_eq!(call.dialect, Some("openai_chat"));
    assert_eq!(call.request_model.as_deref(), Some("m"));
    assert_eq!(call.confidence, Confidence::Partial);
}

#[test]
fn a_form_is_read_like_json() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"input\"\r\n\r\nhello wörld\r\n--b\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\0\u{1}\u{2}\r\n\r\n--b--\r\n";
    let kind = "multipart/form-data; boundary=b";
    let call = call_however_cut(
        "/v1/embeddings",
        [kind, form],
        200,
        [JSON, r#"{"data":[{"embedding":[]}]}"#],
    );
    assert_eq!(call.request_model.as_deref(), Some("m"));
    assert_eq!((call.n, call.file_bytes), (Some(2), Some(5)));
    assert_eq!(call.file_type.as_deref(), Some("audio/wav"));
    assert!(call.counted_input_tokens > Some(1));
    assert_eq!(call.confidence, Confidence::Complete);
}

#[test]
fn bodies_of_no_call_are_given_up() {
    let settings = Settings {
        bodies: KeepBodies::Full,
        ..Settings::default()
    };
    let mut analyzer = Analyzer::new(Arc::new(settings));
    let script = Script::new()
        .post("/any", r#"{"a":1}"#)
        .head(200, JSON, 1)
        .piece(format!(r#"{{"b":"{}"}}"#, "x".repeat(MAX_ANSWER_PROBED)), 2);
    for event in &script.events {
        analyzer.event(event);
    }
    assert_eq!(analyzer.held, 0);
}

#[test]
fn nothing_is_held_back_where_there_is_no_room() {
    let mut analyzer = Analyzer::new(Arc::new(Settings::default()));
    analyzer.held = MAX_HELD;
    let script = Script::new()
        .post("/llm", ASK)
        .stream(1)
        .delta(r#"{"content":"hello"}"#, 2)
        .complete(3);
    for event in &script.events {
        analyzer.event(event);
    }
    // The first piece's text alone, as the dialects that read along had taken it by then, and what
    // tells the two sides of a relay.
    assert!(analyzer.held < MAX_HELD + ASK.len() + crate::legs::ANSWER_HEAD);
    let end = Event {
        id: ID,
        kind: EventKind::End(script.end),
    };
    let call = analyzer.event(&end).unwrap().call.unwrap();
    let call = call.count(&Counter::always()).call;
    assert_eq!(call.dialect, Some("openai_chat"));
    assert_eq!(call.request_model.as_deref(), Some("m"));
    assert_eq!((call.ttft, call.truncated), (Some(2), true));
    assert_eq!(analyzer.counters().texts_shed, 1);
}
